"""The key of the redaction, in a file of the data directory. It must never leave that directory."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from exporter.errors import JournalError
from exporter.journal.store import MEMORY


_NAME = "redaction.key"


def read(data_dir: str, known: bytes = b"") -> bytes:
    """Read the key, or write the one that is known, or make it.

    Raises:
        JournalError: the directory is not ours to write

    """
    key = known or secrets.token_bytes(32)
    if data_dir == MEMORY:
        return key
    path = Path(data_dir) / _NAME
    try:
        with suppress(FileNotFoundError):
            # An empty one was begun by a disk that was full, and would make every value one that can be guessed.
            if found := path.read_bytes():
                return found
        new = path.with_name(f"{_NAME}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        msg = f"cannot read or make {path}: {error.strerror}; give --data-dir a directory that is ours alone"
        raise JournalError(msg) from error
    return key
