"""What is told of an episode of drift that has ended."""

from __future__ import annotations

from exporter.drift.episodes import look
from exporter.drift.evaluate import NO_MEMORY
from exporter.drift.held import Held
from exporter.drift.settings import DriftSettings
from exporter.drift.values import Evaluation
from exporter.records import Finding


SECOND = 10**9
MORNING = 1_800_000_000 * SECOND
SETTINGS = DriftSettings(settle_ns=10 * SECOND, clear_ns=5 * SECOND)
WRONG = Evaluation(
    baseline="projected", findings=(Finding(path="/spec/replicas", finding="changed", declared=3, live=5),)
)
RIGHT = Evaluation(baseline="projected")


def test_an_end_that_comes_a_while_after_the_object_is_right_knows_what_was_wrong() -> None:
    """The last findings are kept over the time to clear, through which the object is as declared."""
    held = Held("u", "Database", "in_sync", RIGHT, NO_MEMORY)
    for second, found in ((0, WRONG), (10, WRONG), (20, RIGHT), (22, RIGHT)):
        turn = look(held, found, MORNING + second * SECOND, SETTINGS)
        held = turn.held
    turn = look(held, RIGHT, MORNING + 25 * SECOND, SETTINGS)
    assert turn.event == "drift.closed"
    assert turn.ended is not None
    assert turn.ended.was == WRONG.findings
