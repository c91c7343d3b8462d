"""The program's log: one line for each event, on stderr, as JSON for machines or as text for people.

Our own events go straight to stderr; what libraries log through the standard module joins them by one handler. Must
never show the local variables of an exception, which may hold secrets, never let a value write to the terminal, and
never fail the program because a line could not be written.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter


if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger


LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("console", "json")

_HANDLER = "customresource-exporter"
_FIRST = ("timestamp", "level", "logger", "event")
_BLOCKS = ("exception", "stack")  # of several lines
# They tell of every request, or of nothing that an operator can act on.
_QUIET = ("aiohttp", "asyncio", "grpc", "kubernetes", "opentelemetry", "urllib3")


class _Stderr(io.TextIOBase):
    """The stderr of the moment; a line that it does not take is lost, since there is nowhere to complain."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


_STDERR = _Stderr()  # kept here: structlog's loggers hold it by a weak reference


def configure(
    level: str,
    format: str,  # noqa: A002 - the word of the flag
    redact: Callable[[str], str] = str,
) -> None:
    """Set up logging for the whole program.

    Args:
        level: the least that is told, one of `LEVELS`
        format: one of `FORMATS`
        redact: takes the secrets out of a text

    """
    least = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As text, and here: the console's own way of rendering an exception shows local variables.
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        lambda _, __, event: {key: redact(value) if isinstance(value, str) else value for key, value in event.items()},
    ]
    ending: list[Processor] = [_render_json] if format == "json" else [_printable, _console()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _STDERR)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_STDERR)
    handler.name = _HANDLER
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    for former in [one for one in root.handlers if one.name == _HANDLER]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(least)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))
    logging.captureWarnings(capture=True)


def _console() -> Processor:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Write out every character that would steer a terminal, or begin a line that nobody logged."""
    return {
        key: _visible(value, "\n\t" if key in _BLOCKS else "") if isinstance(value, str) else value
        for key, value in event.items()
    }


def _visible(text: str, kept: str = "") -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in kept else one.encode("unicode_escape").decode() for one in text)


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    line: dict[str, Any] = {key: event[key] for key in _FIRST if key in event}
    line.update(event)
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        # Something in it has no form in JSON, such as half a character: the line is worth more than its form.
        words = {key: value if isinstance(value, str) else repr(value) for key, value in line.items()}
        return msgspec.json.encode({str(key): _visible(value, "\n\t") for key, value in words.items()}).decode()
