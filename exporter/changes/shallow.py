"""Cuts JSON that is nested more deeply than this program can walk: an API server stores 9,000 levels and more.

What lies deeper is replaced by a mark with a hash of it, so that a change of it is still seen, and that is shown as
`<redacted>`: nobody has looked for secrets in it. Pure, and must never recurse itself.
"""

from __future__ import annotations

import hashlib
import re

from exporter.changes.redact import mark


# Decoders and comparisons here go two or three levels of the interpreter's thousand for each level of JSON.
MAX_DEPTH = 200
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)


def shallow(raw: bytes, around: int = 0) -> bytes:
    """Replace what is nested more than `MAX_DEPTH` levels deep in an object.

    Args:
        raw: its JSON; of what is no JSON something comes out that is none either
        around: levels that there are around the object: 1 in the event of a watch, 2 in a list

    """
    deepest = MAX_DEPTH + around
    parts: list[bytes] = []
    level = kept = begin = 0
    for token in _TOKEN.finditer(raw):
        sort = raw[token.start() : token.start() + 1]
        if sort in b"{[":
            level += 1
            if level == deepest + 1:
                begin = token.start()
        elif sort in b"}]":
            if level == deepest + 1:
                stand_in = mark(hashlib.sha256(raw[begin : token.end()]).hexdigest())
                parts += (raw[kept:begin], b'"', stand_in.encode(), b'"')
                kept = token.end()
            level -= 1
    return b"".join((*parts, raw[kept:]))
