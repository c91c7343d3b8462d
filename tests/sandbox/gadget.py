"""A type with every sort of field, and random writes to it. Data only."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from exporter.sandbox.apiserver.bodies import APPLY, MERGE
from exporter.sandbox.apiserver.kinds import DEFINITION, NAMESPACE, Kind
from exporter.sandbox.apiserver.store import Store


Object = dict[str, Any]

GROUP = "gadgets.example.com"
API_VERSION = f"{GROUP}/v1"
SPACE = "space"
START = 1_800_000_000  # seconds; the first time that a made-up clock tells
_STRING: Object = {"type": "string"}
_INTEGER: Object = {"type": "integer"}


def of(**properties: Object) -> Object:
    """Describe an object of these fields."""
    return {"type": "object", "properties": properties}


def list_by(key: str, **properties: Object) -> Object:
    """Describe a list whose entries are told apart by a key."""
    items = of(**properties) | {"required": [key]}
    return {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key], "items": items}


SPEC = of(
    size=_INTEGER | {"minimum": 0},
    color=_STRING | {"enum": ["red", "blue"]},
    remark=_STRING | {"nullable": True},
    limits=of(low=_INTEGER, high=_INTEGER),
    notes={"type": "object", "additionalProperties": _STRING},
    tags={"type": "array", "items": _STRING},
    words={"type": "array", "items": _STRING, "x-kubernetes-list-type": "set"},
    ports=list_by("name", name=_STRING, port=_INTEGER, grade=_STRING | {"default": "plain"}),
    open={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
)
STATUS = of(phase=_STRING, conditions=list_by("type", type=_STRING, status=_STRING))


def version(name: str = "v1", spec: Object = SPEC, *, storage: bool = True, status: bool = True) -> Object:
    """Give one version of a definition."""
    return {
        "name": name,
        "served": True,
        "storage": storage,
        **({"subresources": {"status": {}}} if status else {}),
        "schema": {"openAPIV3Schema": of(spec=spec, status=STATUS)},
    }


def definition(*versions: Object, plural: str = "gadgets", kind: str = "Gadget", **spec: Any) -> Object:
    """Give a definition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions or (version(),)),
            **spec,
        },
    }


def gadget(name: str = "one", spec: object = None, **metadata: Any) -> Object:
    """Give an object as a client writes it."""
    body = {"apiVersion": API_VERSION, "kind": "Gadget", "metadata": {"name": name, **metadata}}
    return body | ({} if spec is None else {"spec": spec})


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> int:
        return self.seconds * 1_000_000_000


def stocked(*crds: Object, clock: Clock | None = None, history: int = 1000) -> tuple[Store, Kind]:
    """Give a store with a namespace and the types of some definitions, and the first of these."""
    numbers = iter(range(1_000_000))
    store = Store(clock or Clock(), lambda: f"uid-{next(numbers):05}", history)
    store.create(NAMESPACE, "", {"metadata": {"name": SPACE}}, "maker")
    for crd in crds or (definition(),):
        store.create(DEFINITION, "", crd, "maker")
    kind = store.kind(GROUP, (crds or (definition(),))[0]["spec"]["names"]["plural"])
    assert kind is not None
    return store, kind


# Nothing is empty: what upstream makes of empty lists and objects obeys no law (the comparison with it covers them).
_OPEN = st.dictionaries(
    st.sampled_from("abc"),
    st.sampled_from(["s", 1, [1]]) | st.dictionaries(st.sampled_from("de"), st.integers(0, 1), min_size=1),
    min_size=1,
    max_size=2,
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(0, 2),
        "color": st.sampled_from(["red", "blue"]),
        "remark": st.none() | st.just("a"),
        "limits": st.dictionaries(st.sampled_from(["low", "high"]), st.integers(0, 2), min_size=1),
        "notes": st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), min_size=1, max_size=2),
        "tags": st.lists(st.sampled_from("pqr"), min_size=1, max_size=2),
        "words": st.lists(st.sampled_from("pqr"), min_size=1, max_size=2, unique=True),
        "ports": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("klm")}, optional={"port": st.integers(0, 2)}),
            min_size=1,
            max_size=3,
            unique_by=lambda port: port["name"],
        ),
        "open": _OPEN,
    },
).filter(bool)


def _type_of(condition: Any) -> Any:
    return condition["type"]


STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from("AB"),
        "conditions": st.lists(
            st.fixed_dictionaries({"type": st.sampled_from("RS"), "status": st.sampled_from(["True", "False"])}),
            min_size=1,
            max_size=2,
            unique_by=_type_of,
        ),
    },
).filter(bool)
# Of one object: who, how, what, and which part of it.
WRITES = st.tuples(
    st.sampled_from(["ann", "bob", "cy"]),
    st.sampled_from([MERGE, APPLY]),
    st.fixed_dictionaries(
        {},
        optional={
            "spec": SPECS,
            "status": STATUSES,
            "metadata": st.fixed_dictionaries(
                {}, optional={"labels": st.dictionaries(st.sampled_from("st"), st.sampled_from("xy"), min_size=1)}
            ),
        },
    ),
    st.sampled_from(["", "", "", "status"]),
)
