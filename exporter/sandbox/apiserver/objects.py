"""What the server makes of an object that is written: what is its own to say stays, status is apart, content counts.

Pure. The rules are those of apiserver's `rest.BeforeCreate` and `BeforeUpdate` and of the types' strategies. Must never
know where objects are kept.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from exporter.sandbox.apiserver import definitions
from exporter.sandbox.apiserver.kinds import DEFINITION, NAMESPACE, SECRET
from exporter.sandbox.apiserver.patch import same
from exporter.sandbox.apiserver.refusals import Cause, Refused, bad_request, conflict, invalid
from exporter.sandbox.apiserver.structural import fit
from exporter.sandbox.apiserver.validation import FORBIDDEN, INVALID, metadata_causes, schema_causes


if TYPE_CHECKING:
    from exporter.sandbox.apiserver.kinds import Kind
    from exporter.sandbox.apiserver.patch import Json

Object = dict[str, Any]

_MAPS, _LISTS = ("labels", "annotations"), ("finalizers", "ownerReferences", "managedFields")
_TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion")
# What of its metadata only the server says.
_OWN = (
    "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
    "resourceVersion", "selfLink",
)  # fmt: skip
_KNOWN = {*_MAPS, *_LISTS, *_TEXTS, *_OWN}
_NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"


class MalformedError(Refused):
    """Metadata is of another sort than metadata is."""

    def __init__(self, place: str) -> None:
        super().__init__(400, "BadRequest", f"{place} is of a sort that it cannot be")


def readied(kind: Kind, version: str, obj: Object, *, keep_nulls: bool = False) -> Object:
    """Read what a client wrote: as the schema of a version has it, and without metadata that there is not.

    Args:
        kind: its type
        version: in which it is written
        obj: as it was written
        keep_nulls: as `structural.fit` takes it

    Raises:
        Refused: it is no object of this type

    """
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise MalformedError("metadata")
    if obj.get("kind", kind.kind) != kind.kind:
        cause = Cause("kind", INVALID, f'Invalid value: "{obj["kind"]}": must be {kind.kind}')
        raise invalid(replace(kind, kind=obj["kind"]), metadata.get("name", ""), [cause])
    kept = _metadata(metadata)
    if kind is DEFINITION:
        obj = definitions.completed(obj)
    elif kind is SECRET:
        obj = _encoded(obj)
    elif kind is NAMESPACE and kept.get("name"):
        kept["labels"] = kept.get("labels", {}) | {_NAME_OF_NAMESPACE: kept["name"]}
    obj = obj | {"apiVersion": kind.api_version(version), "kind": kind.kind, "metadata": kept}
    return fit(obj, kind.schema.get(version, {}), keep_nulls=keep_nulls)


def newborn(kind: Kind, obj: Object, namespace: str, name: str, uid: str, time: str) -> Object:
    """Give a readied object its identity."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _OWN}
    metadata |= {"name": name, "uid": uid, "creationTimestamp": time}
    if kind.namespaced:
        metadata["namespace"] = namespace
    if kind.generations:
        metadata["generation"] = 1
    obj = {key: value for key, value in obj.items() if key != "status" or not kind.status}
    return obj | {"metadata": metadata}


def settled(kind: Kind, obj: Object) -> Object:
    """Add to a new object what nobody owns."""
    if kind is NAMESPACE:
        return obj | {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    if kind is SECRET:
        return {"type": "Opaque"} | obj
    return obj | {"status": definitions.first_status(obj)} if kind is DEFINITION else obj


def check_meant(kind: Kind, live: Object, new: Object, *, must_say_version: bool) -> None:
    """See that an update is meant for the object as it is.

    Raises:
        Refused: it is meant for another, for another version, or for none that is named

    """
    wanted, held = new["metadata"], live["metadata"]
    name = held["name"]
    if wanted.get("name", name) != name:
        raise bad_request(f"the name of the object ({wanted['name']}) does not match the name on the URL ({name})")
    if wanted.get("uid", held["uid"]) != held["uid"]:
        why = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {held['uid']}"
        raise conflict(kind, name, why)
    for key in ("creationTimestamp", "deletionTimestamp"):
        if wanted.get(key, held.get(key)) != held.get(key):
            why = f'Invalid value: "{wanted[key]}": field is immutable'
            raise invalid(kind, name, [Cause(f"metadata.{key}", INVALID, why)])
    version = wanted.get("resourceVersion")
    if version is None and must_say_version and kind.generations:
        cause = Cause("metadata.resourceVersion", INVALID, "Invalid value: 0x0: must be specified for an update")
        raise invalid(kind, name, [cause])
    if version not in {None, held["resourceVersion"]}:
        raise conflict(kind, name)


def restored(live: Object, new: Object) -> Object:
    """Give what was written with the metadata that is the server's to say."""
    metadata = {key: value for key, value in new["metadata"].items() if key not in _OWN}
    metadata |= {key: live["metadata"][key] for key in _OWN if key in live["metadata"]}
    return new | {"metadata": metadata}


def parted(kind: Kind, live: Object, new: Object, subresource: str) -> Object:
    """Keep of an update what its path may write: status, or all but status; and count the generation."""
    if subresource:
        found = {key: value for key, value in live.items() if key != "status"}
        managed = {key: value for key, value in new["metadata"].items() if key == "managedFields"}
        metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
        found |= {"metadata": metadata | managed, "apiVersion": new["apiVersion"]}
        return found | ({"status": new["status"]} if "status" in new else {})
    if kind.status:
        new = {key: value for key, value in new.items() if key != "status"}
        new |= {"status": live["status"]} if "status" in live else {}
    if kind.generations and not same(_content(kind, live), _content(kind, new)):
        new = new | {"metadata": new["metadata"] | {"generation": live["metadata"].get("generation", 0) + 1}}
    return new


def check(kind: Kind, version: str, obj: Object, live: Object | None = None) -> None:
    """See that an object may be stored.

    Raises:
        Refused: 422, with all that is wrong

    """
    causes = [*metadata_causes(kind, obj["metadata"]), *schema_causes(obj, kind.schema.get(version, {}))]
    if kind is DEFINITION and not causes:
        causes += definitions.crd_causes(obj)
    if live is not None and "deletionTimestamp" in live["metadata"]:
        known = live["metadata"].get("finalizers", [])
        more = [one for one in obj["metadata"].get("finalizers", []) if one not in known]
        if more:
            why = (
                f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {more}"
            )
            causes.append(Cause("metadata.finalizers", FORBIDDEN, why))
    if causes:
        raise invalid(kind, obj["metadata"].get("name", ""), causes)


def declared(kind: Kind, version: str, config: Json, name: str) -> Object:
    """Read a declaration.

    Raises:
        Refused: it is none, or of another type or version

    """
    if not isinstance(config, dict) or not config.get("kind"):
        raise bad_request("Object 'Kind' is missing in the applied configuration")
    if config["kind"] != kind.kind or config.get("apiVersion") != kind.api_version(version):
        said = f"{config.get('apiVersion')}, {config['kind']}"
        raise bad_request(f"the applied configuration is of another type or version: {said}")
    metadata = config.get("metadata") or {}
    if "managedFields" in metadata:
        raise bad_request("metadata.managedFields must be nil")
    return config | {"metadata": metadata | {"name": name}}


def owned(obj: Object, entries: list[Object]) -> Object:
    """Give an object with managedFields."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return obj | {"metadata": metadata | ({"managedFields": entries} if entries else {})}


def entries_before(live: Object, body: Object, subresource: str) -> list[Object]:
    """Give the managedFields that an update starts from: those that it brings, if they are any."""
    held: list[Object] = live["metadata"].get("managedFields", [])
    brought = body["metadata"].get("managedFields")
    if subresource or brought is None:
        return held
    if brought == [{}]:
        return []  # as a client says that nobody is to own anything
    needed = ("manager", "operation", "apiVersion", "fieldsV1")
    return brought if all(isinstance(one, dict) and all(key in one for key in needed) for one in brought) else held


def doomed(kind: Kind, live: Object, time: str) -> Object:
    """Mark an object for deletion."""
    metadata = live["metadata"] | {"deletionTimestamp": time, "deletionGracePeriodSeconds": 0}
    if "generation" in metadata:
        metadata["generation"] += 1
    if kind is DEFINITION:
        metadata["finalizers"] = [*metadata.get("finalizers", []), definitions.FINALIZER]
    if kind is NAMESPACE:
        return live | {"metadata": metadata, "status": live["status"] | {"phase": "Terminating"}}
    return live | {"metadata": metadata}


def is_unchanged(live: Object, new: Object) -> bool:
    """Tell whether a write changes nothing, apart from the times at which somebody wrote."""
    if not same(live | {"metadata": None}, new | {"metadata": None, "apiVersion": live["apiVersion"]}):
        return False
    return same(_timeless(live["metadata"]), _timeless(new["metadata"]))


def _metadata(metadata: Object) -> Object:
    """Read metadata: without what there is not, and what is empty."""
    kept = {key: value for key, value in metadata.items() if key in _KNOWN and value not in (None, {}, [])}
    for keys, wanted in ((_MAPS, dict), (_LISTS, list), (_TEXTS, str)):
        for key in keys:
            if key in kept and not isinstance(kept[key], wanted):
                raise MalformedError(f"metadata.{key}")
    for key in _MAPS:
        if not all(isinstance(value, str) for value in kept.get(key, {}).values()):
            raise MalformedError(f"metadata.{key}")
    return kept


def _timeless(metadata: Object) -> Object:
    entries = [entry | {"time": None} for entry in metadata.get("managedFields", ())]
    return metadata | {"managedFields": entries}


def _content(kind: Kind, obj: Object) -> Object:
    apart = {"metadata", "apiVersion", "status"} if kind.status else {"metadata", "apiVersion"}
    return {key: value for key, value in obj.items() if key not in apart}


def _encoded(secret: Object) -> Object:
    """Move what a Secret is given as text to where it is kept."""
    text = secret.get("stringData")
    if not isinstance(text, dict):
        return secret
    data = {key: base64.b64encode(str(value).encode()).decode() for key, value in text.items()}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return rest | {"data": (secret.get("data") or {}) | data}
