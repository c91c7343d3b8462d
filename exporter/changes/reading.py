"""From the JSON of an object as it came to a version without secrets, looking again only at what is new in it.

Nothing may pass by this on its way into the journal.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from exporter.changes.redact import may_hold_secret
from exporter.changes.version import Version, moved, read_object


if TYPE_CHECKING:
    from exporter.changes.pointer import Pattern
    from exporter.changes.redact import Redactor


class Clean(Struct, frozen=True):
    """A version without secrets; `untouched` says that it had none, by its keys and shapes alone."""

    version: Version
    untouched: bool


def read_version(
    redactor: Redactor,
    raw: bytes,
    *,
    secret: bool = False,
    passwords: tuple[Pattern, ...] = (),
    before: Clean | None = None,
) -> Clean:
    """Decode an object as far as need be, and take its secrets out.

    Args:
        redactor: knows what is secret
        raw: the JSON as it came
        secret: it is a core Secret
        passwords: patterns of the fields that its schema declares as passwords
        before: the version before it, as this very redactor gave it

    Raises:
        ValueError: it is no JSON object
        RecursionError: it is nested too deeply

    """
    if before is not None and before.untouched and not redactor.names(secret=secret, passwords=passwords):
        # What cannot be decoded is read again, leniently.
        with suppress(msgspec.DecodeError):
            version = Version(raw)
            new = [(name, version.fields[name]) for name in moved(before.version, version) if name in version.fields]
            if not may_hold_secret(new):
                for name, _ in new:
                    version.value(name)
                return Clean(version, untouched=True)
    obj, raw = read_object(raw)
    redacted = redactor.redact(obj, raw, secret=secret, passwords=passwords)
    untouched = redacted is obj
    return Clean(Version(raw if untouched else msgspec.json.encode(redacted), redacted), untouched)
