"""What time makes of one look after the other: nothing before it has lasted, one episode for all of it, one end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from exporter.drift.episodes import gone, look
from exporter.drift.evaluate import NO_MEMORY
from exporter.drift.held import Episode, Held, held
from exporter.drift.settings import DriftSettings, Flapping
from exporter.drift.values import Evaluation
from exporter.model import Writer
from exporter.records import Finding
from exporter.timestamps import Timestamp, from_nanoseconds, normalise


if TYPE_CHECKING:
    from exporter.drift.episodes import Turn
    from exporter.model import WriterClass
    from exporter.records import ResolvedBy

SECOND = 10**9
MINUTE = 60 * SECOND
START = 1_772_359_200 * SECOND  # 2026-03-01T10:00:00Z
SETTINGS = DriftSettings()  # 2 minutes to settle, 1 to clear, flapping at 3 in an hour
NEW = Held("uid-1", "Widget", "unmanaged", Evaluation(), NO_MEMORY)


def at(seconds: float) -> int:
    """Give a moment, in seconds after the start."""
    return START + round(seconds * SECOND)


def time(seconds: float) -> Timestamp:
    """Write a moment."""
    return from_nanoseconds(at(seconds))


def right(**more: Any) -> Evaluation:
    """Find everything as declared."""
    return Evaluation(**{"declarer": "argocd", "baseline": "last_applied", "confidence": "high"} | more)


def finding(path: str = "/spec/a", by: WriterClass = "human", wrote: float | None = None) -> Finding:
    """Find a field that somebody changed."""
    more = {} if wrote is None else {"at": time(wrote)}
    writer = Writer(name=f"a-{by}", class_=by, source="managed_fields")
    return Finding(path=path, finding="changed", declared=1, live=2, writer=writer, **more)


def wrong(*findings: Finding, **more: Any) -> Evaluation:
    """Find something that is not as declared."""
    return right(findings=findings or (finding(),), **more)


class Life:
    """One object, looked at again and again."""

    def __init__(self, settings: DriftSettings = SETTINGS, begin: Held = NEW) -> None:
        self.settings = settings
        self.held = begin
        self.told: list[str] = []
        self.turn: Turn | None = None

    def see(self, seconds: float, found: Evaluation, by: ResolvedBy = "unknown", change: str = "") -> str:
        """Look at it; the state."""
        return self._take(look(self.held, found, at(seconds), self.settings, by, change))

    def wait(self, seconds: float) -> str:
        """Look at it again, since time has gone by; the state."""
        return self.see(seconds, self.held.evaluation)

    @property
    def due(self) -> float | None:
        """When it is to be looked at again, in seconds after the start."""
        assert self.turn is not None
        return None if self.turn.due is None else (self.turn.due - START) / SECOND

    @property
    def episode(self) -> Episode:
        """What lasts."""
        assert self.held.episode is not None
        return self.held.episode

    def _take(self, turn: Turn) -> str:
        self.turn, self.held = turn, held(turn.held.keep(turn.due))
        self.told += [turn.event] if turn.event is not None else []
        return self.held.state


# -- what is nothing to tell of -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Evaluation(), "unmanaged"),
        (right(), "in_sync"),
        (right(ignored=(finding(),)), "ignored"),
        (right(unknown="another version"), "unknown"),
        (wrong(unknown="another version"), "unknown"),
        (wrong(suspended="paused"), "suspended"),
    ],
)
def test_what_is_no_drift_is_never_told(found: Evaluation, expected: str) -> None:
    """However often it is looked at, nothing begins, and no time is named at which it would."""
    life = Life()

    for seconds in (0, 60, 3600, 86400):
        assert (life.see(seconds, found), life.due) == (expected, None)
    assert (life.told, life.held.episode) == ([], None)


def test_what_goes_before_it_has_settled_is_nothing() -> None:
    """A finding of a minute and 59 seconds was a rollout, and of it nothing is left but that it was there."""
    life = Life()
    life.see(0, wrong())

    assert life.see(119, right()) == "in_sync"
    assert (life.told, life.held.episode, life.due) == ([], None, 3600)
    assert (life.wait(3600), life.held.turns, life.due) == ("in_sync", (), None)


@pytest.mark.parametrize(
    ("declared", "settled"),
    [(0, 120), (60, 180), (-60, 120), (-7200, 120)],
)
def test_while_a_rollout_is_in_progress_what_is_wrong_is_pending(declared: float, settled: float) -> None:
    """It counts from the declarer's last write, or from when it was seen, whichever is later."""
    life = Life()

    assert life.see(0, wrong(declared_at=time(declared))) == "pending"
    assert (life.due, life.wait(settled - 0.001)) == (settled, "pending")
    assert (life.wait(settled), life.told) == ("drifted", ["drift.opened"])


def test_each_write_of_the_declarer_begins_the_rollout_anew() -> None:
    """As long as the declarer goes on writing, what it has not yet put right is its own affair."""
    life = Life()
    states = [life.see(seconds, wrong(declared_at=time(seconds))) for seconds in range(0, 600, 100)]

    assert states == ["pending"] * 6
    assert (life.due, life.wait(620), life.episode.since) == (620, "drifted", time(0))


def test_a_declarer_that_writes_while_it_is_drifted_does_not_hide_it() -> None:
    """What has been told lasts until it is right."""
    life = Life()
    life.see(0, wrong())
    life.wait(120)

    assert life.see(130, wrong(declared_at=time(130))) == "drifted"
    assert life.told == ["drift.opened"]


@pytest.mark.parametrize("found", [right(unknown="too large"), right(suspended="paused"), wrong(suspended="paused")])
@pytest.mark.parametrize("waited", [0, 120])
def test_while_there_is_no_telling_an_episode_neither_begins_nor_ends(found: Evaluation, waited: int) -> None:
    """Pending or open, it is kept as it is through a day of silence, and goes on with the same since."""
    life = Life()
    life.see(0, wrong())
    life.wait(waited)
    before, told = life.episode, list(life.told)
    life.see(130, found)
    life.wait(86_400)

    assert (life.episode, life.told) == (before, told)
    assert (life.see(86_401, wrong()), life.told) == ("drifted", ["drift.opened"])
    assert life.episode.since == time(0)


def test_silence_ends_by_itself_at_its_time() -> None:
    """The time until which somebody asked for silence is when it is looked at again."""
    life = Life()
    life.see(0, wrong(suspended="silenced", suspended_until=time(500)))
    assert (life.held.state, life.due) == ("suspended", 500)

    assert life.see(500, wrong()) == "pending"  # what lay under it was never seen to begin
    assert life.due == 620


def test_a_silence_of_centuries_is_a_time_that_can_be_kept() -> None:
    """The journal counts nanoseconds in 64 bits: what is beyond them is as late as they go."""
    life = Life()
    life.see(0, wrong(suspended="silenced", suspended_until="9999-12-31T23:59:59.000000Z"))
    assert life.turn is not None

    assert life.held.keep(life.turn.due).due == 2**63 - 1


# -- since -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrote", "declared", "expected"),
    [
        ([None], None, (0, "observed")),
        ([-500], None, (-500, "managed_fields")),
        ([-500, -900], None, (-900, "managed_fields")),
        ([-500, -900], -600, (-500, "managed_fields")),
        ([-500], -500, (0, "observed")),
        ([-500], -400, (0, "observed")),
        ([0], None, (0, "observed")),
        ([30], None, (0, "observed")),
    ],
)
def test_since_is_what_a_writer_says_if_that_can_be(
    wrote: list[float | None], declared: float | None, expected: tuple[float, str]
) -> None:
    """A writer's time before the declarer's last write, or after it was seen, is not when it began."""
    life = Life()
    life.see(0, wrong(*(finding(wrote=one) for one in wrote), declared_at="" if declared is None else time(declared)))

    assert (life.episode.since, life.episode.source) == (time(expected[0]), expected[1])


def test_what_nobody_is_named_for_has_no_time_but_our_own() -> None:
    """A removal leaves no trace, so since is when it was seen."""
    life = Life()
    life.see(0, wrong(Finding(path="/spec/a", finding="missing", at=time(-500))))

    assert (life.episode.since, life.episode.source) == (time(0), "observed")


def test_what_was_wrong_for_long_counts_at_first_sight() -> None:
    """Who is started when something has been wrong for a day does not wait for it to settle."""
    life = Life()

    assert life.see(0, wrong(finding(wrote=-86_400))) == "drifted"
    assert (life.told, life.due) == (["drift.opened"], None)


# -- what is told while it lasts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (wrong(), []),
        (wrong(finding(wrote=-1)), []),
        (wrong(finding(by="human"), declared_at=time(150)), []),
        (wrong(flags=("additions",)), []),
        (wrong(finding("/spec/b")), ["drift.changed"]),
        (wrong(finding(), finding("/spec/b")), ["drift.changed"]),
        (wrong(finding(by="controller")), ["drift.changed"]),
    ],
)
def test_a_change_is_told_only_when_something_else_is_wrong(then: Evaluation, expected: list[str]) -> None:
    """Not who, when or beside what: other fields, other values, or another to blame. Since stays."""
    life = Life()
    life.see(0, wrong())
    life.wait(120)

    assert life.see(150, then) == "drifted"
    life.wait(200)
    assert life.told == ["drift.opened", *expected]
    assert life.episode.since == time(0)


# -- the end -------------------------------------------------------------------------------------------------------


def test_it_ends_once_it_has_been_right_for_long_enough() -> None:
    """Who put it right is who wrote the first version that was; how long it was wrong is told without the wait."""
    life = Life()
    life.see(0, wrong())
    life.wait(120)

    assert (life.see(300, right(), "declarer"), life.due) == ("drifted", 360)
    assert (life.see(310, right(), "controller"), life.wait(359.999)) == ("drifted", "drifted")
    assert life.wait(360) == "in_sync"
    assert life.told == ["drift.opened", "drift.closed"]
    assert life.turn is not None
    assert life.turn.ended is not None
    assert (life.turn.ended.righted_by, life.turn.duration) == ("declarer", 300.0)


def test_what_is_wrong_again_before_that_goes_on() -> None:
    """A minute of calm is no end, and who broke it off is not who ends it."""
    life = Life()
    life.see(0, wrong())
    life.wait(120)
    life.see(300, right(), "human")
    life.see(330, wrong())

    assert (life.held.state, life.told, life.episode.right_at) == ("drifted", ["drift.opened"], None)
    life.see(400, right(), "declarer")
    life.wait(460)
    assert life.turn is not None
    assert life.turn.ended is not None
    assert (life.turn.ended.righted_by, life.turn.duration) == ("declarer", 400.0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [(right(ignored=(finding(),)), "ignored"), (Evaluation(), "unmanaged")],
)
def test_a_rule_or_the_loss_of_the_baseline_ends_it_too(found: Evaluation, expected: str) -> None:
    """What nobody declares any more, or a rule excuses, is not drift."""
    life = Life()
    life.see(0, wrong())
    life.wait(120)
    life.see(200, found)

    assert (life.wait(260), life.told) == (expected, ["drift.opened", "drift.closed"])


@pytest.mark.parametrize(
    ("looks", "told", "by", "seconds"),
    [
        ([], [], None, 0.0),
        ([(0, wrong())], [], None, 0.0),
        ([(0, wrong()), (120, wrong())], ["drift.opened", "drift.closed"], "deleted", 200.0),
        ([(0, wrong()), (120, wrong()), (190, right())], ["drift.opened", "drift.closed"], "declarer", 190.0),
        ([(0, wrong()), (120, wrong()), (190, right(unknown="?"))], ["drift.opened", "drift.closed"], "deleted", 200.0),
    ],
)
def test_the_end_of_the_object_ends_what_was_told_of_it(
    looks: list[tuple[float, Evaluation]], told: list[str], by: str | None, seconds: float
) -> None:
    """What was put right a moment before was not put right by the deletion."""
    life = Life()
    for when, found in looks:
        life.see(when, found, "declarer")
    turn = gone(life.held, at(200))

    assert [*life.told, *([turn.event] if turn.event else [])] == told
    assert (turn.ended.righted_by if turn.ended else None, turn.duration) == (by, seconds)
    assert (turn.held.state, turn.held.episode, turn.due) == ("in_sync", None, None)


def test_a_clock_that_is_set_back_makes_no_negative_time() -> None:
    """However the clock moves, an episode took no less than nothing."""
    life = Life()
    life.see(0, wrong())
    life.wait(120)
    life.see(-500, right())
    life.wait(-440)

    assert (life.told, life.turn is not None and life.turn.duration) == (["drift.opened", "drift.closed"], 0.0)


# -- flapping ----------------------------------------------------------------------------------------------------------


def flap(life: Life, *times: float) -> None:
    """Let it be wrong at these times, and right ten seconds later."""
    for seconds in times:
        life.see(seconds, wrong())
        life.see(seconds + 10, right())


def test_coming_and_going_twice_is_not_flapping() -> None:
    """Two short ones within an hour are nothing, nor are many that are further apart."""
    life = Life()
    flap(life, 0, 1000, 3601, 4602, 7203)

    assert (life.told, life.held.state) == ([], "in_sync")


def test_the_third_time_within_the_window_is_flapping_and_is_told_once() -> None:
    """It opens without waiting, is one episode for all that follows, and goes on while it comes and goes."""
    life = Life()
    flap(life, 0, 100)
    assert life.see(200, wrong()) == "flapping"
    assert life.told == ["drift.opened"]
    flap(life, *range(300, 3600, 100))

    assert (life.held.state, life.told) == ("flapping", ["drift.opened"])
    assert life.episode.since == time(200)


def test_flapping_ends_an_hour_after_it_last_was_too_often() -> None:
    """What is right then is over at once, since it has been right for longer than the time to clear."""
    life = Life()
    flap(life, 0, 100, 200)

    assert (life.held.state, life.due) == ("flapping", 3600)
    assert life.wait(3599.999) == "flapping"
    assert (life.wait(3600), life.told) == ("in_sync", ["drift.opened", "drift.closed"])
    assert life.turn is not None
    assert (life.turn.duration, life.due) == (10.0, None)  # from 200 to 210


def test_what_is_still_wrong_when_flapping_ends_is_drifted() -> None:
    """And if it is something else than what was told, that is told then."""
    life = Life()
    flap(life, 0, 100)
    life.see(200, wrong())
    life.see(300, wrong(finding("/spec/b")))
    assert (life.held.state, life.due, life.told) == ("flapping", 3600, ["drift.opened"])

    assert life.wait(3600) == "drifted"
    assert (life.told, life.due) == (["drift.opened", "drift.changed"], None)


def test_a_directory_that_is_ahead_of_what_is_applied_is_no_turn() -> None:
    """A manifest comes first, and its object is wrong until it is applied: however often, that is no flapping."""
    life = Life()
    for seconds in range(0, 3000, 100):
        manifest = {"baseline": "directory", "declared_at": time(seconds)}
        assert life.see(seconds, wrong(**manifest)) == "pending"
        life.see(seconds + 10, right(**manifest))

    assert (life.told, life.held.turns) == ([], ())


def test_a_directory_that_was_read_long_ago_is_no_excuse() -> None:
    """What comes and goes without a new manifest is flapping, whoever declares it."""
    life = Life()
    manifest = {"baseline": "directory", "declared_at": time(-200)}
    for seconds in (0, 100, 200):
        life.see(seconds, wrong(**manifest))
        life.see(seconds + 10, right(**manifest))

    assert (life.held.state, life.told) == ("flapping", ["drift.opened"])


def test_the_turns_that_are_kept_are_bounded() -> None:
    """However often it comes and goes, no more than can count are kept."""
    life = Life(DriftSettings(flapping=Flapping(flips=5)))
    flap(life, *range(0, 3600, 20))

    assert len(life.held.turns) <= 6


# -- any sequence --------------------------------------------------------------------------------------------------

_STEPS = st.sampled_from((0.0, 0.4, 1.0, 7.0, 59.0, 60.0, 61.0, 120.0, 900.0, 3600.0, 90_000.0))
_FINDINGS = st.lists(
    st.builds(
        finding,
        st.sampled_from(("/spec/a", "/spec/b")),
        st.sampled_from(("human", "controller", "unknown")),
        st.none() | st.sampled_from((-5000.0, -10.0, 50.0, 4000.0)),
    ),
    max_size=2,
).map(tuple)
_EVALUATIONS = st.builds(
    Evaluation,
    declarer=st.just("argocd"),
    baseline=st.sampled_from(("", "last_applied", "directory", "last_applied")),
    findings=_FINDINGS,
    ignored=st.sampled_from(((), (finding(),))),
    unknown=st.sampled_from(("", "", "", "too large")),
    suspended=st.sampled_from(("", "", "", "paused")),
    declared_at=st.sampled_from(("", time(-4000), time(0), time(100), time(5000))),
)


class Sequences(RuleBasedStateMachine):
    """Looks and times in any order, with and without restarts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.life = Life(DriftSettings(settle_ns=2 * MINUTE, clear_ns=MINUTE, flapping=Flapping(flips=3)))
        self.open = False
        self.since: Timestamp | None = None
        self.counted = 0

    @rule(found=_EVALUATIONS, later=_STEPS)
    def is_seen(self, found: Evaluation, later: float) -> None:
        if found.suspended and self.counted % 2:
            found = replace(found, suspended_until=time(self.now + later + 300))
        self.now += later
        self.take(look(self.life.held, found, at(self.now), self.life.settings, "human"))

    @precondition(lambda self: self.life.turn is not None and self.life.due is not None)
    @rule(late=st.sampled_from((0.0, 0.5, 500.0)))
    def its_time_comes(self, late: float) -> None:
        due = self.life.due
        assert due is not None
        self.now = max(self.now, due + late)
        found = self.life.held.evaluation
        if found.suspended_until and found.suspended_until <= time(self.now):
            found = replace(found, suspended="", suspended_until="")
        self.take(look(self.life.held, found, at(self.now), self.life.settings))

    @rule(later=_STEPS)
    def it_goes(self, later: float) -> None:
        self.now += later
        self.take(gone(self.life.held, at(self.now)))
        self.life.held, self.since = NEW, None

    def take(self, turn: Turn) -> None:
        """Take a turn in, and ask of it what must hold of each."""
        self.counted += 1
        assert turn.due is None or turn.due > at(self.now), "it would be asked for ever"
        if turn.event == "drift.opened":
            assert not self.open
            self.open = True
        elif turn.event is not None:
            assert self.open
            self.open = turn.event != "drift.closed"
        assert (turn.event == "drift.closed") == (turn.ended is not None)
        assert turn.duration >= 0
        self.life.turn, self.life.held = turn, turn.held

    @invariant()
    def since_never_moves(self) -> None:
        episode = self.life.held.episode
        if episode is None:
            self.since = None
        else:
            assert self.since in (None, episode.since)
            assert episode.since <= time(self.now)
            self.since = episode.since

    @invariant()
    def a_restart_changes_nothing(self) -> None:
        assert held(self.life.held.keep(None)) == self.life.held

    @invariant()
    def what_was_told_is_what_lasts(self) -> None:
        episode = self.life.held.episode
        assert self.open == (episode is not None and episode.opened is not None)
        if self.life.held.state in ("drifted", "flapping"):
            assert self.open
        if self.life.held.state in ("in_sync", "ignored", "unmanaged"):
            assert not self.open

    @invariant()
    def nothing_changes_by_time_before_the_time_that_was_named(self) -> None:
        if self.life.turn is None or self.life.turn.held is not self.life.held:
            return
        found, end = self.life.held.evaluation, self.life.turn.due
        for later in (0.001, 59.0, 121.0, 3601.0, 90_000.0):
            moment = at(self.now + later)
            if end is None or moment < end:
                turn = look(self.life.held, found, moment, self.life.settings)
                assert (turn.event, turn.held.state) == (None, self.life.held.state)
                assert turn.held.episode == self.life.held.episode


TestSequences = Sequences.TestCase


def test_a_time_is_written_as_the_journal_has_it() -> None:
    """The moments of these tests are what the program would read."""
    assert normalise("2026-03-01T10:02:00Z") == time(120)
