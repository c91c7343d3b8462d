"""The documents: what they say exists, what exists they say, and their examples work."""

from __future__ import annotations

import argparse
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from prometheus_client.metrics import MetricWrapperBase

from exporter import cli
from exporter.changes.writer import CONTROLLER, GITOPS, HUMAN
from exporter.config import NOISY, Config, parse
from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.health import Health
from exporter.model import Change, ChangeType, Event, FieldChange, Writer
from exporter.otlp import verdict
from exporter.otlp.encode import MAX_DIFF, Encoder
from exporter.otlp.resource import detect
from exporter.otlp.settings import Settings, resolve
from exporter.timestamps import Timestamp


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
COMMANDS: Mapping[str, argparse.ArgumentParser] = next(
    action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)
).choices

CHANGE = Change(
    id="c" * 32,
    observed=Timestamp("2026-11-23T12:00:01.500000Z"),
    happened=Timestamp("2026-11-23T10:00:00.000000Z"),  # too early to be the timestamp of a record
    event="modified",
    change="spec",
    group="example.com",
    version="v1",
    kind="Widget",
    namespace="team-a",
    name="web",
    uid="u-1",
    resource_version="17",
    generation=4,
    fields=(FieldChange("/spec/text", "replace", "", "x" * MAX_DIFF),),
    truncated=True,
    writer=Writer(
        name="kubectl-edit",
        class_="human",
        source="managed_fields",
        operation="Update",
        subresource="scale",
        user="jane",
        candidates=("a", "b"),
    ),
    heartbeat=True,
    gap=True,
)


def page(name: str) -> str:
    """The text of a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of the same or a higher level."""
    level = heading.partition(" ")[0]
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of the tables in a text whose first cell holds code."""
    for line in text.splitlines():
        if line.startswith("| ") and "`" in line.split("|")[1]:
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def code(text: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def first_column(text: str) -> list[str]:
    """What stands in backquotes in the first cells of tables."""
    return [name for cells in rows(text) for name in code(cells[0])]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


# -- the command line -------------------------------------------------------------------------------------------------


def flags(command: argparse.ArgumentParser) -> set[str]:
    """The flags of a command, without -h."""
    return {flag for action in command._actions for flag in action.option_strings} - {"-h", "--help"}


def test_every_command_has_its_row() -> None:
    """docs/cli.md lists the commands that the program has, and no other."""
    table = page("docs/cli.md").partition("## Exit codes")[0]
    assert set(COMMANDS) == set(first_column(table))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_has_its_row(name: str) -> None:
    """The section of a command has a row for each of its flags, and for no other."""
    text = section(page("docs/cli.md"), f"## `{name}`")
    documented = {cell.split()[0] for cell in first_column(text) if cell.startswith("-")}
    assert flags(COMMANDS[name]) == documented


@pytest.mark.parametrize("name", COMMANDS)
def test_the_defaults_of_flags_are_told(name: str) -> None:
    """A flag's default stands in the second cell of its row."""
    defaults = {
        action.option_strings[-1]: action.default for action in COMMANDS[name]._actions if action.option_strings
    }
    for cells in rows(section(page("docs/cli.md"), f"## `{name}`")):
        flag = code(cells[0])[0].split()[0]
        if isinstance(default := defaults.get(flag), str) and default != argparse.SUPPRESS:
            assert default in code(cells[1]), flag


def test_no_document_names_a_flag_that_does_not_exist() -> None:
    """A flag behind the program's name in an example is one of the command that is called."""
    program = re.compile(r"(?<!/)customresource-exporter (run|changes|check-config|version)\b([^\n|#`]*)")
    for path in PAGES:
        for command, rest in program.findall(path.read_text(encoding="utf-8")):
            used = set(re.findall(r"(?<=\s)(-{1,2}[a-z][\w.-]*)", rest))
            assert used <= flags(COMMANDS[command]), path.name


def test_every_field_of_the_json_has_its_row() -> None:
    """docs/cli.md lists the fields of a change, of what moved and of the writer, and no others."""
    text = section(page("docs/cli.md"), "### `changes -o json`")
    expected = [field.encode_name for kind in (Change, FieldChange, Writer) for field in msgspec.structs.fields(kind)]
    assert sorted(expected) == sorted(first_column(text))


def test_the_words_have_their_rows() -> None:
    """docs/cli.md explains each word for an event and for a change, and no other."""
    text = section(page("docs/cli.md"), "### The words")
    assert sorted([*get_args(Event), *get_args(ChangeType)]) == sorted(first_column(text))


def test_the_example_of_json_is_a_change() -> None:
    """The line of JSON in docs/cli.md is one that the program could have printed."""
    (line,) = blocks(page("docs/cli.md"), "json")
    change = msgspec.json.decode(line, type=Change)
    assert line.rstrip() == msgspec.json.encode(change).decode()


# -- the configuration ------------------------------------------------------------------------------------------------


def config_keys(parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key that holds a value, asked of the program itself: an unknown key makes it list those that it knows."""
    document: object = {"zzzzzzzz": 1}
    for parent in reversed(parents):
        document = {parent: document}
    with pytest.raises(ValueError, match="zzzzzzzz") as refused:
        parse(msgspec.json.encode(document))
    found = re.search(r"is not known; the keys here are: (.*)", str(refused.value))
    if "no key is known here yet" in str(refused.value):
        yield ".".join(parents)
    elif found is None:
        raise AssertionError(refused.value)
    else:
        for key in found[1].split(", "):
            try:
                parse(msgspec.json.encode(_nested((*parents, key), {})))
            except ValueError:
                yield ".".join((*parents, key))  # no mapping, so it holds a value
            else:
                yield from config_keys((*parents, key))


def _nested(keys: tuple[str, ...], value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def test_every_key_has_its_row() -> None:
    """docs/configuration.md lists the keys of the configuration, and no others."""
    expected = sorted(config_keys())
    assert expected == sorted(first_column(section(page("docs/configuration.md"), "## Every key")))


@pytest.mark.parametrize("name", ["README.md", "docs/configuration.md"])
def test_the_examples_of_configuration_load(name: str) -> None:
    """Every block of YAML is a configuration that the program takes, and says something."""
    examples = blocks(page(name), "yaml")
    assert examples
    for example in examples:
        assert Config() != parse(example.encode()) or "cilium" in example, example


def test_the_shipped_exclusions_are_told() -> None:
    """The example with the noisy kinds is the list that is shipped, in its order."""
    (example,) = [block for block in blocks(page("docs/configuration.md"), "yaml") if "cilium" in block]
    expected = NOISY
    assert expected == parse(example.encode()).watch.exclude


def test_the_shipped_writers_are_told() -> None:
    """The table of writers is the one that is shipped."""
    text = section(page("docs/configuration.md"), "## `changes`")
    told = {code(cells[0])[0]: tuple(code(cells[1])) for cells in rows(text)}
    expected = {"human": HUMAN, "gitops": GITOPS, "controller": CONTROLLER}
    assert expected == told


def test_the_messages_are_as_told() -> None:
    """Each example of a bad file in docs/configuration.md is refused with the sentence beside it."""
    examples = [
        (code(cells[0])[0], code(cells[1])[0]) for cells in rows(section(page("docs/configuration.md"), "## Errors"))
    ]
    assert examples
    for content, sentence in examples:
        with pytest.raises(ValueError, match=r"\A" + re.escape(sentence) + r"\Z"):
            parse(content.encode())


# -- the metrics ------------------------------------------------------------------------------------------------------


def metric_families() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every family by the name that a scrape shows."""
    changes = ChangeMetrics()
    changes.objects(CHANGE.group, CHANGE.kind, CHANGE.namespace, 1)
    changes.count([CHANGE])
    text = changes.render(openmetrics=False).decode()
    families = {
        name: (kind, set(re.findall(r'(\w+)="', next(re.finditer(rf"^{name}{{(.*)}} ", text, re.MULTILINE))[1])))
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    }
    health = Health()
    labels = {one._name: set(one._labelnames) for one in vars(health).values() if isinstance(one, MetricWrapperBase)}
    for family in health.registry.collect():
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        own = {label for sample in family.samples for label in sample.labels} - {"le"}
        families[family.name + suffix] = (family.type, labels.get(family.name) or own)
    return families


def test_every_metric_has_its_row() -> None:
    """docs/metrics.md has a row for every family with its type and labels, and for no other."""
    told = {code(cells[0])[0]: (cells[1], set(code(cells[2]))) for cells in rows(page("docs/metrics.md"))}
    assert metric_families() == told


def test_no_document_names_a_metric_that_does_not_exist() -> None:
    """Whatever looks like a metric of ours is one, a part of a histogram, a label, or an attribute in Loki."""
    families = metric_families()
    known = {
        *families,
        *(
            f"{name}_{part}"
            for name, (kind, _) in families.items()
            if kind == "histogram"
            for part in ("bucket", "sum", "count")
        ),
        *(label for _, labels in families.values() for label in labels),
        *(name.replace(".", "_") for name in record_attributes()),
    }
    for path in PAGES:
        named = set(re.findall(r"\bcustomresource_\w+", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


# -- the log records --------------------------------------------------------------------------------------------------


def decoded(*changes: Change) -> ExportLogsServiceRequest:
    """What an endpoint gets."""
    settings = Settings(protocol="http/protobuf", endpoint="http://localhost", insecure=True)
    encoder = Encoder(settings, journal_id="j-1", cluster_uid="c-1", cluster_name="prod")
    return ExportLogsServiceRequest.FromString(encoder.request(changes))


def record_attributes() -> dict[str, str]:
    """The attributes of a record that has all of them, each with its type as the table names it."""
    types = {"string_value": "text", "int_value": "integer", "bool_value": "boolean", "array_value": "list of texts"}
    (log,) = decoded(CHANGE).resource_logs[0].scope_logs[0].log_records
    return {one.key: types[str(one.value.WhichOneof("value"))] for one in log.attributes}


def test_the_record_has_all_attributes() -> None:
    """The change these tests encode has every attribute that the encoder knows, so none is missing from the table."""
    source = (ROOT / "exporter/otlp/encode.py").read_text(encoding="utf-8")
    assert set(re.findall(r'_attribute\("([^"]+)"\)', source)) == set(record_attributes())


def test_every_attribute_has_its_row() -> None:
    """docs/logs.md has a row for every attribute with its type, and for no other."""
    told = {code(cells[0])[0]: cells[1] for cells in rows(section(page("docs/logs.md"), "### Attributes"))}
    assert record_attributes() == told


def test_every_resource_attribute_has_its_row() -> None:
    """docs/logs.md has a row for every attribute of the resource, and for no other."""
    actual = [one.key for one in decoded(CHANGE).resource_logs[0].resource.attributes]
    assert sorted(actual) == sorted(first_column(section(page("docs/logs.md"), "### Resource attributes")))


def test_every_event_name_is_told() -> None:
    """docs/logs.md names the event names that the words for changes lead to, and no others."""
    sent = decoded(*(msgspec.structs.replace(CHANGE, change=word) for word in get_args(ChangeType)))
    actual = {log.event_name for log in sent.resource_logs[0].scope_logs[0].log_records}
    text = page("docs/logs.md").partition("### Attributes")[0]
    assert actual == set(re.findall(r"`(customresource\.[a-z]+)`", text))


class Asked(dict[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        """Begin with nothing asked."""
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)


def test_every_variable_has_its_row() -> None:
    """docs/logs.md lists the OTEL_* variables that are looked at, and no others."""
    looked_at = set()
    for protocol in ("http/protobuf", "grpc"):
        environ = Asked({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
        resolve(environ)
        detect(environ)
        looked_at |= environ.names
    text = section(page("docs/logs.md"), "## Environment variables")
    assert looked_at == {name for cells in rows(text) for cell in cells[:2] for name in code(cell)}


def test_the_verdicts_over_http_are_as_told() -> None:
    """Each status in the table gets the verdict beside it."""
    for cells in rows(section(page("docs/logs.md"), "### Answers over http")):
        for status in code(" ".join(cells[:1])):
            judged = verdict.http(int(status), {}, b"", datetime.now(UTC))
            assert cells[1] == type(judged).__name__.lower(), status


def test_the_verdicts_over_grpc_are_as_told() -> None:
    """Each code in the table gets the verdict beside it; in a row with a condition, with words that meet it."""
    words = {"speaks of the size": "message larger than max", "because of TLS": "CERTIFICATE_VERIFY_FAILED"}
    told = set()
    for cells in rows(section(page("docs/logs.md"), "### Answers over grpc")):
        details = next((text for mark, text in words.items() if mark in cells[0]), "")
        for name in code(cells[0]):
            told.add(name)
            assert cells[1] == type(verdict.grpc(name, details)).__name__.lower(), name
    codes = {
        "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    }  # fmt: skip
    assert codes == told


# -- all documents ----------------------------------------------------------------------------------------------------


def test_every_dependency_has_its_row() -> None:
    """docs/design.md says why each package that is installed with the program is there, and of no other."""
    project = tomllib.loads(page("pyproject.toml"))["project"]
    expected = sorted(re.split(r"[<>=!~\[; ]", one, maxsplit=1)[0] for one in project["dependencies"])
    assert expected == sorted(first_column(section(page("docs/design.md"), "## Dependencies")))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_relative_links_resolve(path: Path) -> None:
    """A link to another file leads to one, and its fragment to a heading there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name) if name else path
        assert file.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert fragment in slugs, target


def test_every_page_of_docs_is_linked() -> None:
    """README.md leads to every document."""
    links = set(re.findall(r"\]\(([^)\s#]+)", page("README.md")))
    assert {str(path.relative_to(ROOT)) for path in PAGES} - links == {"README.md"}


def test_every_make_target_exists() -> None:
    """A document names no target of make that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    for path in PAGES:
        named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", path.read_text(encoding="utf-8")))
        assert named <= targets, path.name


def test_the_readme_is_short() -> None:
    """README.md has at most 150 lines."""
    assert len(page("README.md").splitlines()) <= 150


def test_the_licence_is_whole() -> None:
    """LICENSE is the text of Apache-2.0, from its title to the end of its appendix."""
    text = page("LICENSE")
    assert re.search(r"Apache License\s+Version 2.0, January 2004\s", text)
    assert text.rstrip().endswith("limitations under the License.")
