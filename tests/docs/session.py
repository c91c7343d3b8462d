"""Plays a page: runs the commands that it shows, in its order, and compares what they print with what it says.

What a page has to keep to, so that people and this module read it alike:

- A `console` block holds commands, each behind `$ `, and below each what it prints. It belongs to one terminal that
  lasts for the whole page; `console terminal=NAME` is another one. A command of such another terminal may stay: a
  block that begins without `$ ` shows what it prints later, and `^C` on a line of its own interrupts it. What came
  sooner than the page has come to it is left to the blocks that follow, and belongs to one of them.
- A block with `file=NAME` behind its language is a file to be written.
- `…` stands for any text within a line, and alone in a line for any lines.
- Times, uids, ids, resourceVersions and ports differ from run to run, and are not compared. Everything else is.

Must never run a page outside a scratch directory, and never let a port or a file of the user's be touched.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from tests.servers.process import free_port


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECONDS = 30.0
_POLL_SECONDS = 0.05
_END = "the-command-has-ended"
_BLOCK = re.compile(r"^```(\w+)((?: \w+=\S+)*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What no run has in common with another, and the word that stands for it when two are compared.
_VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z( at the latest)?"), "(time)"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "(uid)"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "(id)"),
    (re.compile(r'(?<="resource_version":)"\d+"'), '"(version)"'),
    (re.compile(r"(?<=://)(127\.0\.0\.1|localhost):\d+"), "(address)"),
)
# These only read, so they can be asked again until what was done before has arrived.
_READS = ("customresource-exporter changes", "customresource-exporter drift", "curl", "kubectl auth can-i")


class Step(Struct, frozen=True):
    """Something to do on the way down a page; `line` is where the page says it.

    Args:
        do: the command, `^C`, or the text of a file; empty to see what a command that stays prints later
        shows: what the page prints below a command
        terminal: where; empty for the first one
        file: the name of a file to write instead

    """

    line: int
    do: str
    shows: str = ""
    terminal: str = ""
    file: str = ""


class PageError(AssertionError):
    """A page says something else than what happens."""


def steps(text: str) -> Iterator[Step]:
    """Read a page."""
    for block in _BLOCK.finditer(text):
        language, marks, body = block.groups()
        options = dict(mark.split("=") for mark in marks.split())
        line = text.count("\n", 0, block.start(3)) + 1
        if "file" in options:
            yield Step(line, body, file=options["file"])
        elif language == "console":
            for part in filter(None, re.split(r"^(?=\$ |\^C$)", body, flags=re.MULTILINE)):
                command, shows = _divided(part) if part.startswith(("$ ", "^C")) else ("", part)
                yield Step(line, command, shows, terminal=options.get("terminal", ""))
                line += part.count("\n")


def _divided(part: str) -> tuple[str, str]:
    """Tell a command, which goes on after a backslash, from what it prints."""
    lines = part.splitlines()
    end = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
    return "\n".join(lines[:end]).removeprefix("$ "), "\n".join(lines[end:])


def agrees(shows: str, printed: str) -> bool:
    """Tell whether what was printed is what a page shows."""
    pattern = ""
    for line in _comparable(shows):
        if line == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*".join(map(re.escape, line.split("…"))) + "\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _comparable(printed))) is not None


def _beginning(shows: str, printed: str) -> str | None:
    """Give the whole lines with which what was printed begins as a page shows it; None where it does not."""
    if not shows.strip():
        return None if printed.strip() else printed
    lines = re.findall(r"[^\n]*\n", printed)
    beginnings = ("".join(lines[:count]) for count in range(len(lines), -1, -1))
    return next((one for one in beginnings if agrees(shows, one)), None)


def _comparable(text: str) -> list[str]:
    for varies, word in _VARIES:
        text = varies.sub(word, text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


class Terminal:
    """A shell that lasts, with what it has printed since the last command.

    Args:
        directory: where it is
        environment: all that it has

    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            # Tests in the background are told to ignore Ctrl-C, and what they start would be, too.
            ["/usr/bin/env", "--default-signal=INT", "/bin/bash", "--norc", "--noprofile"],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._printed = bytearray()
        self._from = self._looked = self._seen = 0
        self._used = False
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, command: str) -> None:
        """Enter a command."""
        if self._used:
            self._wait_for_the_end()
        self._from = len(self._printed)
        self._used = True
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{command}\nprintf '\\n%s %d\\n' {_END} $?\n".encode())
        self._shell.stdin.flush()

    def interrupt(self) -> None:
        """Press Ctrl-C: what runs in the shell gets SIGINT."""
        unshown = self._printed[self._from : self._seen].decode(errors="replace").strip()
        assert not unshown, f"no page shows that it printed\n{unshown}"
        self._from = len(self._printed)
        children = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text(encoding="ascii").split()
        assert children, "nothing runs in this terminal"
        for child in children:
            os.kill(int(child), signal.SIGINT)

    def printed(self) -> tuple[str, int | None]:
        """Give what was printed since, and the exit code once the command has ended."""
        self._looked = len(self._printed)
        text = self._printed[self._from : self._looked].decode(errors="replace")
        ended = re.search(rf"\n?^{_END} (\d+)\n", text, re.MULTILINE)
        return (text[: ended.start()], int(ended[1])) if ended else (text, None)

    def seen(self, text: str) -> None:
        """Leave out from now on what `printed` gave last begins with; what it had behind that is still to be shown."""
        self._from += len(text.encode())
        self._seen = self._looked

    def _wait_for_the_end(self) -> None:
        """Let the command before end: one that prints nothing agrees with its page before it has begun."""
        deadline = time.monotonic() + _SECONDS
        while self.printed()[1] is None:
            assert time.monotonic() < deadline, "the command before is still running in this terminal"
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End the shell and whatever runs in it."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        self._reader.join()
        for stream in (self._shell.stdin, self._shell.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._shell.stdout is not None
        while chunk := self._shell.stdout.read1(65536):  # type: ignore[attr-defined]
            self._printed += chunk


class Session:
    """One reading of a page, in a directory of its own.

    Args:
        directory: an empty one
        path: directories of programs that come before those of PATH
        ports: numbers that the page names, which are exchanged for free ones

    """

    def __init__(self, directory: Path, *, path: tuple[Path, ...] = (), ports: tuple[int, ...] = ()) -> None:
        self._directory = directory
        self._ports = {str(port): str(free_port()) for port in ports}
        # Nothing that a developer has set for other programs may change what the page does.
        self._environment = {
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        self._terminals: dict[str, Terminal] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Begin with no terminal open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all terminals."""
        self._open.close()

    def play(self, step: Step) -> str:
        """Do it; give what was printed.

        Raises:
            PageError: it is not what the page shows

        """
        if step.file:
            (self._directory / step.file).write_text(self._with_free_ports(step.do), encoding="utf-8")
            return ""
        terminal = self._terminal(step.terminal)
        if step.do == "^C":
            terminal.interrupt()
        elif step.do:
            terminal.type(self._with_free_ports(step.do))
        deadline = time.monotonic() + _SECONDS
        came = ""
        while time.monotonic() < deadline:
            printed, code = terminal.printed()
            if code is None and step.terminal and step.do != "^C":  # it stays
                shown = _beginning(step.shows, printed)
                if shown is not None:
                    terminal.seen(shown)
                    return shown
            elif (code == 0 or (code is not None and step.do == "^C")) and agrees(step.shows, printed):
                return printed
            if code is not None:
                came = f"exit code {code}\n--- printed\n{printed}"
                if not step.do.startswith(_READS):
                    break
                terminal.type(self._with_free_ports(step.do))
            time.sleep(_POLL_SECONDS)
        came = came or f"it has not ended\n--- printed\n{printed}"
        raise PageError(f"line {step.line}: {step.do!r}\n--- the page\n{step.shows}\n--- {came}")

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            terminal = self._terminals[name] = Terminal(self._directory, self._environment)
            self._open.callback(terminal.close)
        return self._terminals[name]

    def _with_free_ports(self, text: str) -> str:
        return re.sub(r"\b\d{4,5}\b", lambda found: self._ports.get(found[0], found[0]), text)
