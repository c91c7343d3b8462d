"""Custom resources as an API server shows them in a watch, of a given size, and each sort of change to them.

Pure. Field names, managers and times are as a real server writes them; texts are words of random syllables, which
compress about as text does: a word that is repeated would flatter the journal.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import TYPE_CHECKING, Any, Literal, get_args

from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "bench.example.com"
NAMESPACES = ("team-a", "team-b")
KIB = 1024
# A change of the mix is one of the spec in every third case, else one of the status.
Sort = Literal["created", "spec", "status", "heartbeat", "metadata", "ownership", "noop", "deleted", "mix"]
SORTS: tuple[Sort, ...] = get_args(Sort)

# Of these no word can be made that looks like a part of a secret ("key", "pem", "eyJ"): among letters at random they
# occur by chance, and then it is chance how many objects are searched for secrets. That is a case of its own.
_SYLLABLES = [consonant + vowel for consonant in "bdfglnrtvz" for vowel in "aeiou"]
_BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
# The time of an entry in managedFields has a resolution of one second; so many changes have the same.
_PER_SECOND = 500

Json = dict[str, Any]


def _vocabulary(count: int) -> list[str]:
    draw = random.Random(0)  # noqa: S311 - the same in every run
    return ["".join(draw.choices(_SYLLABLES, k=draw.randint(2, 4))) for _ in range(count)]


_WORDS = _vocabulary(20_000)


class Line(Struct, frozen=True):
    """One line of a watch, and the number of the type whose watch it is."""

    number: int
    data: bytes


def kind(number: int) -> str:
    """Name a type."""
    return f"Bench{number}"


def plural(number: int) -> str:
    """Name a type as the URL does."""
    return f"bench{number}s"


def definition(number: int) -> Json:
    """Write the CRD of a type."""
    content = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    replicas = {"spec": {**content, "properties": {"replicas": {"type": "integer"}}}, "status": content}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural(number)}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": kind(number), "plural": plural(number), "singular": kind(number).lower()},
            "scope": "Namespaced",
            "versions": [{**version, "schema": {"openAPIV3Schema": {"type": "object", "properties": replicas}}}],
        },
    }


def words(draw: random.Random, letters: int) -> str:
    """Make text of about so many letters; it compresses as text does, not as one repeated word."""
    return " ".join(draw.choices(_WORDS, k=letters // 7 + 1))[:letters].strip()


def spec(draw: random.Random, settings: int = 20) -> Json:
    """Write a spec of so many fields beside `replicas`; with 20, the whole object is about 2 KiB."""
    return {"replicas": 1, **{f"setting{number:02}": words(draw, 32) for number in range(settings)}}


def shown(
    number: int,
    index: int,
    size: int,
    draw: random.Random,
    *,
    suspicious: bool = False,
    people: bool = True,
    begin: dt.datetime = _BEGIN,
) -> Json:
    """Write an object as a watch shows it, `size` bytes long within a few per cent.

    Args:
        number: of the type
        index: of the object
        size: in bytes
        draw: makes the texts
        suspicious: it names a Secret, so that all of it has to be searched for secrets; there are none
        people: two fields that nobody declared are people's, which gives the object a series of its own, else a tool's
        begin: when it is made

    """
    # A field of the spec costs its own line and its entry in managedFields: 64 bytes. The rest is about 1,240.
    settings = max(1, (size - 1_240) // 64)
    made = spec(draw, settings)
    if suspicious:
        made["setting00"] = {"passwordSecretRef": {"name": words(draw, 8)}}
    made_at = begin.strftime(_TIME)
    owned: Json = {f"f:{name}": {} for name in made if name != "replicas"}
    name = f"one-{index:06}"
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind(number),
        "metadata": {
            "creationTimestamp": made_at,
            "generation": 1,
            "labels": {"app": name, "team": words(draw, 6)},
            "managedFields": [
                _entry(
                    "helm", made_at, {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {".": {}, **owned}}
                ),
                _entry(
                    "kubectl-label" if people else "labeller", made_at, {"f:metadata": {"f:labels": {"f:team": {}}}}
                ),
                _entry("kubectl-edit" if people else "scaler", made_at, {"f:spec": {"f:replicas": {}}}),
                _entry("bench-operator", made_at, {"f:status": {".": {}, "f:phase": {}, "f:step": {}}}, "status"),
            ],
            "name": name,
            "namespace": NAMESPACES[index % len(NAMESPACES)],
            "resourceVersion": "1",
            "uid": f"{draw.getrandbits(32):08x}-0000-4000-8000-{draw.getrandbits(48):012x}",
        },
        "spec": made,
        "status": {"lastProbeTime": made_at, "message": words(draw, 40), "phase": "Ready", "step": 0},
    }


def changed(one: Json, sort: Sort, version: int, draw: random.Random) -> Json:
    """Give the next version of an object; the given one stays as it is."""
    metadata = {**one["metadata"], "resourceVersion": str(version)}
    made = {**one, "metadata": metadata}
    if sort == "mix":
        sort = "status" if version % 3 else "spec"
    match sort:
        case "spec":
            made["spec"] = {**one["spec"], "replicas": version}
            metadata["generation"] += 1
            _wrote(metadata, 2, version)
        case "status":
            phase = "Ready" if one["status"]["phase"] == "Progressing" else "Progressing"
            made["status"] = {**one["status"], "message": words(draw, 40), "phase": phase, "step": version}
            _wrote(metadata, 3, version)
        case "heartbeat":
            # Not when it was written: two of them within one second must differ, or they are no change.
            probed = _later(metadata, version)
            made["status"] = {**one["status"], "lastProbeTime": probed}
            _wrote(metadata, 3, version)
        case "metadata":
            metadata["labels"] = {**metadata["labels"], "team": words(draw, 8)}
            _wrote(metadata, 1, version)
        case "ownership":
            # An apply of a value that is there already shares it, the next gives it up.
            entries = metadata["managedFields"] = list(metadata["managedFields"])
            shared: Json = {} if "f:setting00" in entries[2]["fieldsV1"]["f:spec"] else {"f:setting00": {}}
            entries[2] = {**entries[2], "fieldsV1": {"f:spec": {"f:replicas": {}, **shared}}}
        case _:
            pass
    return made


def lines(
    sort: Sort,
    *,
    types: int,
    objects: int,
    size: int,
    changes: int,
    suspicious: bool = False,
    people: bool = True,
    begin: dt.datetime = _BEGIN,
) -> tuple[list[Line], list[Line]]:
    """Make what a server sends: first the objects that are there, then the changes.

    Args:
        sort: of change
        types: so many types, which take turns
        objects: how many are there in all; as many as changes where those delete, none where they create
        size: bytes of one object
        changes: how many
        suspicious: see `shown`
        people: see `shown`
        begin: when the objects are made; the changes follow, so many a second

    """
    draw = random.Random(1)  # noqa: S311 - the same in every run
    count = {"created": changes, "deleted": changes}.get(sort, objects)
    there = [
        (index % types, shown(index % types, index, size, draw, suspicious=suspicious, people=people, begin=begin))
        for index in range(count)
    ]
    first = [] if sort == "created" else [Line(number, event("ADDED", one)) for number, one in there]
    return first, list(_changes(sort, there, changes, draw))


def _changes(sort: Sort, there: list[tuple[int, Json]], changes: int, draw: random.Random) -> Iterator[Line]:
    for version in range(2, changes + 2):
        if sort in {"created", "deleted"}:
            number, one = there[version - 2]
            word = "ADDED" if sort == "created" else "DELETED"
            yield Line(number, event(word, changed(one, "noop", version, draw)))
        else:
            place = draw.randrange(len(there))
            number, one = there[place]
            there[place] = number, changed(one, sort, version, draw)
            yield Line(number, event("MODIFIED", there[place][1]))


def event(word: str, one: Json) -> bytes:
    """Write one line of a watch."""
    return json.dumps({"type": word, "object": one}, separators=(",", ":")).encode() + b"\n"


def _entry(manager: str, time: str, fields: Json, subresource: str = "") -> Json:
    entry = {"apiVersion": f"{GROUP}/v1", "fieldsType": "FieldsV1", "fieldsV1": fields, "manager": manager}
    return {**entry, "operation": "Update", **({"subresource": subresource} if subresource else {}), "time": time}


def _wrote(metadata: Json, place: int, version: int) -> None:
    """Move the time of an entry in managedFields, as a write of its manager does."""
    entries = metadata["managedFields"] = list(metadata["managedFields"])
    entries[place] = {**entries[place], "time": _later(metadata, version // _PER_SECOND)}


def _later(metadata: Json, seconds: int) -> str:
    """Give the time so long after an object was made."""
    made_at = dt.datetime.strptime(metadata["creationTimestamp"], _TIME)  # noqa: DTZ007 - it is all in UTC
    return (made_at + dt.timedelta(seconds=seconds)).strftime(_TIME)
