"""The section `rollout` of the configuration: defaults, and how types say that they are ready."""

from __future__ import annotations

import pytest

from exporter.config import Config, parse
from exporter.rollout.rules import DEFAULT, Claim, Rules
from exporter.rollout.settings import RolloutSettings
from exporter.rollout.ties import ANNOTATIONS
from exporter.rollout.values import Limits


SECOND = 10**9


def test_nothing_said_is_the_default() -> None:
    """An empty section, and none, mean: follow, an hour at most, five seconds to settle, the usual annotations."""
    expected = RolloutSettings(
        enabled=True, timeout_ns=3600 * SECOND, settle_ns=5 * SECOND, traceparent=ANNOTATIONS, rules=()
    )
    assert expected == Config().rollout == parse(b"rollout: {}").rollout == parse(b"rollout:\n  # nothing").rollout


def test_all_of_it() -> None:
    """Each key means what the reference says, and a rule leaves what it does not name as it is."""
    text = """
rollout:
  enabled: false
  timeout: 2h
  settle: 0s
  traceparent: [example.com/traceparent]
  rules:
    - kinds: ["db.example.com/*"]
      ready: [Ready, Provisioned]
      busy: [Upgrading]
      bad: ["Healthy=False"]
      failed: ["Ready=False:InvalidSpec"]
      phases: [/status/state]
      readyWords: [Up and running]
      unreadyWords: [Boot-ing]
      failedWords: [Dead]
      timeout: 1m
    - {kinds: [v1/ConfigMap], follow: false}
"""
    expected = RolloutSettings(
        enabled=False,
        timeout_ns=7200 * SECOND,
        settle_ns=0,
        traceparent=("example.com/traceparent",),
        rules=(
            Rules(
                kinds=("db.example.com/*",),
                ready=("Ready", "Provisioned"),
                busy=(Claim("Upgrading"),),
                bad=(Claim("Healthy", "False"),),
                failed=(Claim("Ready", "False", "InvalidSpec"),),
                phases=("/status/state",),
                ready_words=frozenset({"upandrunning"}),
                unready_words=frozenset({"booting"}),
                failed_words=frozenset({"dead"}),
                timeout_ns=60 * SECOND,
            ),
            Rules(kinds=("v1/ConfigMap",), follow=False),
        ),
    )
    assert expected == parse(text.encode()).rollout
    assert (DEFAULT.ready, DEFAULT.failed) == (expected.rules[1].ready, expected.rules[1].failed)


def test_the_limits_are_those_of_the_file() -> None:
    """What the file says of times is what a rollout is held to."""
    assert Limits(timeout=60 * SECOND, settle=SECOND) == parse(b"rollout: {timeout: 1m, settle: 1s}").rollout.limits


@pytest.mark.parametrize("text", ["Ready", "Ready=False", "Ready=Unknown:Why", "example.com/Ready=True:A-b"])
def test_what_a_condition_can_say(text: str) -> None:
    """A type alone, with a status, and with a reason."""
    (rule,) = parse(f'rollout: {{rules: [{{kinds: ["*/*"], failed: ["{text}"]}}]}}'.encode()).rollout.rules

    assert text.partition("=")[0] == rule.failed[0].type
