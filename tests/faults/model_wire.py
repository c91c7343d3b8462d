"""What the model says, as an API server writes it: lines of a watch, bookmarks, and Status objects."""

from __future__ import annotations

from typing import Any

import msgspec


def line(kind: str, body: dict[str, Any]) -> bytes:
    """Write a line of a watch."""
    return msgspec.json.encode({"type": kind, "object": body}) + b"\n"


def bookmark(rv: int, *, end: bool = False) -> bytes:
    """Write a bookmark; `end` says that the initial part is complete."""
    annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if end else {}
    return line("BOOKMARK", {"metadata": {"resourceVersion": str(rv), **annotations}})


def status(code: int, reason: str, causes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Make a Status object."""
    details = {"causes": [{"reason": cause} for cause in causes]}
    return {"kind": "Status", "code": code, "reason": reason, "message": reason, "details": details}
