// Reads [{language, query}] on stdin, and writes for each where the grammar finds an error.
import { parser as logql } from "@grafana/lezer-logql";
import { parser as traceql } from "@grafana/lezer-traceql";

const parsers = { logql, traceql };
let text = "";
for await (const part of process.stdin) text += part;
const found = JSON.parse(text).map(({ language, query }) => {
  const wrong = [];
  parsers[language].parse(query).iterate({ enter: (node) => { if (node.type.isError) wrong.push(node.from); } });
  return wrong;
});
console.log(JSON.stringify(found));
