"""Whatever is seen, in any order and with restarts anywhere: each rollout that is opened is told once, and the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.records import ROLLOUT_RESULTS, Rollout, decode_record, encode_record, kind_of
from exporter.rollout.values import decode, encode
from tests.rollout.world import World, later, ready, status


STATUSES: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"ready": "True"},
    {"ready": "False"},
    {"ready": "True", "behind": True},
    {"ready": "False", "stalled": True},
    {"ready": "Unknown", "silent": True},
    {"phase": "Running"},
)
PAUSES = (0.0, 0.3, 2.0, 4.0, 7.0, 70.0, 4000.0)
NAMES = {"App": (), "Part": ("App-x",), "Leaf": ("Part-x",)}

moves = st.lists(
    st.tuples(
        st.sampled_from(PAUSES),
        st.sampled_from(["see", "edit", "label", "delete", "mark", "leave", "gap"]),
        st.sampled_from([*NAMES]),
        st.sampled_from(STATUSES),
    ),
    max_size=20,
)


class Player:
    """Plays moves in a world, and notes which rollouts were ever open and certain to be told."""

    def __init__(self, *, known: bool) -> None:
        self.world = World()
        self.seconds = 0.0
        self.generations = dict.fromkeys(NAMES, 0)
        self.lives = dict.fromkeys(NAMES, 0)
        self.marked: dict[str, dict[str, Any]] = {}
        self.statuses: dict[str, dict[str, Any]] = {}
        self.certain: set[str] = set()
        self.left: set[str] = set()
        for kind in NAMES if known else ():
            self.world.see(
                "00:00:00", name="older", kind=kind, mode="baseline", generation=2, status=status(2, ready())
            )

    @property
    def clock(self) -> str:
        """The time now."""
        return later("01:00:00", self.seconds)

    def play(self, pause: float, what: str, kind: str, said: dict[str, Any] | None) -> None:
        """Make a move; one that makes no sense for an object that is not there makes it first."""
        self.seconds += pause
        self.world.pass_time(self.clock)
        new = not self.generations[kind]
        if new:
            self.generations[kind] = 1
            self.lives[kind] += 1
        elif what in ("edit", "mark"):
            self.generations[kind] += 1
        if what == "mark":
            self.marked[kind] = {"deletionTimestamp": self.clock}
        if said is not None:
            self.statuses[kind] = self._status(kind, said)
        mode: Any = "catch_up" if what == "gap" else "left" if what == "leave" else "fresh" if new else "live"
        event: Any = "deleted" if what in ("delete", "leave") and not new else "added" if new else "modified"
        if mode == "left" and new:
            mode = "fresh"
        kept = self.world.kept("x", kind)
        if mode == "left" and kept is not None and kept.open is not None:
            self.left.add(kept.open.begun.id)
        meta = self.marked.get(kind, {}) | ({"labels": {"n": str(self.seconds)}} if what == "label" else {})
        uid = f"{kind}-x" if self.lives[kind] == 1 else f"{kind}-x-{self.lives[kind]}"
        more = {"status": self.statuses[kind]} if kind in self.statuses else {}
        self.world.see(
            self.clock,
            name="x",
            kind=kind,
            uid=uid,
            generation=self.generations[kind],
            event=event,
            mode=mode,
            meta=meta,
            owners=NAMES[kind],
            **more,
        )
        if event == "deleted":
            self.generations[kind] = 0
            self.marked.pop(kind, None)
            self.statuses.pop(kind, None)
        self._note()

    def _status(self, kind: str, said: dict[str, Any]) -> dict[str, Any]:
        generation = self.generations[kind] - (1 if said.get("behind") else 0)
        conditions = [ready(said["ready"])] if "ready" in said else []
        conditions += [{"type": "Stalled", "status": "True"}] if said.get("stalled") else []
        word = {"phase": said["phase"]} if "phase" in said else {}
        return status(None if said.get("silent") else generation or None, *conditions, **word)

    def _note(self) -> None:
        for state in self.world.pages.states.values():
            if state.shown and (now := decode(state.line).open) is not None and now.speaks:
                self.certain.add(now.begun.id)

    def end(self) -> list[Rollout]:
        """Let all the time pass that there is."""
        self._note()
        self.seconds += 20_000
        self.world.pass_time(self.clock)
        return [one for told in self.world.told for one in told.all()]


def same(rollouts: list[Rollout]) -> dict[str, Rollout]:
    """Leave out when it was noticed, and who is told with whom: that may be later after a restart."""
    return {one.id: replace(one, observed=one.ended, children=()) for one in rollouts}


@settings(deadline=None, max_examples=150)
@given(moves, st.booleans())
def test_what_is_opened_is_told_once(played: list[Any], known: bool) -> None:
    """Each rollout that is certain to be told is told exactly once, in order within itself; in the end none is open."""
    player = Player(known=known)
    for move in played:
        player.play(*move)
    told = player.end()

    assert len(told) == len({one.id for one in told}) == len({one.span for one in told})
    assert player.certain - player.left == {one.id for one in told}
    assert not any(state.due for state in player.world.pages.states.values())
    hints = player.world.keeper._hints
    assert not any((hints.open, hints.held, hints.owned, hints.below))
    for one in told:
        assert one.result in ROLLOUT_RESULTS
        assert one.started <= one.ended <= player.clock
        assert all(one.started <= stage.started <= stage.ended <= one.ended for stage in one.stages)
        assert all(child.trace == one.trace and child.parent == one.span for child in one.children)


@settings(deadline=None, max_examples=150)
@given(moves, st.sets(st.integers(0, 20)), st.booleans())
def test_restarts_change_nothing(played: list[Any], restarts: set[int], known: bool) -> None:
    """Started anew between any two versions, from what the journal holds, the exporter tells the very same."""
    through, broken = Player(known=known), Player(known=known)
    for number, move in enumerate(played):
        through.play(*move)
        if number in restarts:
            broken.world.restart(broken.clock)
        broken.play(*move)
        for state in broken.world.pages.states.values():
            if state.shown:
                assert decode(encode(decode(state.line))) == decode(state.line)

    assert same(through.end()) == same(broken.end())


@settings(deadline=None, max_examples=50)
@given(moves)
def test_a_record_survives_being_written(played: list[Any]) -> None:
    """What the journal stores of a rollout comes back equal."""
    player = Player(known=True)
    for move in played:
        player.play(*move)
    player.end()

    assert player.world.told == [decode_record(kind_of(one), encode_record(one)) for one in player.world.told]
