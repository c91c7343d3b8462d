"""From the JSON of an object as it came to a version without secrets, looking again only at what is new in it.

Nothing may pass by this on its way into the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.changes.move import Move
from exporter.changes.redact import may_hold_secret
from exporter.changes.version import Version, read_object


if TYPE_CHECKING:
    from exporter.changes.pointer import Pattern
    from exporter.changes.redact import Redactor


def read_version(
    redactor: Redactor, raw: bytes, *, secret: bool = False, passwords: tuple[Pattern, ...] = ()
) -> tuple[Version, bool]:
    """Decode an object, and take its secrets out.

    Args:
        redactor: knows what is secret
        raw: the JSON as it came
        secret: it is a core Secret
        passwords: patterns of the fields that its schema declares as passwords

    Returns:
        the version, and whether it is untouched: it had no secret, by its keys and shapes alone

    Raises:
        ValueError: it is no JSON object
        RecursionError: it is nested too deeply

    """
    obj, raw = read_object(raw)
    redacted = redactor.redact(obj, raw, secret=secret, passwords=passwords)
    untouched = redacted is obj
    return Version(raw if untouched else msgspec.json.encode(redacted), redacted), untouched


def read_move(
    redactor: Redactor, raw: bytes, before: Version, *, secret: bool = False, passwords: tuple[Pattern, ...] = ()
) -> Move | None:
    """Decode of an object what moved since the version before it.

    Args:
        redactor: knows what is secret
        raw: the JSON as it came
        before: the version before it, which this very redactor found untouched
        secret: it is a core Secret
        passwords: patterns of the fields that its schema declares as passwords

    Returns:
        the move to the version, which is untouched as well; None if all of it has to be read

    """
    if redactor.names(secret=secret, passwords=passwords):
        return None
    try:
        move = Move(before, Version(raw, before=before))
        if may_hold_secret(move.parts()):
            return None
        move.decode()
    except msgspec.DecodeError:
        return None  # it is read again, leniently
    return move
