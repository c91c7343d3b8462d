"""The commands, thin: arguments in, one call, an exit code out.

Heavy modules are imported by the command that needs them, so that `changes` and `version` start at once.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from exporter import __version__
from exporter.errors import ExporterError
from exporter.model import ChangeType
from exporter.options import RunOptions
from exporter.timestamps import Timestamp, from_nanoseconds, normalise


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.history import Filters
    from exporter.journal.read import Reader
    from exporter.model import Change


PROGRAM = "customresource-exporter"
_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_POLL_SECONDS = 0.5
_READ = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: without the program's name; None takes those of the process

    Returns:
        0 ended as asked, 1 failed, 2 wrong usage or configuration

    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ExporterError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read us has seen enough. The interpreter would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Follows every custom resource of a Kubernetes cluster and tells what changed."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    defaults = RunOptions()

    run = commands.add_parser("run", help="follow a cluster", description="Follow a cluster until told to stop.")
    run.add_argument("--kubeconfig", metavar="F", help="default: $KUBECONFIG, ~/.kube/config, or the pod's own account")
    run.add_argument("--context", metavar="C", help="context of the kubeconfig; default: the current one")
    run.add_argument("--config", metavar="F", help="configuration; default: follow every custom resource")
    run.add_argument("--data-dir", metavar="D", default=defaults.data_dir, help="journal (default: %(default)s)")
    run.add_argument(
        "--web.listen-address",
        metavar="H:P",
        dest="listen_address",
        default=defaults.listen_address,
        help="address of /metrics (default: %(default)s)",
    )
    run.add_argument(
        "--log.level", dest="log_level", choices=("debug", "info", "warning", "error"), default=defaults.log_level
    )
    run.add_argument("--log.format", dest="log_format", choices=("json", "console"), default=defaults.log_format)
    run.set_defaults(command=_run)

    changes = commands.add_parser(
        "changes", help="show what changed", description="Show changes from the journal of a running or past exporter."
    )
    changes.add_argument("--data-dir", metavar="D", default=defaults.data_dir, help="default: %(default)s")
    changes.add_argument("--since", metavar="T", type=_since, help="how long ago (30s, 15m, 1h, 7d), or RFC 3339")
    changes.add_argument("--kind", metavar="K", default="", help="kind, or Kind.group; a glob")
    changes.add_argument("--namespace", metavar="N", default="", help="a glob")
    changes.add_argument("--name", metavar="X", default="", help="a glob")
    changes.add_argument("--writer", metavar="W", default="", help="the writer's name or class; a glob")
    changes.add_argument("--change", metavar="C", choices=get_args(ChangeType), help=", ".join(get_args(ChangeType)))
    changes.add_argument("--follow", action="store_true", help="go on with what comes")
    changes.add_argument("--all", action="store_true", help="heartbeats and no-ops in the table too")
    changes.add_argument("-o", "--output", choices=("table", "json"), default="table")
    changes.set_defaults(command=_changes)

    check = commands.add_parser("check-config", help="check a configuration")
    check.add_argument("file", metavar="F")
    check.set_defaults(command=_check_config)

    version = commands.add_parser("version", help="print the version")
    version.set_defaults(command=_version)
    return parser


def _run(options: argparse.Namespace) -> int:
    from exporter import app  # noqa: PLC0415 - see above

    names = RunOptions.__struct_fields__
    return app.run(RunOptions(**{name: getattr(options, name) for name in names}))


def _check_config(options: argparse.Namespace) -> int:
    from exporter.config import load  # noqa: PLC0415 - see above

    config = load(options.file)
    watch = config.watch
    _print(f"{options.file} is good")
    _print(f"  follows   {', '.join(watch.include)}")
    _print(f"  but not   {', '.join(watch.exclude) or '-'}")
    _print(f"  in        {', '.join(watch.namespaces) or 'all namespaces'}")
    return 0


def _version(_: argparse.Namespace) -> int:
    _print(f"{PROGRAM} {__version__}")
    return 0


def _changes(options: argparse.Namespace) -> int:
    from exporter.history import Filters  # noqa: PLC0415 - see above
    from exporter.journal.read import open_reader  # noqa: PLC0415 - see above

    as_json = options.output == "json"
    filters = Filters(
        kind=options.kind,
        namespace=options.namespace,
        name=options.name,
        writer=options.writer,
        change=options.change,
        everything=options.all or as_json,
    )
    reader = open_reader(Path(options.data_dir))
    try:
        show = _json_lines() if as_json else _table_lines()
        _show(reader, options.since, filters, show, follow=options.follow)
    finally:
        reader.close()
    return 0


def _show(
    reader: Reader, since: Timestamp | None, filters: Filters, show: Callable[[Change], None], *, follow: bool
) -> None:
    seq = 0
    for number, change in reader.scan(since):
        seq = number
        if filters.selects(change):
            show(change)
    seq = max(seq, reader.head()) if since is not None and not seq else seq
    while follow:
        sys.stdout.flush()
        rows = reader.after(seq, _READ)
        for number, change in rows:
            seq = number
            if filters.selects(change):
                show(change)
        if not rows:
            time.sleep(_POLL_SECONDS)


def _json_lines() -> Callable[[Change], None]:
    from exporter.model import encode  # noqa: PLC0415 - see above

    return lambda change: _print(encode(change).decode())


def _table_lines() -> Callable[[Change], None]:
    from exporter import tables  # noqa: PLC0415 - see above

    _print(tables.header())
    if not sys.stdout.isatty():
        return lambda change: _print(tables.line(change))
    from rich.console import Console  # noqa: PLC0415 - see above

    console = Console(highlight=False, soft_wrap=True)
    return lambda change: console.print(tables.coloured(change))


def _since(text: str) -> Timestamp:
    """Read a time: how long ago, or RFC 3339."""
    if match := _DURATION.fullmatch(text):
        ago = timedelta(**{_UNITS[match[2]]: int(match[1])})
        return from_nanoseconds(int((datetime.now(UTC) - ago).timestamp() * 1e9))
    at = normalise(text)
    if at is None:
        msg = f"{text} is no time: write 30s, 15m, 1h, 7d, or 2026-01-31T12:00:00Z"
        raise argparse.ArgumentTypeError(msg)
    return at


def _print(text: str) -> None:
    """The one place that prints."""
    sys.stdout.write(text + "\n")
