"""What the tool that declares an object says of it in the status of its own object.

It knows what is in Git, and which differences it was told to ignore; but it says only that something differs. Which
fields do is then taken from what the declarer's entry projected, as far as that tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from exporter.drift.baselines import projected
from exporter.drift.baselines.found import Found
from exporter.drift.compare import Difference
from exporter.drift.values import Declared, Memory


if TYPE_CHECKING:
    from exporter.drift.look import Look

_THE_OBJECT = Difference("", (), "changed", UNSET, UNSET)


def read(look: Look) -> Found | None:
    """Repeat the tool's verdict; None where it has none."""
    verdict = look.known.verdict
    if verdict is None or verdict.in_sync is None:
        return None
    declared = Declared(source="tool_status", confidence="high")
    found = projected.read(look) or Found(declared=declared, memory=Memory(look.declarer.name))
    if verdict.in_sync:
        return msgspec.structs.replace(found, declared=declared, differences=(), left_out=0)
    return msgspec.structs.replace(found, declared=declared, differences=found.differences or (_THE_OBJECT,))
