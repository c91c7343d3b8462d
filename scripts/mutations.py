"""Takes away one mechanism after the other, each in a copy of the program, and sees which test turns red.

    python -m scripts.mutations [part of a name …]

A promise is only as good as the test that fails without the mechanism behind it. The exit code is 1 if a test stays
green, or if a text that is to be replaced is not in its file exactly once. Must never touch the checkout itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


ROOT = Path(__file__).resolve().parent.parent
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".uv", "*_cache", "__pycache__", ".hypothesis")
_SECONDS = 300
# The exit codes of pytest: tests failed; everything passed.
_RED, _GREEN = 1, 0

# Any order of steps, and single ones of them that were chosen.
_STEPS = "tests/faults/test_model.py"
MODEL = f"{_STEPS}::TestModel"
_RELOADS = "tests/reload/test_program.py"
_ACCESS = "tests/web/test_access.py"
_MISSED = "tests/rollout/test_missed.py"
_LIFECYCLE = "tests/rollout/test_lifecycle.py"


class Mutation(NamedTuple):
    """One mechanism, and how it is taken away.

    Attributes:
        mechanism: its name
        file: where it is
        before: text in it, there exactly once
        after: what stands there without the mechanism
        tests: each of them must fail then

    """

    mechanism: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "changes, states and checkpoints in one transaction",
        "exporter/journal/store.py",
        "        with self._transaction():\n            write(self._connection, self._types, batch)\n",
        "        write(self._connection, self._types, batch)\n",
        (
            "tests/journal/test_store.py::test_a_commit_that_fails_writes_nothing",
            f"{_STEPS}::test_a_death_in_the_middle_of_a_commit",
        ),
    ),
    Mutation(
        "a commit that fails is tried again",
        "exporter/ingest.py",
        "            await self._again(error, partial(self._write, batch))\n",
        "            log.warning(str(error))\n",
        ("tests/test_ingest.py::test_a_commit_that_fails_is_tried_again_with_the_same_batch", MODEL),
    ),
    Mutation(
        "tombstones",
        "exporter/changes/graves.py",
        '        return (seen.mode == "live" or seen.late) and self._know(seen, stone)\n',
        "        return False\n",
        ("tests/changes/test_tracker.py::test_a_late_event_of_a_deleted_object_does_not_bring_it_back",),
    ),
    Mutation(
        "a version that is known is no news",
        "exporter/changes/tracker.py",
        "            if old.resource_version != seen.head.resource_version:\n",
        "            if seen.head.resource_version:\n",
        (
            "tests/changes/test_tracker.py::test_a_version_that_is_known_is_dropped",
            f"{_STEPS}::test_what_is_known_is_not_told_again",
        ),
    ),
    Mutation(
        "an object is known by its uid",
        "exporter/changes/tracker.py",
        "held if held is not None and held.uid == seen.head.uid else None",
        "held",
        ("tests/changes/test_tracker.py::test_another_uid_in_the_place_tells_of_the_deletion_that_was_missed", MODEL),
    ),
    Mutation(
        "a baseline is silent",
        "exporter/changes/tracker.py",
        '        if seen.mode == "baseline":\n            batch.take(Step(seen.type, key, seen.head.uid,',
        '        if seen.mode == "none":\n            batch.take(Step(seen.type, key, seen.head.uid,',
        ("tests/changes/test_tracker.py::test_a_baseline_is_silent", MODEL),
    ),
    Mutation(
        "a baseline counts only when it is complete",
        "exporter/ingest.py",
        '            if item.mode == "live" and not item.late:\n',
        "            if item.event:\n",
        (
            "tests/test_ingest.py::test_a_baseline_has_no_checkpoint_before_it_is_complete",
            f"{_STEPS}::test_a_baseline_that_died_half_way_is_begun_again",
        ),
    ),
    Mutation(
        "what a list finds missing was deleted",
        "exporter/changes/tracker.py",
        "            if uid in listed:\n",
        "            if uid:\n",
        ("tests/test_ingest.py::test_what_a_list_does_not_hold_any_more_was_deleted", MODEL),
    ),
    Mutation(
        "the mark of a gap",
        "exporter/changes/tracker.py",
        'truncated=truncated, heartbeat=heartbeat,\n            gap=seen.mode == "catch_up",\n',
        "truncated=truncated, heartbeat=heartbeat,\n",
        (
            "tests/changes/test_tracker.py::test_a_list_after_a_gap_gives_the_net_change_and_counts_what_it_swallowed",
            f"{_STEPS}::test_a_gap_is_marked",
        ),
    ),
    Mutation(
        "swallowed versions are a lower bound",
        "exporter/changes/tracker.py",
        "    return max(0, after - before - 1)\n",
        "    return max(0, after - before)\n",
        ("tests/changes/test_tracker.py::test_a_list_after_a_gap_gives_the_net_change_and_counts_what_it_swallowed",),
    ),
    Mutation(
        "redaction before the journal",
        "exporter/changes/reading.py",
        "    redacted = redactor.redact(obj, raw, secret=secret, passwords=passwords)\n",
        "    redacted = obj\n",
        ("tests/changes/test_redact.py::test_no_planted_secret_survives_in_states_or_changes",),
    ),
    Mutation(
        "resume before a list",
        "exporter/stream.py",
        '            version=checkpoint.resource_version if checkpoint else "",\n',
        '            version="",\n',
        (MODEL,),
    ),
    Mutation(
        "410 is asked twice",
        "exporter/kube/reflector.py",
        "            if self._expired > 1:\n",
        "            if self._expired:\n",
        ("tests/kube/test_reflector.py::test_history_that_is_gone_is_asked_for_twice_then_listed", MODEL),
    ),
    Mutation(
        "errors are borne before a list",
        "exporter/kube/reflector.py",
        "_FRUITLESS = 4\n",
        "_FRUITLESS = 1\n",
        (
            "tests/kube/test_reflector.py::test_garbage_in_a_stream_is_tried_again_before_it_is_listed",
            f"{_STEPS}::test_a_few_errors_cost_no_history",
        ),
    ),
    Mutation(
        "has the server reached our version",
        "exporter/kube/reflector.py",
        "        if await self._collection.is_behind(self._version):\n",
        "        if not self._version:\n",
        (
            "tests/kube/test_reflector.py::test_a_server_behind_our_version_is_found_out_before_the_silence",
            f"{_STEPS}::test_a_history_that_went_back_tells_under_other_ids",
        ),
    ),
    Mutation(
        "a server may be behind its own store",
        "exporter/kube/collection.py",
        "            return is_older(current, version) or not current.isdecimal()\n",
        "            return bool(current)\n",
        ("tests/kube/test_reflector.py::test_a_server_that_is_behind_its_own_store_is_no_history_that_went_backwards",),
    ),
    Mutation(
        "a broken list is no resume after a crash",
        "exporter/kube/reflector.py",
        '            await self._sink.put(Progress(self._collection.type, self._collection.scope, ""))\n',
        "            pass\n",
        (
            "tests/kube/test_reflector.py::test_history_that_is_gone_is_asked_for_twice_then_listed",
            f"{_STEPS}::test_a_list_that_died_half_way_is_begun_again",
        ),
    ),
    Mutation(
        "what came before a list that begins anew is not on it",
        "exporter/kube/reflector.py",
        "anew=uids.clear",
        "anew=set().clear",
        ("tests/kube/test_reflector.py::test_a_list_that_has_to_begin_anew_does_not_count_what_came_before",),
    ),
    Mutation(
        "a late event never takes us back",
        "exporter/changes/order.py",
        "    return version.isdecimal() and than.isdecimal() and (len(version), version) < (len(than), than)\n",
        "    return version is None and than is None\n",
        ("tests/kube/test_odd_streams.py::test_a_late_event_does_not_take_us_back",),
    ),
    Mutation(
        "what comes late is marked as such",
        "exporter/kube/reflector.py",
        "            item = replace(item, late=True)\n",
        "",
        (
            "tests/kube/test_odd_streams.py::test_a_late_event_does_not_take_us_back",
            f"{_STEPS}::test_a_late_event_is_no_change",
        ),
    ),
    Mutation(
        "what comes late is news only if it is newer",
        "exporter/changes/tracker.py",
        "        if held is not None and seen.late and _is_over(seen, held):\n            return\n",
        "",
        (
            "tests/changes/test_tracker.py::test_a_late_event_takes_nothing_back",
            f"{_STEPS}::test_a_late_event_is_no_change",
        ),
    ),
    Mutation(
        "all that were deleted in a place are known",
        "exporter/changes/graves.py",
        "        self._uids[uid] = None\n",
        "",
        ("tests/changes/test_tracker.py::test_a_late_event_brings_back_none_of_those_that_were_deleted",),
    ),
    Mutation(
        "a removed type takes nothing along before its CRD is surely gone",
        "exporter/follow.py",
        "        if held and await self._is_back(identity):\n",
        "        if not identity:\n",
        (
            "tests/test_follow.py::test_nothing_goes_with_a_type_before_the_server_says_that_it_is_gone",
            f"{_STEPS}::test_a_type_that_comes_back_soon_takes_nothing_of_the_new_one_along",
        ),
    ),
    Mutation(
        "a baseline that has begun is known",
        "exporter/follow.py",
        "        elif checkpoint is None:\n",
        "        elif not scope:\n",
        (
            "tests/test_follow.py::test_a_selection_knows_what_a_broken_baseline_has_left",
            f"{_STEPS}::test_a_baseline_that_was_broken_off_leaves_nothing_behind",
        ),
    ),
    Mutation(
        "a stream that is silent for too long is dead",
        "exporter/kube/reflector.py",
        "                read_timeout=seconds + 30.0 if self._bookmarks is False else _SILENCE,\n",
        "                read_timeout=1e9,\n",
        ("tests/kube/test_odd_streams.py::test_a_silent_stream_is_given_up",),
    ),
    Mutation(
        "Retry-After",
        "exporter/kube/patience.py",
        "at_least=min(at_least, LONGEST_WAIT))",
        "at_least=0.0)",
        ("tests/kube/test_reflector.py::test_too_many_requests_are_answered_with_patience_not_with_a_list", MODEL),
    ),
    Mutation(
        "back-off",
        "exporter/backoff.py",
        "self.first * self.factor ** min(failures - 1, 64)",
        "self.first",
        ("tests/kube/test_patience.py::test_an_hour_of_trouble_is_no_burden",),
    ),
    Mutation(
        "the epoch of a history that went backwards",
        "exporter/app.py",
        "        self._tracker.epoch = self._journal.epoch\n",
        "",
        (f"{_STEPS}::test_a_history_that_went_back_tells_under_other_ids",),
    ),
    Mutation(
        "a list shows that the history went backwards",
        "exporter/changes/tracker.py",
        '        if seen.mode == "catch_up" and is_older(seen.head.resource_version, old.resource_version):\n',
        "        if not seen:\n",
        ("tests/changes/test_tracker.py::test_a_list_shows_that_the_history_went_backwards",),
    ),
    Mutation(
        "totals are counted again from the changes",
        "exporter/app.py",
        "            metrics.count(rows)\n",
        "",
        (f"{_STEPS}::test_totals_outlive_a_kill",),
    ),
    Mutation(
        "the directory is locked",
        "exporter/journal/files.py",
        "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
        ("tests/journal/test_store.py::test_two_exporters_cannot_share_a_directory",),
    ),
    Mutation(
        "a full inbox holds the watches back",
        "exporter/ingest.py",
        "        while self._bytes > self._high_water:\n",
        "        while self._bytes < 0:\n",
        ("tests/test_ingest.py::test_a_full_inbox_holds_the_reflectors_back",),
    ),
    Mutation(
        "what is evicted before it was delivered is counted",
        "exporter/journal/retention.py",
        "    return Evicted(count, {consumer: number for consumer, number in undelivered if number})\n",
        "    return Evicted(count, {})\n",
        ("tests/journal/test_store.py::test_eviction_by_age_counts_what_nobody_had_read",),
    ),
    Mutation(
        "a clock that is not believed is remembered",
        "exporter/journal/store.py",
        "                self.note(_AHEAD, str(self._clock.ahead))\n",
        "                pass\n",
        ("tests/journal/test_limits.py::test_a_clock_that_was_ahead_before_a_restart_makes_nothing_old_after_it",),
    ),
    Mutation(
        "what a list finds new had versions before",
        "exporter/changes/tracker.py",
        "            batch.coalesced += _swallowed(_UNBORN, meta)\n",
        "            pass\n",
        ("tests/changes/test_tracker.py::test_what_a_list_finds_new_had_versions_before",),
    ),
    Mutation(
        "a newcomer of a selector is known by the server's clock",
        "exporter/stream.py",
        "            created, written = _times(seen.raw)\n",
        "            created, written = _times(seen.raw)[0], None\n",
        ("tests/test_follow.py::test_what_comes_into_a_selection_is_no_creation",),
    ),
    Mutation(
        "poison is found by halves",
        "exporter/delivery.py",
        "                if len(seqs) > 1:\n",
        "                if len(seqs) < 0:\n",
        ("tests/test_delivery.py::test_poison_is_buried_alone",),
    ),
    Mutation(
        "the cursor moves only after success",
        "exporter/delivery.py",
        "                self._report.failed(verdict.reason)\n                await self._back_off(verdict)\n",
        "                self._arrived(upto)\n                await self._back_off(verdict)\n",
        ("tests/test_delivery.py::test_an_outage_loses_nothing",),
    ),
    Mutation(
        "what is refused is kept",
        "exporter/delivery.py",
        "max(upto, evicted), buried=buried)",
        "max(upto, evicted))",
        ("tests/test_delivery.py::test_poison_is_buried_alone",),
    ),
    Mutation(
        "a token is loaded again",
        "exporter/kube/auth.py",
        "        if now < used.reload_at:\n",
        "        if now >= 0.0:\n",
        ("tests/kube/test_auth.py::test_a_rotating_token_is_loaded_when_it_is_due",),
    ),
    Mutation(
        "the audit",
        "exporter/kube/audit.py",
        "        self._following.distrust(followed.scope, backwards=found.backwards)\n",
        "",
        (f"{_STEPS}::test_a_history_that_has_grown_past_us_is_found_by_the_audit",),
    ),
    Mutation(
        "counters go on over a reload",
        "exporter/app.py",
        "        metrics.restore(totals)\n",
        "",
        (f"{_RELOADS}::test_twenty_reloads_under_writes_lose_nothing",),
    ),
    Mutation(
        "who was ready stays ready over a reload",
        "exporter/supervisor.py",
        "        self._asked.append(built)\n        self._stay_ready()\n",
        "        self._asked.append(built)\n",
        ("tests/test_supervisor.py::test_who_was_ready_stays_ready_while_it_is_built_anew",),
    ),
    Mutation(
        "ready is said of what is in the journal",
        "exporter/stream.py",
        "        kept = self._inbox.kept(self.mark) or self._journal.care.degraded\n",
        "        kept = True\n",
        ("tests/test_follow.py::test_what_was_listed_is_waited_for_until_it_is_in_the_journal",),
    ),
    Mutation(
        "half a file is not taken over",
        "exporter/reloading.py",
        "                if found == before and found != self._taken:\n",
        "                if found != self._taken:\n",
        ("tests/reload/test_reloading.py::test_half_a_file_is_not_taken_over",),
    ),
    Mutation(
        "what judges decides who is judged again",
        "exporter/judging.py",
        "        if journal.noted(NAME) != self._by:\n",
        "        if journal.noted(NAME) is None:\n",
        (
            "tests/test_judging.py::test_a_rule_that_expired_meanwhile_has_everything_judged_again",
            f"{_RELOADS}::test_other_rules_judge_what_has_not_changed",
        ),
    ),
    Mutation(
        "what is closed is not opened",
        "exporter/web/source.py",
        "        if lost:\n",
        "        if lost and not loaded:\n",
        (f"{_ACCESS}::test_what_is_bad_leaves_the_door_as_it_was",),
    ),
    Mutation(
        "who was let in by other authorities is not by these",
        "exporter/web/door.py",
        "            self._connections.clear()\n",
        "",
        (f"{_ACCESS}::test_another_authority_of_clients_shuts_out_who_came_by_the_old_one",),
    ),
    Mutation(
        "nobody takes as long as somebody",
        "exporter/web/users.py",
        "        against = nobody(users) if hashed is None else hashed\n",
        "        if hashed is None:\n            return False\n        against = hashed\n",
        ("tests/web/test_users.py::test_nobody_takes_as_long_as_somebody",),
    ),
    Mutation(
        "after a restart no rollout ends by time at once",
        "exporter/rollout/keeper.py",
        "        if state is not None and at < self._until:\n",
        "        if state is not None and at < 0:\n",
        (
            f"{_MISSED}::test_what_happened_while_nobody_watched_is_one_trace",
            f"{_LIFECYCLE}::test_a_deadline_that_passed_while_nobody_was_watching_waits_for_what_happened_meanwhile",
        ),
    ),
    Mutation(
        "after a restart what has ended is held",
        "exporter/rollout/keeper.py",
        'self._until if sight == "partial" else 0)',
        "0)",
        (
            f"{_MISSED}::test_what_happened_while_nobody_watched_is_one_trace",
            f"{_MISSED}::test_what_an_owner_began_belongs_to_the_rollout_that_began_it",
        ),
    ),
    Mutation(
        "a rollout that was seen before its owner's is taken in",
        "exporter/rollout/family.py",
        "        _adopt_held(desk, owned, owner, at)\n",
        "",
        ("tests/rollout/test_late.py::test_a_part_that_is_superseded_just_before_its_owner_is_seen_belongs_to_it",),
    ),
    Mutation(
        "an owner that begins anew takes what did not begin before",
        "exporter/rollout/course.py",
        "        move_on(desk, None if before is None else before.now, key)\n",
        "",
        (f"{_MISSED}::test_what_happened_while_nobody_watched_is_one_trace",),
    ),
    Mutation(
        "stages of a rollout that were seen at once",
        "exporter/rollout/lifecycle.py",
        "    if begun:\n        marks =",
        "    if True:\n        marks =",
        ("tests/rollout/test_late.py::test_what_is_seen_all_at_once_keeps_its_stages",),
    ),
)


def main() -> int:
    """Try the mutations whose names hold one of the arguments, or all; give the exit code."""
    words = sys.argv[1:]
    chosen = [one for one in MUTATIONS if not words or any(word in one.mechanism for word in words)]
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        copy = shutil.copytree(ROOT, Path(directory) / "copy", ignore=_LEFT_OUT)
        for mutation in chosen:
            original = (copy / mutation.file).read_text(encoding="utf-8")
            if original.count(mutation.before) != 1:
                print(f"STALE {mutation.mechanism}: the text is not in {mutation.file} exactly once")
                wrong += 1
                continue
            (copy / mutation.file).write_text(original.replace(mutation.before, mutation.after), encoding="utf-8")
            red = [_is_red(copy, mutation, test) for test in mutation.tests]
            wrong += not all(red)
            (copy / mutation.file).write_text(original, encoding="utf-8")
    print(f"{len(chosen)} mechanisms, {wrong} of them not proved")
    return 1 if wrong else 0


def _is_red(copy: Path, mutation: Mutation, test: str) -> bool:
    """Run one test in the copy and say whether it failed, as it should."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", test],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "FAULTS": "brief"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        code, word = _RED, "RED (it hangs)"
    else:
        code = done.returncode
        word = {_RED: "RED", _GREEN: "GREEN"}.get(code, f"BROKEN ({done.stdout[-300:]}{done.stderr[-300:]})")
    print(f"{word:6} {mutation.mechanism}: {test} ({time.monotonic() - began:.1f} s)", flush=True)
    return code == _RED


if __name__ == "__main__":
    sys.exit(main())
