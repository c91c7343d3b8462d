"""Every alert, played to the real promtool: it fires, not next to that, and a restart does not touch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dashboards.source import alerts
from tests.dashboards.cases import CASES
from tests.dashboards.minutes import DOWN, Expected, Series, firing, one_alert, rule_test


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from subprocess import CompletedProcess

    Promtool = Callable[..., CompletedProcess[bytes]]

NAMES = [alert.name for alert in alerts.ALERTS]
INNOCENT = [(name, case) for name in CASES for case in CASES[name].innocent]
BRIDGED = [name for name, case in CASES.items() if case.bridged]


def verdict(promtool: Promtool, folder: Path, series: Sequence[Series], *expected: Expected) -> str:
    """Have promtool play it; what it has to say against what is expected, empty for nothing."""
    done = promtool("test", "rules", str(rule_test(folder, series, expected)))
    return "" if done.returncode == 0 else (done.stdout + done.stderr).decode()


def test_every_alert_has_its_case() -> None:
    """Each alert is played, and none that does not exist, and each of them has something that must not make it fire."""
    assert sorted(NAMES) == sorted(CASES)
    assert all(case.innocent for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_it_fires_in_time_and_is_one(promtool: Promtool, tmp_path: Path, name: str) -> None:
    """It fires at its minute and not before, once, with the labels of what it is about and none of the target."""
    case = CASES[name]
    before = [Expected(case.at - case.early, firing(name))] if case.at else []
    told = Expected(case.at, firing(name), one_alert(name, case.labels))
    assert not verdict(promtool, tmp_path, case.fires, *before, told)


@pytest.mark.parametrize(("name", "case"), INNOCENT)
def test_it_does_not_fire_next_to_that(promtool: Promtool, tmp_path: Path, name: str, case: str) -> None:
    """What looks like it and is not never makes it fire."""
    series = CASES[name].innocent[case]
    end = max(len(one.values) for one in series)
    never = Expected(end, f"count_over_time({firing(name)}[{end + 1}m])")
    assert not verdict(promtool, tmp_path, series, never)


@pytest.mark.parametrize("name", BRIDGED)
def test_a_restart_neither_ends_it_nor_sets_its_clock_back(promtool: Promtool, tmp_path: Path, name: str) -> None:
    """With the exporter down for five minutes in the middle it goes on firing, as the same, since the same time."""
    case = CASES[name]
    down = case.at + 3
    told = [Expected(at, firing(name), one_alert(name, case.labels)) for at in range(down, down + DOWN + 4)]
    since = f'ALERTS_FOR_STATE{{alertname="{name}"}}'
    same = Expected(down + DOWN + 3, f"count({since} == {since} offset {DOWN + 4}m)", (("{}", 1.0),))
    assert not verdict(promtool, tmp_path, [one.interrupted(down) for one in case.fires], *told, same)
