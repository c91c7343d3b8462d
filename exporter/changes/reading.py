"""From the JSON of an object as it came to a version without secrets, looking again only at what is new in it.

Nothing may pass by this on its way into the journal.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from exporter.changes.redact import may_hold_secret
from exporter.changes.version import Version, read_object


if TYPE_CHECKING:
    from exporter.changes.pointer import Pattern
    from exporter.changes.redact import Redactor


def read_version(
    redactor: Redactor,
    raw: bytes,
    *,
    secret: bool = False,
    passwords: tuple[Pattern, ...] = (),
    before: Version | None = None,
) -> tuple[Version, bool]:
    """Decode an object as far as need be, and take its secrets out.

    Args:
        redactor: knows what is secret
        raw: the JSON as it came
        secret: it is a core Secret
        passwords: patterns of the fields that its schema declares as passwords
        before: the version before it, if this very redactor found it untouched

    Returns:
        the version, and whether it is untouched: it had no secret, by its keys and shapes alone

    Raises:
        ValueError: it is no JSON object
        RecursionError: it is nested too deeply

    """
    if before is not None and not redactor.names(secret=secret, passwords=passwords):
        # What cannot be decoded is read again, leniently.
        with suppress(msgspec.DecodeError):
            version = Version(raw)
            names = [name for name in version.moved(before) if name != "metadata"]
            below = [name for name in version.metadata.moved(before.metadata) if name != "managedFields"]
            new = version.raws(names) + version.metadata.raws(below) + version.entries.new(before.entries)
            if not may_hold_secret(new):
                version.values(names)
                version.metadata.values(below)
                version.entries.moved(before.entries)
                return version, True
    obj, raw = read_object(raw)
    redacted = redactor.redact(obj, raw, secret=secret, passwords=passwords)
    untouched = redacted is obj
    return Version(raw if untouched else msgspec.json.encode(redacted), redacted), untouched
