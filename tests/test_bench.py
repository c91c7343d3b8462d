"""The benchmarks' own machinery: what is made, what is checked, what is written. No time is asserted."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
import uvloop

from bench import __main__ as command
from bench import deliver, machine, objects, page, peer, pipeline
from bench.cases import CASES, FULL
from bench.figures import Case, Figure, Hot, Results, alone, compared
from bench.hot import Sampler, shares
from bench.scripted import Script, chunks, listed
from bench.texts import TEXTS
from bench.wire import body_of


if TYPE_CHECKING:
    from pathlib import Path

    from bench.objects import Sort

SMALL = 200


# -- the way to a server ----------------------------------------------------------------------------------------

ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", b"abcde"),
    (b"HTTP/1.1 409 Conflict\r\ncontent-length:0\r\nX: y\r\n\r\n", b""),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0\r\n\r\n0123456789a\r\n0\r\n\r\n",
        b"abc0\r\n\r\n0123456789a",
    ),
]


@pytest.mark.parametrize(("answer", "body"), ANSWERS)
def test_an_answer_is_whole_with_its_last_byte_and_not_before(answer: bytes, body: bytes) -> None:
    """No part of an answer counts as all of it, also where its body looks like an end."""
    assert [None] * len(answer) == [body_of(answer[:length]) for length in range(len(answer))]
    assert body == body_of(answer)


# -- what is made -----------------------------------------------------------------------------------------------


def test_a_list_has_what_the_watch_has_shown() -> None:
    """Else the exporter's audit would find thousands of objects too many, and list everything again while measured."""
    first, _ = objects.lines("spec", types=2, objects=6, size=SMALL, changes=0)
    lines = Script(2, first).first[f"/apis/{objects.GROUP}/v1/{objects.plural(1)}"]
    *shown, last = [json.loads(line)["object"]["metadata"] for line in lines]
    there = json.loads(listed(lines))

    assert [one["metadata"] for one in there["items"]] == shown
    assert there["metadata"]["resourceVersion"] == last["resourceVersion"]


@pytest.mark.parametrize("kib", [2, 10])
@pytest.mark.parametrize("sort", objects.SORTS)
def test_lines_have_the_size_that_they_are_measured_as(sort: Sort, kib: int) -> None:
    """Every line of a watch is within 5 % of the size that is asked for."""
    size = kib * objects.KIB
    first, then = objects.lines(sort, types=3, objects=10, size=size, changes=20)
    found = [len(line.data) for line in (*first, *then)]
    assert (0.95 * size <= min(found), max(found) <= 1.05 * size) == (True, True), found


def test_only_suspicious_objects_are_searched_for_secrets() -> None:
    """What is searched for secrets is all objects of the case that says so, and none of the others, whatever chance."""
    for suspicious in (False, True):
        first, _ = objects.lines("spec", types=1, objects=300, size=10 * objects.KIB, changes=1, suspicious=suspicious)
        found = {bool(re.search(rb"pass|key|pem|eyj|secret|token|cred|dsn|xox", line.data.lower())) for line in first}
        assert found == {suspicious}


def test_a_change_of_a_sort_leaves_the_version_before_as_it_was() -> None:
    """The next version is another value: what was made before is not touched."""
    (line,), (then,) = objects.lines("spec", types=1, objects=1, size=2 * objects.KIB, changes=1)
    before, after = json.loads(line.data)["object"], json.loads(then.data)["object"]
    assert (before["spec"]["replicas"], after["spec"]["replicas"]) == (1, 2)
    assert (before["metadata"]["generation"], after["metadata"]["generation"]) == (1, 2)


def test_pieces_of_a_watch_are_all_of_it() -> None:
    """Cut into pieces, the lines lose and gain nothing, and some piece ends within a line."""
    first, _ = objects.lines("spec", types=2, objects=100, size=2 * objects.KIB, changes=1)
    lines = Script(2, first).first[f"/apis/{objects.GROUP}/v1/bench0s"]
    pieces = chunks(lines, 1000)
    assert b"".join(lines) == b"".join(pieces)
    assert any(not piece.endswith(b"\n") for piece in pieces[:-1])


def test_the_peer_makes_ten_families_of_each_type() -> None:
    """kube-state-metrics is given every type, with ten families each that its configuration allows."""
    resources = peer.config(3)["spec"]["resources"]
    assert [one["groupVersionKind"]["kind"] for one in resources] == ["Bench0", "Bench1", "Bench2"]
    for one in resources:
        assert len({metric["name"] for metric in one["metrics"]}) == 10
        assert all(metric["each"]["type"].lower() in str(metric["each"]).lower() for metric in one["metrics"])


# -- what is measured -------------------------------------------------------------------------------------------


def test_a_journal_with_other_changes_is_no_measurement(tmp_path: Path) -> None:
    """A round whose journal does not hold what was sent, as what it was sent, fails."""
    first, then = objects.lines("spec", types=pipeline.TYPES, objects=20, size=2 * objects.KIB, changes=SMALL)
    uvloop.run(pipeline.journal_of(Script(pipeline.TYPES, first, then), tmp_path, SMALL, {}))
    pipeline.check(tmp_path, "spec", SMALL)
    wrong: list[tuple[Sort, int]] = [("status", SMALL), ("mix", SMALL), ("spec", SMALL + 2), ("spec", SMALL - 2)]
    for sort, changes in wrong:
        with pytest.raises(AssertionError, match="should have been"):
            pipeline.check(tmp_path, sort, changes)


def test_a_journal_with_more_than_was_sent_is_no_measurement(tmp_path: Path) -> None:
    """What came beside the expected changes fails the round, too."""
    first, then = objects.lines("mix", types=pipeline.TYPES, objects=20, size=2 * objects.KIB, changes=SMALL)
    uvloop.run(pipeline.journal_of(Script(pipeline.TYPES, first, then), tmp_path, SMALL, {}))
    with pytest.raises(AssertionError, match="should have been"):
        pipeline.check(tmp_path, "spec", SMALL // 3)


@pytest.mark.parametrize("sort", objects.SORTS)
def test_each_sort_of_change_arrives_as_what_it_is(sort: Sort) -> None:
    """A small round of every sort passes the check of its journal, beside the official client."""
    (run,) = pipeline.measure(sort, size=2 * objects.KIB, changes=SMALL, there=50, rounds=1, env={})
    assert all(value > 0 for value in msgspec.structs.astuple(run))


def test_a_backlog_reaches_the_endpoint_whole() -> None:
    """All records arrive, by the endpoint's own count, with each protocol."""
    found = deliver.measure(SMALL, 1)
    assert list(deliver.PROTOCOLS) == [protocol for protocol, runs in found.items() if len(runs) == 1]


def test_shares_are_of_all_that_was_seen() -> None:
    """The most seen come first, and what is left out of the list still counts in the whole."""
    many = [(f"rare {number}", 1) for number in range(80)]
    found = shares([("seldom", 5), *many, ("often", 15)])
    assert [Hot("often", 0.15), Hot("seldom", 0.05), Hot("rare 0", 0.01)] == found[:3]
    assert sum(one.share for one in found) < 1


def test_a_profile_names_the_function_at_work() -> None:
    """What takes the CPU is named by its file and its name, and nothing is seen after the end."""
    sampler = Sampler()

    def busy() -> bool:
        sum(range(10_000))
        return any("test_bench.py" in one.name and "busy" in one.name for one in sampler.hottest())

    sampler.start()
    while not busy():  # until it is seen; the test's own time limit ends it otherwise
        pass
    sampler.stop()
    before = sampler.hottest()
    sum(range(3_000_000))
    assert before == sampler.hottest()


# -- what is written --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (alone("too few", [1.0, 2.0, 9.0], "/s", goal=3.0), False),
        (alone("too many", [1.0, 4.0, 9.0], "MiB", goal=3.0), False),
        (compared("too near", [2.0], [4.0], "µs", goal_ratio=0.4), False),
        (alone("just enough", [3.0], "/s", goal=3.0), True),
        (alone("just in", [3.0], "s", goal=3.0), True),
        (compared("far enough", [1.0], [4.0], "µs", goal_ratio=0.4), True),
        (alone("only told", [3.0], "s"), None),
    ],
)
def test_a_goal_is_met_on_its_side(figure: Figure, met: bool | None) -> None:
    """Of rates more is better, of all else less; the median decides."""
    assert met == figure.met


def test_a_ratio_is_of_rounds_side_by_side() -> None:
    """The ratio is the median over the pairs, not the ratio of two medians."""
    figure = compared("pairs", [1.0, 2.0, 9.0], [1.0, 20.0, 3.0], "µs")
    assert (figure.ratio, figure.value.median, figure.beside and figure.beside.median) == (1.0, 2.0, 3.0)


def test_columns_that_nothing_needs_are_left_out() -> None:
    """A table has a column for the other one, for ratios and for goals only where there are any."""
    case = Case(name="real", figures=[alone("only told", [3.0], "s")])
    assert page.rows(case) == [["", "here"], ["only told", "3 s"]]


def test_the_page_is_what_the_results_say() -> None:
    """The committed page is the one that is made of the committed results, every goal with its verdict."""
    results = page.read()
    assert page.PAGE.read_text(encoding="utf-8") == page.page(results)
    assert any(figure.met is not None for case in results.cases for figure in case.figures)


def test_a_missed_goal_has_its_reason() -> None:
    """Where a rate or the CPU of a change misses its goal, the page says where the time goes."""
    for case in page.read().cases:
        if case.name in {"saturated", "real"}:
            assert bool(case.profiles) == any(figure.met is False for figure in case.figures), case.name


def test_every_case_has_its_words() -> None:
    """What can be measured can be told of, and nothing else is."""
    assert {*CASES, *FULL} == TEXTS.keys()


def test_a_case_that_is_not_run_keeps_its_place_on_the_same_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new measurement takes the place of the old one of the same case; of another machine nothing is kept."""
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")

    def case(name: str, date: str) -> Case:
        return Case(name=name, figures=[alone("x", [1.0], "s")], date=date)

    for one in (case("real", "1"), case("delivery", "1"), case("real", "2")):
        command.keep(one)
    assert [(one.name, one.date) for one in page.read().cases] == [("real", "2"), ("delivery", "1")]
    assert "Measured on 2 " in page.PAGE.read_text(encoding="utf-8")
    page.write(Results(machine={"cpu": "another"}, cases=page.read().cases))
    command.keep(case("starts", "3"))
    assert [machine.describe(), ["starts"]] == [page.read().machine, [one.name for one in page.read().cases]]
