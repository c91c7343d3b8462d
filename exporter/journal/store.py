"""The one writer of the journal: everything that must be true together is committed together.

`commit` is one transaction for the changes, the objects' new last-seen state and the checkpoints. The totals of the
counters follow every few seconds, with the number of the change up to which they count: what comes after it is counted
again from the changes themselves, so that a commit need not write them. All calls are synchronous and made from the
event loop: a commit with `synchronous=NORMAL` never waits for the disk, while handing it to a thread would make its
many small steps fight the loop for the interpreter lock. What does wait for the disk is done in a thread: moving the
write-ahead log into the file, and looking whether the file is still a journal.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from exporter.changes.batch import Batch
from exporter.errors import JournalError
from exporter.journal import ahead, files, retention, totals
from exporter.journal.age import Clock
from exporter.journal.batches import write
from exporter.journal.care import Care, noticed
from exporter.journal.damage import remedy
from exporter.journal.limits import limits
from exporter.journal.read import FILE_NAME, Reader
from exporter.journal.schema import migrate
from exporter.journal.states import States
from exporter.model import Checkpoint, ObjectKey, ResourceType, Scope, Stored, Tombstone
from exporter.timestamps import now, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from exporter.changes.batch import Series
    from exporter.records import Record


MEMORY = ":memory:"
# Under this name stands the newest change that the totals count.
_COUNTED = "counted"
# And under this, by how much the clock was ahead that the newest changes were observed by; see `exporter.journal.age`.
_AHEAD = "clock_ahead"


class Journal:
    """An open journal. Make one with `Journal.open`; use it from one thread.

    The calls for single objects and commits are made many times a second and take no notice of damage themselves: who
    makes them passes an error to `care.notice`.

    Attributes:
        id: the journal's own identity, made when the file was
        epoch: how often the server's history was found to have gone backwards; part of every change id
        path: the file, None for a journal in memory
        states: what is kept of single objects
        care: looks after the files
        limits: what they may take
        reset: set if the journal that was there could not be used

    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path | None,
        lock: int | None,
        *,
        size: int | None = None,
        reset: files.Reset | None = None,
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._committed = asyncio.Event()
        self._types: dict[tuple[str, str], int] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        for number, group, resource, kind in connection.execute("SELECT id, grp, resource, kind FROM types"):
            self._types[group, resource], self._kinds[group, resource] = number, kind
        self.path = path
        self.limits = limits(size)
        self.reset = reset
        self.reader = Reader(connection)
        self.states = States(connection, self._types)
        self.id = self._meta_default("id", str(uuid.uuid4()))
        self.epoch = int(self._meta_default("epoch", str(files.epoch(path))))
        self.care = Care(connection, path, self.limits)
        newest = connection.execute("SELECT observed FROM changes ORDER BY seq DESC LIMIT 1").fetchone()
        self._clock = Clock(to_nanoseconds(newest[0]) if newest else None, ahead=int(self.noted(_AHEAD) or 0))
        self._foreseen: dict[ObjectKey, tuple[Stored | None, Tombstone | None]] = {}

    @classmethod
    def open(cls, data_dir: Path | None, *, size: int | None = None) -> Journal:
        """Open the journal of a directory, making both if need be; None keeps it in memory.

        A file that is no journal, is damaged, or was written by a newer version is moved aside; see `reset`.

        Args:
            data_dir: where
            size: what its files may take, bytes; None for no limit

        Raises:
            JournalError: the directory cannot be written, or another exporter has it

        """
        if data_dir is None:
            connection = sqlite3.connect(MEMORY, isolation_level=None)
            migrate(connection, MEMORY)
            return cls(connection, None, None)
        path = data_dir / FILE_NAME
        lock = files.take(data_dir)
        try:
            connection, reset = files.connect(data_dir, limits(size))
            return cls(connection, path, lock, size=size, reset=reset)
        except sqlite3.Error as error:
            os.close(lock)
            msg = f"cannot open the journal {path}: {error}; {remedy(error)}, or give --data-dir another directory"
            raise JournalError(msg) from error
        except JournalError:
            os.close(lock)
            raise

    def close(self) -> None:
        """Close the file and let another exporter have the directory."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- identity ---------------------------------------------------------------------------------------------

    def bind(self, cluster_uid: str) -> None:
        """Tie the journal to a cluster, or check that it is the one it is tied to.

        Raises:
            JournalError: it holds the changes of another cluster

        """
        held = self._meta_default("cluster_uid", cluster_uid)
        if held != cluster_uid:
            msg = (
                f"the journal {self.path} holds the changes of another cluster ({held}, this one is {cluster_uid}): "
                "give --data-dir a directory of its own for each cluster"
            )
            raise JournalError(msg)

    def next_epoch(self) -> None:
        """Note that the server's history went backwards."""
        self.note("epoch", str(self.epoch + 1))
        self.epoch += 1
        files.keep_epoch(self.path, self.epoch)

    def note(self, key: str, value: str) -> None:
        """Keep a small fact under a name."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def noted(self, key: str) -> str | None:
        """Give back a small fact, None if there is none."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _meta_default(self, key: str, default: str) -> str:
        held = self.noted(key)
        if held is None:
            self.note(key, default)
            return default
        return held

    # -- the one write ----------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction and wake those who wait for changes or records.

        Raises:
            sqlite3.Error: nothing of it was written; the caller may try the same batch again

        """
        self._foreseen.clear()
        with self._transaction():
            write(self._connection, self._types, batch)
        self.states.wrote(batch.states)
        if batch.changes or batch.records:
            self._wake()

    @contextmanager
    def _telling(self, records: Iterable[Record]) -> Iterator[None]:
        """Open a transaction, and write records at its end: by then there is room also in a journal that is full."""
        told = list(records)
        self._foreseen.clear()
        with self._transaction():
            yield
            write(self._connection, self._types, Batch(records=told))
        if told:
            self._wake()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    # -- types, objects, checkpoints, totals ------------------------------------------------------------------

    @noticed
    def register(self, resource_type: ResourceType) -> None:
        """Make a type known; needed once before objects or checkpoints of it are committed. Its kind may be renamed."""
        if self._kinds.get(resource_type.identity) == resource_type.kind:
            return
        (number,) = self._connection.execute(
            "INSERT INTO types (grp, resource, kind) VALUES (?, ?, ?) "
            "ON CONFLICT (grp, resource) DO UPDATE SET kind = excluded.kind RETURNING id",
            (*resource_type.identity, resource_type.kind),
        ).fetchone()
        self._types[resource_type.identity], self._kinds[resource_type.identity] = number, resource_type.kind

    def kind(self, group: str, resource: str) -> str:
        """Give the kind of a type that is known."""
        return self._kinds[group, resource]

    def foresee(self, keys: Sequence[ObjectKey]) -> None:
        """Look up at once what `object` and `tombstone` will be asked for; it holds until that may have changed."""
        self._foreseen = ahead.objects(self._connection, self._types, keys)

    def object(self, key: ObjectKey) -> Stored | None:
        """Give the last-seen version of an object, None if it is not there."""
        if key in self._foreseen:
            return self._foreseen[key][0]
        row = self._connection.execute(
            "SELECT uid, resource_version, state FROM objects WHERE type = ? AND namespace = ? AND name = ?",
            self._place(key),
        ).fetchone()
        return Stored(*row) if row else None

    def objects(self, group: str, resource: str, namespace: str = "") -> Iterator[tuple[ObjectKey, str, str]]:
        """Go through the objects held of a type (of one namespace, if given): key, uid, resourceVersion."""
        number = self._types.get((group, resource))
        where, what = ("AND namespace = ?", (namespace,)) if namespace else ("", ())
        rows = self._connection.execute(
            f"SELECT namespace, name, uid, resource_version FROM objects WHERE type = ? {where}",  # noqa: S608 - constants
            (number, *what),
        )
        for space, name, uid, version in rows:
            yield ObjectKey(group, resource, space, name), uid, version

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Count the objects held by (group, kind, namespace)."""
        rows = self._connection.execute(
            "SELECT grp, kind, namespace, count(*) FROM objects JOIN types ON types.id = type GROUP BY 1, 2, 3"
        )
        return {(group, kind, namespace): count for group, kind, namespace, count in rows}

    def tombstone(self, key: ObjectKey) -> Tombstone | None:
        """Tell which object was last deleted under a key, None if none is remembered."""
        if key in self._foreseen:
            return self._foreseen[key][1]
        row = self._connection.execute(
            "SELECT uid, at FROM tombstones WHERE type = ? AND namespace = ? AND name = ?", self._place(key)
        ).fetchone()
        return Tombstone(*row) if row else None

    @noticed
    def checkpoint_of(self, scope: Scope) -> Checkpoint | None:
        """Tell how far a scope was followed, None if it never was."""
        if (scope.group, scope.resource) not in self._types:
            return None
        row = self._connection.execute(
            "SELECT version, resource_version, complete FROM checkpoints "
            "WHERE type = ? AND namespace = ? AND selectors = ?",
            self._stream(scope),
        ).fetchone()
        return Checkpoint(row[0], row[1], bool(row[2])) if row else None

    @noticed
    def scopes(self) -> list[tuple[str, Scope]]:
        """Give every scope that has a checkpoint, each with the kind of its objects."""
        rows = self._connection.execute(
            "SELECT kind, grp, resource, namespace, selectors FROM checkpoints JOIN types ON types.id = type"
        )
        return [(kind, Scope(*scope)) for kind, *scope in rows]

    def type_of(self, scope: Scope) -> ResourceType | None:
        """Give the type of a scope as it was last followed, None if it never was."""
        row = self._connection.execute(
            "SELECT kind, version FROM checkpoints JOIN types ON types.id = type WHERE grp = ? AND resource = ?",
            (scope.group, scope.resource),
        ).fetchone()
        return ResourceType(scope.group, row[1], scope.resource, row[0]) if row else None

    def forget(self, scope: Scope, last: Iterable[Record] = ()) -> int:
        """Drop the checkpoint and the objects of a scope that is no longer followed; give the number of objects.

        This tells nobody of a deletion. When the scope is selected again, it begins with a silent baseline.

        Args:
            scope: what is followed no longer
            last: what is told with it

        """
        with self._telling(last):
            number, namespace, selectors = self._stream(scope)
            for table in ("states", "objects"):
                dropped = self._connection.execute(
                    f"DELETE FROM {table} WHERE type = ? AND (? = '' OR namespace = ?)",  # noqa: S608 - constants
                    (number, namespace, namespace),
                ).rowcount
            self._connection.execute(
                "DELETE FROM checkpoints WHERE type = ? AND namespace = ? AND selectors = ?",
                (number, namespace, selectors),
            )
        self.states.forget()
        return dropped

    def forget_states(self, keeper: str, last: Iterable[Record] = ()) -> None:
        """Drop all that a keeper keeps, which is no longer told of anything; `last` is told with it."""
        with self._telling(last):
            self._connection.execute("DELETE FROM states WHERE keeper = ?", (keeper,))
            self._connection.execute("DELETE FROM meta WHERE key = ?", (keeper,))
        self.states.forget()

    def totals(self) -> tuple[dict[Series, float], int]:
        """Give the totals that were saved last, and the number of the newest change that is counted in them."""
        return totals.load(self._connection), int(self.noted(_COUNTED) or 0)

    @noticed
    def save_totals(self, moved: Mapping[Series, float], dropped: Iterable[Series] = ()) -> None:
        """Write totals that have moved, and forget those that are no longer shown.

        Args:
            moved: as they are with every change that is committed
            dropped: their series

        """
        with self._transaction():
            totals.save(self._connection, moved, dropped)
            self.note(_COUNTED, str(self.head()))

    # -- definitions ------------------------------------------------------------------------------------------

    @noticed
    def definitions(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Give the CRDs that existed when the program last looked: (group, plural) → (uid, hash)."""
        rows = self._connection.execute("SELECT grp, resource, uid, hash FROM definitions")
        return {(group, resource): (uid, digest) for group, resource, uid, digest in rows}

    @noticed
    def define(self, group: str, resource: str, uid: str, digest: str) -> None:
        """Note that a CRD exists, and the hash of what of it matters to us."""
        self._connection.execute(
            "INSERT OR REPLACE INTO definitions VALUES (?, ?, ?, ?)", (group, resource, uid, digest)
        )

    @noticed
    def undefine(self, group: str, resource: str) -> None:
        """Note that a CRD is gone."""
        self._connection.execute("DELETE FROM definitions WHERE grp = ? AND resource = ?", (group, resource))

    # -- consumers --------------------------------------------------------------------------------------------

    def head(self) -> int:
        """Give the number of the newest change, 0 before the first."""
        return self.reader.head()

    @noticed
    def after(self, seq: int, limit: int) -> list[tuple[int, Record]]:
        """Give at most `limit` changes and records that follow `seq`."""
        return self.reader.after(seq, limit)

    async def wait(self, seq: int) -> None:
        """Return as soon as there is a change after `seq`."""
        while self.head() <= seq:
            await self._committed.wait()

    def _wake(self) -> None:
        self._committed.set()
        self._committed = asyncio.Event()

    @noticed
    def cursor(self, consumer: str) -> int:
        """Tell how far a consumer has read; a new one starts at the head."""
        row = self._connection.execute("SELECT seq FROM cursors WHERE consumer = ?", (consumer,)).fetchone()
        if row:
            return int(row[0])
        head = self.head()
        self._connection.execute("INSERT INTO cursors VALUES (?, ?)", (consumer, head))
        return head

    @noticed
    def advance(self, consumer: str, seq: int, *, buried: Sequence[tuple[int, str]] = ()) -> None:
        """Move a consumer's cursor, and keep what the other side will never take, with the reason."""
        with self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO dead_letters SELECT ?, seq, ?, ?, line FROM changes WHERE seq = ?",
                ((consumer, now(), reason, number) for number, reason in buried),
            )
            self._connection.execute("UPDATE cursors SET seq = ? WHERE consumer = ?", (seq, consumer))

    # -- upkeep -----------------------------------------------------------------------------------------------

    @noticed
    def evict(self, keep: int, max_bytes: int | None = None) -> retention.Evicted:
        """Delete the oldest changes that are past the age or beyond the size; see `retention.evict`."""
        most = self.limits.evict_at if max_bytes is None else max_bytes
        self._foreseen.clear()
        with self._transaction():
            believed, time = self._clock.ahead, self._clock.now(keep // 2)
            if self._clock.ahead != believed:
                self.note(_AHEAD, str(self._clock.ahead))
            return retention.evict(self._connection, time, keep, most, self.limits.evict_rows)

    @noticed
    def sizes(self) -> retention.Sizes:
        """Tell how large the journal is."""
        return retention.sizes(self._connection, self.path)

    def _place(self, key: ObjectKey) -> tuple[int, str, str]:
        return (self._types[key.group, key.resource], key.namespace, key.name)

    def _stream(self, scope: Scope) -> tuple[int, str, str]:
        return (self._types[scope.group, scope.resource], scope.namespace, scope.selectors)
