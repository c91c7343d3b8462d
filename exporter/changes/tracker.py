"""From one observation after the other to changes, against the last-seen state of every object.

The tracker fills a `Batch`, in which changes, states and checkpoints lie together until they are committed as one.
It decides what is news: a version that is already there is dropped; an object that was there before anybody watched is
silent; what a list finds missing was deleted. It does no I/O: the journal is two look-up functions to it, the clock
comes with the observations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from exporter.changes.classify import Sections, classify, is_heartbeat, take_apart
from exporter.changes.diff import Diff
from exporter.changes.graves import Graves
from exporter.changes.move import Move
from exporter.changes.order import is_older
from exporter.changes.pointer import matches
from exporter.changes.reading import read_move, read_version
from exporter.changes.redact import mask
from exporter.changes.schema import NO_SCHEMA
from exporter.changes.shallow import shallow
from exporter.changes.step import Step
from exporter.changes.version import Fields, Version, opaque, pack, unpack
from exporter.changes.writer import find_writer
from exporter.model import UNRESOLVED, Change, Stored, change_id
from exporter.timestamps import normalise, to_nanoseconds


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.changes.batch import Batch
    from exporter.changes.observation import Observation
    from exporter.changes.pointer import Pattern
    from exporter.changes.redact import Redactor
    from exporter.changes.schema import Schema
    from exporter.changes.writer import WriterTable
    from exporter.model import ChangeType, Event, FieldChange, ObjectKey, ResourceType, Scope, Tombstone, Writer
    from exporter.timestamps import Timestamp

    Cut = Callable[[bytes], bytes]


RECREATED_WITHIN = 600_000_000_000
# Objects that changed last are likely to change next: so many are kept unpacked, though not decoded.
_RECENT = 1024
_NOTHING = Fields(b"{}")
# What comes before the first version of an object.
_UNBORN = Fields(b'{"generation":0}')


class _Recent(Struct, frozen=True, gc=False):
    """A version at hand: as it was stored, as it can be looked into, and whether it had no secret."""

    stored: Stored
    version: Version
    untouched: bool


class Tracker:
    """Turns observations into changes.

    Args:
        cluster_uid: part of every change id
        redactor: takes the secrets out
        writers: manager names by class
        ignore: patterns of fields that are no reason to tell of a change
        stored: looks up the last-seen version of an object
        buried: looks up the tombstone of an object
        schema: looks up what is known of a type's schema
        went_backwards: is called when a list shows that the server's history did; may set another epoch
        epoch: part of every change id

    """

    def __init__(
        self,
        *,
        cluster_uid: str,
        redactor: Redactor,
        writers: WriterTable,
        stored: Callable[[ObjectKey], Stored | None],
        buried: Callable[[ObjectKey], Tombstone | None],
        schema: Callable[[ResourceType], Schema] = lambda _: NO_SCHEMA,
        went_backwards: Callable[[Scope], None] = lambda _: None,
        ignore: tuple[Pattern, ...] = (),
        epoch: int = 0,
    ) -> None:
        self.epoch = epoch
        self._cluster_uid = cluster_uid
        self._redactor = redactor
        self._writers = writers
        self._stored = stored
        self._graves = Graves(buried)
        self._schema = schema
        self._went_backwards = went_backwards
        self._ignore = ignore
        self._recent: dict[ObjectKey, _Recent] = {}

    def strangers(self, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        """Choose those places of which nothing is at hand, so that they will have to be looked up."""
        recent = self._recent
        return [key for key in keys if key not in recent]

    def observe(self, seen: Observation, batch: Batch) -> None:
        """Take in one object as a watch or a list showed it; what follows from it goes into the batch."""
        try:
            self._observe(seen, batch)
        except RecursionError:
            # Each of the things below puts what it does into the batch at its end, so nothing half done is there.
            self._observe(msgspec.structs.replace(seen, raw=shallow(seen.raw)), batch, cut=shallow)

    def _observe(self, seen: Observation, batch: Batch, cut: Cut = bytes) -> None:
        key = seen.key
        held = self._last(key, batch)
        if held is not None and seen.late and _is_over(seen, held):
            return
        old = held if held is not None and held.uid == seen.head.uid else None
        if seen.mode == "refresh":
            if old is not None and old.resource_version == seen.head.resource_version:
                self._recent.pop(key, None)
                version, _ = self._read(seen, batch)
                batch.take(Step(seen.type, key, old.uid, seen.observed, new=version))
                batch.objects[key] = Stored(old.uid, old.resource_version, pack(version.raw))
        elif seen.event == "deleted":
            if old is not None:
                self._delete(seen, key, old, batch, cut)
        elif old is not None:
            if old.resource_version != seen.head.resource_version:
                self._modify(seen, key, old, batch, cut)
        elif held is not None:
            self._delete_unseen(seen, key, held, batch)
            self._create(seen, key, self._graves.stone(key, batch), batch)
        else:
            stone = self._graves.stone(key, batch)
            if not self._graves.hold(seen, stone):
                self._create(seen, key, stone, batch)

    def sweep(
        self,
        resource_type: ResourceType,
        held: Iterable[tuple[ObjectKey, str, str]],
        listed: set[str],
        observed: Timestamp,
        batch: Batch,
        *,
        silent: bool = False,
    ) -> None:
        """Report as deleted what is held but was not listed.

        Args:
            resource_type: of the list
            held: (key, uid, resourceVersion) of the objects held in the listed scope
            listed: uids that the list held
            observed: when the list was complete
            batch: takes the deletions
            silent: drop them without a word (what is left of a baseline that was broken off)

        """
        for key, uid, _ in held:
            if uid in listed:
                continue
            old = self._last(key, batch)
            if old is None or old.uid != uid:
                continue
            told = None
            if not silent:
                told = self._change(resource_type, key, uid, "deleted", "deleted", observed, UNRESOLVED, gap=True)
            self._gone(Step(resource_type, key, uid, observed, told), batch)

    def review(self, resource_type: ResourceType, key: ObjectKey, observed: Timestamp, batch: Batch) -> None:
        """Have an object looked at as it is, or that it is not there: what it is judged by has changed."""
        held = self._last(key, batch)
        if held is None:
            batch.take(Step(resource_type, key, "", observed))
        else:
            batch.take(Step(resource_type, key, held.uid, observed, new=self._held(resource_type, held)))

    # -- the four things that can happen ----------------------------------------------------------------------

    def _create(self, seen: Observation, key: ObjectKey, stone: Tombstone | None, batch: Batch) -> None:
        restored = self._graves.open(seen, stone)
        if restored and seen.mode == "catch_up":
            self._went_backwards(seen.scope)  # before there is an id: what it tells may have been told once
        version, untouched = self._read(seen, batch)
        stored = Stored(seen.head.uid, seen.head.resource_version, pack(version.raw))
        if seen.mode == "baseline":
            batch.take(Step(seen.type, key, seen.head.uid, seen.observed, new=version))
            batch.objects[key] = stored
            batch.count(seen.type, key.namespace, 1)
            return
        back = (
            stone is not None
            and stone.uid != seen.head.uid
            and to_nanoseconds(seen.observed) - to_nanoseconds(stone.at) <= RECREATED_WITHIN
        )
        change: ChangeType = "recreated" if back else "created"
        meta = version.metadata
        created = str(meta.get("creationTimestamp", ""))
        entries = list(version.entries)
        writer, _ = find_writer(self._writers, entries, entries, change=change, created=created)
        told = self._change(
            seen.type, key, seen.head.uid, "added", change, seen.observed, writer,
            meta=meta, happened=created, gap=seen.mode == "catch_up",
        )  # fmt: skip
        batch.take(Step(seen.type, key, seen.head.uid, seen.observed, told, new=version))
        if seen.mode == "catch_up" and not (restored or seen.scope.selectors):
            batch.coalesced += _swallowed(_UNBORN, meta)
        batch.objects[key] = stored
        batch.count(seen.type, key.namespace, 1)
        self._remember(key, _Recent(stored, version, untouched))

    def _modify(self, seen: Observation, key: ObjectKey, old: Stored, batch: Batch, cut: Cut) -> None:
        if seen.mode == "catch_up" and is_older(seen.head.resource_version, old.resource_version):
            self._went_backwards(seen.scope)  # as above
        recent = self._recent.pop(key, None)
        if recent is not None and recent.stored is old:
            was, known = recent.version, recent.untouched
        else:
            was, known = self._held(seen.type, old, cut), False
        schema = self._schema(seen.type)
        move, untouched = self._move(seen, batch, was, schema, known=known)
        version = move.new
        stored = Stored(seen.head.uid, seen.head.resource_version, pack(version.raw))
        if seen.mode == "baseline":
            batch.take(Step(seen.type, key, old.uid, seen.observed, old=was, new=version))
            batch.objects[key] = stored
            return
        sections = take_apart(move)
        meta = version.metadata
        change = classify(move, sections)
        fields, truncated = _fields(schema, sections)
        came, went = move.came(), move.went()
        writer, time = find_writer(self._writers, version.entries, came, went, change=change, fields=fields)
        whole = bool(fields) and not truncated  # what was cut off may be anything
        heartbeat = whole and (
            (change == "status" and is_heartbeat(fields))
            or (bool(self._ignore) and all(matches(self._ignore, one.path) for one in fields))
        )
        happened = meta.get("deletionTimestamp", "") if change == "deleting" else time
        told = self._change(
            seen.type, key, seen.head.uid, "modified", change, seen.observed, writer,
            meta=meta, happened=happened, fields=fields, truncated=truncated, heartbeat=heartbeat,
            gap=seen.mode == "catch_up",
        )  # fmt: skip
        batch.take(Step(seen.type, key, old.uid, seen.observed, told, was, version, tuple(went)))
        if seen.mode == "catch_up":
            batch.coalesced += _swallowed(was.metadata, meta)
        batch.truncated += truncated
        batch.objects[key] = stored
        self._remember(key, _Recent(stored, version, untouched))

    def _delete(self, seen: Observation, key: ObjectKey, old: Stored, batch: Batch, cut: Cut) -> None:
        if seen.mode == "left":
            self._gone(Step(seen.type, key, old.uid, seen.observed), batch)
            batch.forgotten += 1
            return
        was = self._held(seen.type, old, cut)
        told = self._change(seen.type, key, old.uid, "deleted", "deleted", seen.observed, UNRESOLVED, meta=was.metadata)
        told = msgspec.structs.replace(told, resource_version=seen.head.resource_version)
        self._gone(Step(seen.type, key, old.uid, seen.observed, told, was), batch)

    def _delete_unseen(self, seen: Observation, key: ObjectKey, old: Stored, batch: Batch) -> None:
        """An object of another uid is in the place: the one that we know must have been deleted before."""
        told = None
        if seen.mode != "baseline":
            told = self._change(seen.type, key, old.uid, "deleted", "deleted", seen.observed, UNRESOLVED, gap=True)
        self._gone(Step(seen.type, key, old.uid, seen.observed, told), batch)

    def _gone(self, step: Step, batch: Batch) -> None:
        """Let an object go, and tell so if there is a change to be told."""
        batch.take(step)
        if step.change is not None:
            self._graves.bury(step.key, step.uid, step.observed, batch)
        batch.objects[step.key] = None
        self._recent.pop(step.key, None)
        batch.count(step.type, step.key.namespace, -1)

    # -- parts ------------------------------------------------------------------------------------------------

    def _last(self, key: ObjectKey, batch: Batch) -> Stored | None:
        """Look up the last-seen version: in this batch, among the recent ones, in the journal."""
        if key in batch.objects:
            return batch.objects[key]
        recent = self._recent.get(key)
        return recent.stored if recent is not None else self._stored(key)

    def _held(self, resource_type: ResourceType, stored: Stored, cut: Cut = bytes) -> Version:
        """Read a version out of the journal: what has become secret since it was stored is so in it, too."""
        raw = cut(unpack(stored.state))
        if not self._redactor.has_rules:
            return Version(raw)
        passwords = self._schema(resource_type).passwords
        return read_version(self._redactor, raw, secret=_is_secret(resource_type), passwords=passwords)[0]

    def _remember(self, key: ObjectKey, recent: _Recent) -> None:
        """Keep a version at hand, in place of the one that was longest not touched."""
        if len(self._recent) >= _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = recent

    def _read(self, seen: Observation, batch: Batch) -> tuple[Version, bool]:
        """Read a version as a whole; tell whether it had no secret."""
        try:
            return read_version(
                self._redactor, seen.raw, secret=_is_secret(seen.type), passwords=self._schema(seen.type).passwords
            )
        except (ValueError, TypeError):
            batch.unreadable += 1
            return opaque(seen.raw, seen.head), False

    def _move(self, seen: Observation, batch: Batch, was: Version, schema: Schema, *, known: bool) -> tuple[Move, bool]:
        """Read a version after the one before it, only what moved if that is known to hold no secret."""
        if known:
            secret = _is_secret(seen.type)
            move = read_move(self._redactor, seen.raw, was, secret=secret, passwords=schema.passwords)
            if move is not None:
                return move, True
        version, untouched = self._read(seen, batch)
        return Move(was, version), untouched

    def _change(
        self,
        resource_type: ResourceType,
        key: ObjectKey,
        uid: str,
        event: Event,
        change: ChangeType,
        observed: Timestamp,
        writer: Writer,
        *,
        meta: Fields = _NOTHING,
        happened: str = "",
        fields: Sequence[FieldChange] = (),
        truncated: bool = False,
        heartbeat: bool = False,
        gap: bool = False,
    ) -> Change:
        version = str(meta.get("resourceVersion", ""))
        generation = meta.get("generation")
        return Change(
            id=change_id(self._cluster_uid, self.epoch, uid, version, event),
            observed=observed,
            happened=normalise(happened) or UNSET,
            event=event,
            change=change,
            group=resource_type.group,
            version=resource_type.version,
            kind=resource_type.kind,
            namespace=mask(key.namespace),
            name=mask(key.name),
            uid=uid,
            resource_version=version,
            generation=generation if isinstance(generation, int) else UNSET,
            fields=tuple(fields),
            truncated=truncated,
            writer=writer,
            heartbeat=heartbeat,
            gap=gap,
        )


def _fields(schema: Schema, sections: Sections) -> tuple[tuple[FieldChange, ...], bool]:
    """Tell which fields moved, and whether something of that was cut off."""
    diff = Diff(schema.list_keys)
    if any(sections.content):
        diff.compare(*sections.content)
    if any(sections.metadata):
        diff.compare(*sections.metadata, "/metadata", ("metadata",))
    if sections.status != (UNSET, UNSET):
        diff.compare(*sections.status, "/status", ("status",))
    return tuple(diff.fields), diff.truncated


def _is_over(seen: Observation, held: Stored) -> bool:
    """Tell whether what comes late is no newer than what is held in its place. A deletion never is: a uid goes once."""
    once = seen.event == "deleted" and seen.mode == "live"
    return not once and not is_older(held.resource_version, seen.head.resource_version)


def _swallowed(was: Fields, now: Fields) -> int:
    """Count the versions that a list must have swallowed between two that we have: a lower bound, by generation."""
    before, after = was.get("generation"), now.get("generation")
    if not isinstance(before, int) or not isinstance(after, int):
        return 0
    return max(0, after - before - 1)


def _is_secret(resource_type: ResourceType) -> bool:
    return not resource_type.group and resource_type.kind == "Secret"
