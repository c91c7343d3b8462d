"""The section `rollout` of the configuration file: times, annotations, and how types say that they are ready.

Says what is wrong as `config_shapes` does.
"""

from __future__ import annotations

import re
from typing import Any

from exporter import config_shapes as shapes
from exporter import config_values as values
from exporter.rollout.rules import Claim, Rules, claim, plain
from exporter.rollout.settings import RolloutSettings


_SECOND, _DAY = 10**9, 86_400 * 10**9
_timeout = values.duration_within(_SECOND, 30 * _DAY, "1s and 30d")
_CONDITION = re.compile(r"[\w./-]+", re.ASCII)
_CLAIM = re.compile(r"[\w./-]+(=(True|False|Unknown)(:[\w-]+)?)?", re.ASCII)
_EMPTY = "is empty; name one, or remove the key"


def _condition(text: str) -> None:
    if not _CONDITION.fullmatch(text):
        msg = f"{shapes.show(text)} is no type of a condition; write it as the object shows it, such as Ready"
        raise ValueError(msg)


def _check_claim(text: str) -> None:
    if not _CLAIM.fullmatch(text):
        msg = (
            f"{shapes.show(text)} is nothing that a condition can say; "
            "write Type, Type=Status or Type=Status:Reason, with True, False or Unknown: Ready=False:InvalidSpec"
        )
        raise ValueError(msg)


_texts_of_claims = shapes.list_of(_check_claim)


def _claims(value: Any) -> tuple[Claim, ...]:  # noqa: ANN401 - any YAML
    return tuple(map(claim, _texts_of_claims(value)))


_texts_of_words = shapes.list_of(lambda _: None)


def _words(value: Any) -> frozenset[str]:  # noqa: ANN401 - any YAML
    """Read words as they are compared: without case, blanks and dashes."""
    return frozenset(map(plain, _texts_of_words(value)))


_rule = shapes.section(
    Rules,
    {
        "kinds": ("kinds", shapes.list_of(values.glob, or_nothing=_EMPTY)),
        "follow": ("follow", shapes.boolean),
        "ready": ("ready", shapes.list_of(_condition)),
        "busy": ("busy", _claims),
        "bad": ("bad", _claims),
        "failed": ("failed", _claims),
        "phases": ("phases", shapes.list_of(values.pointer)),
        "readyWords": ("ready_words", _words),
        "unreadyWords": ("unready_words", _words),
        "failedWords": ("failed_words", _words),
        "timeout": ("timeout_ns", _timeout),
    },
    required=("kinds",),
)

read = shapes.section(
    RolloutSettings,
    {
        "enabled": ("enabled", shapes.boolean),
        "timeout": ("timeout_ns", _timeout),
        "settle": ("settle_ns", values.duration_within(0, 3600 * _SECOND, "0s and 1h")),
        "traceparent": ("traceparent", shapes.list_of(lambda _: None)),
        "rules": ("rules", shapes.list_of_any(_rule)),
    },
)
