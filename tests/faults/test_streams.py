"""What is told when a watch brings what it should not: cut, garbage, twice, late, or an error in its place.

One trial for many faults: each spoils the stream of a type of its own, at the same time as all others, so that none can
hide behind another and the whole costs one start of an exporter. Must never judge by less than every version.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.proxy import Instead
from tests.faults.table import Row
from tests.faults.trial import FULL, Trial
from tests.integration.load import compare
from tests.servers import process
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.faults.proxy import Asked
    from tests.servers.launch import Cluster

    Lines = list[bytes | None]
    # Gives what stands in a line's place; takes the line and those before it, oldest first.
    Spoil = Callable[[bytes, Sequence[bytes]], Lines]

pytestmark = pytest.mark.timeout(1200 if FULL else 300)
_TIMES = 12 if FULL else 1
_ANSWERED = 6 if FULL else 1  # more than the failures after which a list is tried
_EVERY = 5
_KIND = re.compile(rb'"kind":"Soak(\d+)"')
_PORTAL = b"<html><body>Please log in\nto the network</body></html>\n"


def _line(event: str, **content: Any) -> bytes:
    return json.dumps({"type": event, "object": content}, separators=(",", ":")).encode()


def _half(line: bytes) -> bytes:
    return line[: len(line) // 2]


def _version(line: bytes) -> int:
    return int(json.loads(line)["object"]["metadata"].get("resourceVersion", 0))


def _bookmark(line: bytes) -> bytes:
    """A bookmark of a version before that of an event."""
    return _line("BOOKMARK", metadata={"resourceVersion": str(_version(line) - 3)})


# What stands in the place of every so many-th event of a watch.
SPOILS: dict[str, Spoil] = {
    "reset before an event": lambda _, __: [None],
    "reset after an event": lambda line, _: [line, None],
    "half an event, then reset": lambda line, _: [_half(line), None],
    "half an event, then the next": lambda line, _: [_half(line)],
    "garbage for an event": lambda _, __: [b"<html>502 Bad Gateway</html>"],
    "bytes of no text for an event": lambda _, __: [b"\x00\xff\xfe" * 40],
    "a bare Status for an event": lambda _, __: [b'{"kind":"Status","status":"Failure","message":"who knows"}'],
    "an error without a code": lambda _, __: [_line("ERROR", kind="Status", status="Failure")],
    "an error that is no Status": lambda _, __: [b'{"type":"ERROR","object":"oops"}'],
    "error 500 in the stream": lambda _, __: [_line("ERROR", kind="Status", code=500, reason="InternalError")],
    "expired without a code, once": lambda line, before: (
        [line] if len(before) > 2 * _EVERY else [_line("ERROR", kind="Status", reason="Expired")]
    ),
    "each event twice": lambda line, _: [line, line],
    "an event of before once more": lambda line, before: [line, before[-1]],
    "the oldest event once more": lambda line, before: [line, before[0]],
    "a bookmark that goes back": lambda line, _: [line, _bookmark(line)],
    "a bookmark that goes back, then reset": lambda line, _: [line, _bookmark(line), None],
}
# What answers whatever is asked for a type, in the server's place.
ANSWERS: dict[str, Instead] = {
    "500": Instead(500, b'{"kind":"Status","code":500,"reason":"InternalError","message":"etcd is away"}'),
    "502 of a proxy": Instead(502, _PORTAL, {"Content-Type": "text/html"}),
    "503": Instead(503, b""),
    "504": Instead(504, b'{"kind":"Status","code":504,"reason":"Timeout"}'),
    "429 with Retry-After": Instead(429, b"", {"Retry-After": "1"}),
    "429 without Retry-After": Instead(429, b""),
    "a login page with 200": Instead(200, _PORTAL, {"Content-Type": "text/html"}),
    "an answer without a line": Instead(200, b""),
    "half a line, then reset": Instead(200, b'{"type":"MODIFIED","object":{"kind":', cut=True),
}


# Those that have a meaning where there is no event before.
FIRST = [name for name in SPOILS if not name.startswith(("a bookmark", "expired", "an event of", "the oldest"))]


class Spoiler:
    """Puts every so many-th event of each type's watch through that type's own function, so many times."""

    def __init__(self, spoils: Sequence[Spoil | None], times: int) -> None:
        """Prepare: the function of the type Soak3 is the fourth."""
        self._spoils = spoils
        self._before = [deque[bytes](maxlen=200) for _ in spoils]
        self._events = [0 for _ in spoils]
        self.left = [times if spoil else 0 for spoil in spoils]

    def __call__(self, line: bytes) -> Lines:
        """Give what is to be passed on for a line."""
        kind = _KIND.search(line)
        if kind is None or b'"BOOKMARK"' in line[:20]:
            return [line]
        number = int(kind[1])
        spoil, before = self._spoils[number], self._before[number]
        self._events[number] += 1
        lines: Lines = [line]
        if spoil is not None and self.left[number] and len(before) > _EVERY and not self._events[number] % _EVERY:
            self.left[number] -= 1
            # A stream that was broken off brings again what was passed on before, but is not known to have arrived.
            lines = spoil(line, [one for one in before if _version(one) < _version(line)])
        before.append(line)
        return lines


async def test_nothing_in_a_stream_costs_or_makes_up_a_version(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """Whatever stands in an event's place, and whatever answers a watch, every version is told once, in order."""
    spoils: list[Spoil | None] = [*SPOILS.values(), *(None for _ in ANSWERS)]
    spoiler = Spoiler(spoils, _TIMES)
    with Trial(cluster, tmp_path, proxied=True, types=len(spoils), objects=3) as trial:
        trial.proxy.alter(spoiler)
        for number, answer in enumerate(ANSWERS.values(), start=len(SPOILS)):
            trial.proxy.instead(answer, times=_ANSWERED, when=_asks(trial, number))
        trial.proxy.cut()  # so that all watches are opened again
        async with trial.writing(per_second=200):
            await asyncio.to_thread(eventually, lambda: not any(spoiler.left), 600.0)
        rows: list[Row] = []
        try:
            await trial.settle("all of these at once", "watching", rows.append, within=90.0)
        finally:
            for number, fault in enumerate([*SPOILS, *(f"watch answered: {name}" for name in ANSWERS)]):
                record(_row(trial, number, fault, "watching", rows[0]))


@pytest.mark.skipif(not FULL, reason="FAULTS=full: the first lists, spoiled")
async def test_a_first_list_through_trouble_is_still_silent_and_whole(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever spoils the first list: what was there before is told of nobody, and is known when it changes."""
    spoils: list[Spoil | None] = [*(SPOILS[name] for name in FIRST), *(None for _ in ANSWERS), None]
    spoiler = Spoiler(spoils, 2)
    trial = Trial(cluster, tmp_path, proxied=True, types=len(spoils), objects=12)

    def change(line: bytes) -> Lines:
        # The last type is never told that its list is complete.
        endless = b"initial-events-end" in line and b'"kind":"Soak%d"' % (len(spoils) - 1) in line
        return [] if endless else spoiler(line)

    trial.proxy.alter(change)
    for number, answer in enumerate(ANSWERS.values(), start=len(FIRST)):
        trial.proxy.instead(answer, times=_ANSWERED, when=_asks(trial, number))
    monkeypatch.setattr(process, "START_SECONDS", 150.0)  # it waits for that end, twice
    with trial:
        assert await asyncio.to_thread(trial.exporter.changes) == []
        async with trial.writing(per_second=200):
            await asyncio.sleep(3)  # every object is written
        whole = await trial.settle("all of these at once", "listing", lambda _: None, within=90.0)
        faults = [*FIRST, *(f"list answered: {name}" for name in ANSWERS), "no end of the list"]
        for number, fault in enumerate(faults):
            record(_row(trial, number, fault, "listing", whole))


def _asks(trial: Trial, number: int) -> Callable[[Asked], bool]:
    """Whether a request asks for anything of a type."""
    return lambda asked: asked.path.endswith(f"/{trial.load.group}/v1/soak{number}s")


def _row(trial: Trial, number: int, fault: str, phase: str, whole: Row) -> Row:
    """What became of one type."""
    kind = f"Soak{number}"
    truth = {key: versions for key, versions in trial.load.truth.items() if key.kind == kind}
    compared = compare(truth, trial.exporter.changes(f"--kind={kind}"))
    return Row(
        fault, phase, True, compared.versions, len(compared.lost), len(compared.invented), len(compared.duplicates),
        len(compared.disordered), 0, whole.seconds,
    )  # fmt: skip
