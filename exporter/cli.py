"""The command line: reads the arguments, calls what does the work, turns errors into one line and an exit code.

Must never decide anything else, and never import at its top what only one of the commands needs: `version` and
`changes` are typed by people who wait.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from exporter import PROGRAM, __version__
from exporter.errors import ExporterError, UsageError
from exporter.options import RunOptions


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from exporter.timestamps import Timestamp


_DEFAULTS = RunOptions()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name.

    Returns:
        the exit code: 0 ended as asked, 1 failed, 2 wrong usage or configuration, 130 `demo` was interrupted

    """
    options = _parser().parse_args(arguments)
    # A terminal that cannot show a character shows its number; that is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return _flushed(command(options))
    except ExporterError as error:
        from exporter.changes.redact import redact_text  # noqa: PLC0415 - see the module's first lines

        sys.stderr.write(f"{PROGRAM}: {redact_text(str(error))}\n")
        return error.exit_code
    except BrokenPipeError:
        if command is _run:
            raise  # not our stdout
        _silence()  # whoever read us has enough (`| head`)
        return 0
    except OSError as error:
        if command is _run or error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _silence()
        sys.stderr.write(f"{PROGRAM}: cannot write the output: {error.strerror}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Follows every custom resource of a Kubernetes cluster: what changed, which field, who did it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, command: Callable[[argparse.Namespace], int]) -> Callable[..., Any]:
        one = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        one.set_defaults(command=command)
        return one.add_argument

    flag = add("run", "Follow the cluster: write the journal, serve /metrics, deliver what OTEL_* names.", _run)
    flag("--kubeconfig", metavar="F", help="file with the way to the cluster (else KUBECONFIG, ~/.kube, in-cluster)")
    flag("--context", metavar="C", help="context in that file (else its current one)")
    flag("--config", metavar="F", help="configuration file (else every custom resource is followed)")
    _data_dir(flag)
    flag(
        "--web.listen-address", dest="listen_address", metavar="H:P", default=_DEFAULTS.listen_address,
        help="where /metrics is served (default: %(default)s)",
    )  # fmt: skip
    _web_config(flag)
    flag(
        "--web.enable-lifecycle", dest="lifecycle", action="store_true",
        help="let POST /-/reload read the configuration again, as SIGHUP does",
    )  # fmt: skip
    flag(
        "--log.level", dest="log_level", choices=("debug", "info", "warning", "error"),
        default=_DEFAULTS.log_level, help="the least that is logged (default: %(default)s)",
    )  # fmt: skip
    flag(
        "--log.format", dest="log_format", choices=("json", "console"), default=_DEFAULTS.log_format,
        help="form of the log (default: %(default)s)",
    )  # fmt: skip

    flag = add("changes", "Show the history that a running or past exporter has written.", _changes)
    _data_dir(flag)
    flag("--since", type=_since, metavar="T", help="30s, 15m, 1h, 7d, or a time such as 2026-01-31T12:00:00Z")
    flag("--kind", metavar="K", help="kind or plural, also with .group; globs in this and the next ones")
    flag("--namespace", metavar="N", help="namespace of the object; '' for what is cluster-scoped")
    flag("--name", metavar="X", help="name of the object")
    flag("--writer", metavar="W", help="who wrote: a name, human, gitops, controller, unknown, or unresolved")
    flag("--change", metavar="C", help="what changed: created, deleted, spec, status, …")
    flag("--all", action="store_true", help="heartbeats and no-ops too")
    flag("--follow", action="store_true", help="go on as changes come in, until interrupted")
    flag("-o", dest="output", choices=("table", "json"), default="table", help="form (default: %(default)s)")

    flag = add("drift", "Show what no longer matches what was declared, since when, and by whom.", _drift)
    _data_dir(flag)
    flag(
        "object",
        nargs="?",
        metavar="KIND/NAME",
        help="explain field by field; globs; KIND or /NAME may be left out",
    )
    flag("--namespace", metavar="N", help="namespace of the object; '' for what is cluster-scoped; globs")
    flag("--all", action="store_true", help="what is as declared, too")
    flag("--fail", action="store_true", help="exit with 1 where something is not as declared, for scripts")
    flag("-o", dest="output", choices=("table", "json"), default="table", help="form (default: %(default)s)")

    flag = add("rollouts", "Show what is being rolled out, for how long, and what it waits for.", _rollouts)
    _data_dir(flag)
    flag(
        "object",
        nargs="?",
        metavar="KIND/NAME",
        help="draw its last rollout as a waterfall; globs; KIND or /NAME may be left out",
    )
    flag("--namespace", metavar="N", help="namespace of the object; '' for what is cluster-scoped; globs")
    flag("--since", type=_since, metavar="T", help="those that have ended since, too: 1h, or a time")
    flag("-o", dest="output", choices=("table", "json"), default="table", help="form (default: %(default)s)")

    add_demo_flags(add("demo", "Play a scripted day on an emulated API server, and show what is seen of it.", _demo))

    flag = add(
        "check-config",
        "Read a configuration file and say what it selects; the same for a web configuration.",
        _check_config,
    )
    flag("file", nargs="?", metavar="F", help="the file")
    _web_config(flag)

    add("version", "Print the version.", _version)
    return parser


def _data_dir(flag: Callable[..., Any]) -> None:
    flag("--data-dir", metavar="D", default=_DEFAULTS.data_dir, help="directory of the journal (default: %(default)s)")


def _web_config(flag: Callable[..., Any]) -> None:
    text = "file with TLS, users and headers of the web address (else plain HTTP for everybody)"
    flag("--web.config.file", dest="web_config", metavar="F", help=text)


def add_demo_flags(flag: Callable[..., Any]) -> None:
    """Add the flags of `demo`.

    Args:
        flag: `add_argument` of a parser

    """
    flag("--once", action="store_true", help="end after the day, instead of staying up until Ctrl-C")
    flag(
        "--speed", type=_speed, metavar="X", default="1",
        help="how many times faster the day passes (default: %(default)s)",
    )  # fmt: skip


def _speed(text: str) -> float:
    with suppress(ValueError):
        if (speed := float(text)) > 0:
            return speed
    msg = f"{text!r} is not a number above 0, such as 0.5 or 10"
    raise argparse.ArgumentTypeError(msg)


def _since(text: str) -> Timestamp:
    from exporter.config_values import duration  # noqa: PLC0415 - see the module's first lines
    from exporter.timestamps import from_nanoseconds, normalise  # noqa: PLC0415

    try:
        return normalise(text) or from_nanoseconds(max(0, time.time_ns() - duration(text)))
    except (ValueError, OverflowError):
        msg = f"{text!r} is neither a duration (30s, 15m, 1h, 7d) nor a time with its zone (2026-01-31T12:00:00Z)"
        raise argparse.ArgumentTypeError(msg) from None


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _flushed(code: int) -> int:
    """Write out what is buffered while a closed pipe can still be handled, not when the interpreter ends."""
    sys.stdout.flush()
    return code


def _silence() -> None:
    """Let the interpreter's own last flush go nowhere, so that it does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(options: argparse.Namespace) -> int:
    from exporter import app  # noqa: PLC0415

    values = {name: getattr(options, name) for name in RunOptions.__struct_fields__}
    return app.run(RunOptions(**values))


def _version(_: argparse.Namespace) -> int:
    _print(f"{PROGRAM} {__version__}")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from exporter.sandbox.demo import run  # noqa: PLC0415
    from exporter.sandbox.screen import Screen  # noqa: PLC0415

    return run(Screen(sys.stdout), once=options.once, speed=options.speed)


def _changes(options: argparse.Namespace) -> int:
    from exporter.cli_changes import show  # noqa: PLC0415

    return show(options)


def _drift(options: argparse.Namespace) -> int:
    from exporter.cli_drift import show  # noqa: PLC0415

    return show(options)


def _rollouts(options: argparse.Namespace) -> int:
    from exporter.cli_rollouts import show  # noqa: PLC0415

    return show(options)


def _check_config(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime  # noqa: PLC0415

    from exporter.config import load  # noqa: PLC0415
    from exporter.tables import describe  # noqa: PLC0415
    from exporter.web.source import read  # noqa: PLC0415
    from exporter.web.telling import describe as describe_web  # noqa: PLC0415

    if options.file is None and options.web_config is None:
        raise UsageError("there is nothing to check: name a configuration file, or one with --web.config.file")
    lines: list[str] = []
    if options.file is not None:
        lines += describe(load(options.file), datetime.now(UTC).date())
    if options.web_config is not None:
        lines += describe_web(read(options.web_config).config)
    for line in lines:
        _print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
