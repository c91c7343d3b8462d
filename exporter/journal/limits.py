"""How the size that the journal may have is shared out between its file and the write-ahead log. Pure."""

from __future__ import annotations

from msgspec import Struct


MIB = 1024 * 1024
_MOST_FOR_LOG = 128 * MIB
_LEAST_FOR_LOG = 4 * MIB
_PAGE = 4096
# Eviction begins when so much of the file is in use.
_EVICT_AT = 0.9


class Limits(Struct, frozen=True):
    """Bounds of the files, all bytes.

    Attributes:
        size: of the file and its write-ahead log together; None is none
        file: of the file
        evict_at: above this many bytes in use the oldest changes go
        evict_rows: so many of them at once, at most, since the log has to take the pages that they were on
        log_soft: from here on the log is moved into the file, beside the commits
        log_hard: from here on commits wait for that

    """

    size: int | None
    file: int | None
    evict_at: int
    evict_rows: int
    log_soft: int
    log_hard: int


def limits(size: int | None) -> Limits:
    """Share out a size: an eighth of it, within bounds, is for the write-ahead log."""
    if size is None:
        return Limits(None, None, 1 << 62, _MOST_FOR_LOG, _MOST_FOR_LOG // 2, _MOST_FOR_LOG)
    share = min(_MOST_FOR_LOG, max(size // 8, min(_LEAST_FOR_LOG, size // 2)))
    file = size - share
    hard = share // 4 * 3  # the commit that follows has to find room, too
    return Limits(size, file, int(file * _EVICT_AT), max(1, hard // 2 // _PAGE), hard // 2, hard)
