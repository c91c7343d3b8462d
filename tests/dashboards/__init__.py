"""The dashboards, rules and runbooks: held to the program, to the documents, and to the real promtool."""
