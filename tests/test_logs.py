"""The log: what must not be in it, and the two forms of what is."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from exporter import logs


if TYPE_CHECKING:
    from collections.abc import Iterator

LOOP: list[object] = []
LOOP.append(LOOP)
PASSWORD = "hunter2-hunter2"
HOSTILE = "a\x1b[2Jb\u202ec\x9bd\re\nf"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Undo what `configure` did to the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    quiet = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, former in quiet.items():
        logging.getLogger(name).setLevel(former)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Give the lines of JSON on stderr; nothing may be on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def fail(password: str) -> None:
    """Fail while a secret is in a local variable."""
    copy = password * 2
    raise RuntimeError(f"failed with {len(copy)} characters")


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    """A stderr whose reader has gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("form", logs.FORMATS)
@pytest.mark.parametrize("terminal", [False, True])
def test_no_local_variable_is_told(form: str, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception is told with its text and its place, by us and by a library, without what variables held."""
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    logs.configure("info", form)
    try:
        fail(PASSWORD)
    except RuntimeError:
        structlog.get_logger().exception("ours")
        logging.getLogger("library").exception("theirs")
    text = stderr.getvalue()
    assert (text.count("hunter2"), text.count("RuntimeError: failed with 30 characters")) == (0, 2)


@pytest.mark.parametrize("form", logs.FORMATS)
def test_a_stderr_that_is_gone_fails_nothing(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written is lost, and the program goes on."""
    monkeypatch.setattr(sys, "stderr", Gone())
    logs.configure("info", form)
    structlog.get_logger().info("ours")
    logging.getLogger("library").warning("theirs")


def test_no_value_writes_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, line breaks and marks of direction are written out, wherever they stand."""
    logs.configure("info", "console")
    structlog.get_logger().info(HOSTILE, plain=HOSTILE, nested={"key": [HOSTILE]})
    logging.getLogger("library").warning(HOSTILE)
    lines = capsys.readouterr().err.splitlines()
    assert [line.isprintable() for line in lines] == [True, True]
    assert lines[0].count(r"\x1b[2Jb\u202ec\x9bd\re\nf") == 3


def test_what_is_below_the_level_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The level holds for our events and for those of libraries."""
    logs.configure("warning", "json")
    structlog.get_logger().info("ours")
    logging.getLogger("library").info("theirs")
    assert told(capsys) == []


@pytest.mark.parametrize("name", ["aiohttp.server", "kubernetes.client.rest", "asyncio"])
def test_libraries_are_quiet_even_when_we_are_not(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """At debug, the chatter of libraries about each request stays out."""
    logs.configure("debug", "json")
    logging.getLogger(name).info("chatter")
    structlog.get_logger().debug("ours")
    assert [line["event"] for line in told(capsys)] == ["ours"]


def test_at_error_libraries_are_no_louder_than_we_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A higher level holds for the quiet libraries too."""
    logs.configure("error", "json")
    logging.getLogger("aiohttp.server").warning("theirs")
    assert told(capsys) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [("half \ud800 character", r"half \ud800 character"), (LOOP, "[[...]]")],
)
def test_a_value_without_a_form_in_json_does_not_lose_the_line(
    value: object, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What JSON cannot hold is written out as text, and the rest of the line stays as it is."""
    logs.configure("info", "json")
    structlog.get_logger().info("odd", value=value, more="more")
    assert [("odd", expected, "more")] == [(line["event"], line["value"], line["more"]) for line in told(capsys)]


def test_any_object_can_be_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    """What JSON does not know is told as Python shows it."""
    logs.configure("info", "json")
    structlog.get_logger().info("odd", value=ValueError("x"), deep=[{"a": ValueError("y")}])
    assert [(one["value"], one["deep"]) for one in told(capsys)] == [("ValueError('x')", [{"a": "ValueError('y')"}])]


def test_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Time in UTC, level and event come first, then what belongs to the event; values are as they were."""
    logs.configure("info", "json")
    structlog.get_logger().warning("something happened", count=3, text=HOSTILE)
    (line,) = told(capsys)
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert timedelta() == at.utcoffset()
    assert list(line.items()) == [
        ("level", "warning"),
        ("event", "something happened"),
        ("count", 3),
        ("text", HOSTILE),
    ]


def test_libraries_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A record of the standard module, and a warning of Python, is a line like ours that names its logger."""
    logs.configure("info", "json")
    logging.getLogger("library").warning("took %d s", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", stacklevel=1)
    lines = told(capsys)
    assert [
        (lines[0]["logger"], lines[0]["event"]),
        (lines[1]["logger"], "UserWarning: old" in lines[1]["event"]),
    ] == [("library", "took 3 s"), ("py.warnings", True)]


def test_configured_twice_a_line_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The second set-up takes the place of the first, and other handlers stay."""
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    logs.configure("info", "console")
    logs.configure("info", "json")
    logging.getLogger("library").warning("theirs")
    structlog.get_logger().info("ours")
    assert [line["event"] for line in told(capsys)] == ["theirs", "ours"]
    assert other in logging.getLogger().handlers


@pytest.mark.parametrize(("no_colour", "expected"), [("", True), ("1", False)])
def test_colours_are_for_terminals(no_colour: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, unless NO_COLOR asks for none."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("NO_COLOR", no_colour)
    logs.configure("info", "console")
    structlog.get_logger().info("ours")
    assert expected == ("\x1b[" in stderr.getvalue())


def test_a_pipe_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    """What is not a terminal gets plain text."""
    logs.configure("info", "console")
    structlog.get_logger().info("ours", count=3)
    line = capsys.readouterr().err
    assert line.endswith("\n")
    assert line.split()[1:] == ["[info", "]", "ours", "count=3"]
