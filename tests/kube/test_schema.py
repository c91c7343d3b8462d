"""What a CRD tells."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from exporter.kube.schema import read_definition, read_schema
from exporter.kube.selection import TypeSelection
from exporter.model import ResourceType


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "properties": {
                "ports": {
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {"properties": {"secret": {"type": "string", "format": "password"}}},
                },
                "free": {"additionalProperties": {"properties": {"pin": {"format": "password"}}}},
                "set": {"x-kubernetes-list-type": "set", "items": {"type": "string"}},
            }
        }
    },
}


def crd(**spec: Any) -> dict[str, Any]:
    """Make a CRD that is established."""
    return {
        "metadata": {"name": "widgets.example.com", "uid": "crd-1"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}},
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}},
            ],
            **spec,
        },
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }


def test_a_crd_that_is_not_established_or_serves_nothing_is_none() -> None:
    """Before it is served there is nothing to follow."""
    young = crd()
    young["status"] = {"conditions": [{"type": "Established", "status": "False"}]}

    assert read_definition(young) is None
    assert read_definition(crd(versions=[{"name": "v1", "served": False, "storage": True}])) is None


@pytest.mark.parametrize(
    ("served", "expected"), [(("v2", "v1"), "v1"), (("v2",), "v2")], ids=["storage is served", "storage is not served"]
)
def test_the_storage_version_is_followed_where_it_is_served(served: tuple[str, ...], expected: str) -> None:
    """The version asked for needs no conversion if possible, else the first served one is taken."""
    made = crd()
    for version in made["spec"]["versions"]:
        version["served"] = version["name"] in served
    definition = read_definition(made)

    assert definition is not None
    assert definition.type == ResourceType("example.com", expected, "widgets", "Widget")


def test_list_keys_and_passwords_are_found_at_their_places() -> None:
    """Keys of list-maps and fields of format password are known by their place in the schema."""
    definition = read_definition(crd())

    assert definition is not None
    assert definition.schema.list_keys == {("spec", "ports"): ("port", "protocol")}
    assert set(definition.schema.passwords) == {("spec", "ports", "*", "secret"), ("spec", "free", "*", "pin")}


def test_what_is_filled_in_and_what_amounts_are_is_found_at_its_place() -> None:
    """Defaults, sets, atomic and free maps, quantities and durations are known; a pattern of anything else is none."""
    tree: dict[str, Any] = {
        "properties": {
            "mode": {"default": "auto"},
            "off": {"default": None},
            "zones": {"x-kubernetes-list-type": "set", "items": {"default": 1}},
            "box": {"x-kubernetes-map-type": "atomic"},
            "by": {"additionalProperties": {"properties": {"size": {"pattern": "^[0-9]+([KMGTPE]i|[numkMGTPE])?$"}}}},
            "open": {"additionalProperties": True},
            "every": {"pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"},
            "for": {"format": "duration"},
            "name": {"pattern": "^[a-z]+(h|m)?$"},
            "odd": "no schema",
        }
    }

    schema = read_schema(tree)

    assert schema.known
    assert schema.defaults == {("mode",): "auto", ("off",): None, ("zones", "*"): 1}
    assert [*schema.sets, *schema.atomics, *schema.free] == [("zones",), ("box",), ("by",)]
    assert [*schema.quantities, *sorted(schema.durations)] == [("by", "*", "size"), ("every",), ("for",)]
    assert schema.place(("by", "any", "size")) == ("by", "*", "size")
    assert not read_schema({}).defaults


def test_the_digest_moves_with_what_can_change_the_look_of_objects_alone() -> None:
    """A new default or conversion moves it; a renewed CA bundle, labels and conditions do not."""

    def digest(made: dict[str, Any]) -> str:
        definition = read_definition(made)
        assert definition is not None
        return definition.digest

    def conversion(bundle: str) -> dict[str, Any]:
        return {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x", "caBundle": bundle}}}

    base = digest(crd(conversion=conversion("a")))
    defaulted = crd(conversion=conversion("a"))
    defaulted["spec"]["versions"] = copy.deepcopy(defaulted["spec"]["versions"])
    defaulted["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["default"] = {}
    labelled = crd(conversion=conversion("b"))
    labelled["metadata"]["labels"] = {"a": "b"}

    assert digest(labelled) == base
    assert digest(defaulted) != base
    assert digest(crd()) != base


@pytest.mark.parametrize(
    ("include", "exclude", "group", "kind", "expected"),
    [
        (("*/*",), (), "", "ConfigMap", False),
        (("*/*",), ("*/*Report",), "x.io", "PolicyReport", False),
        (("x.io/*",), (), "y.io", "A", False),
        (("*/*",), (), "x.io", "A", True),
        (("*.io/A*",), (), "x.io", "Ab", True),
        (("v1/ConfigMap",), (), "", "ConfigMap", True),
        (("core/*",), (), "", "Secret", True),
        (("*/*", "x.io/PolicyReport"), ("*/*Report",), "x.io", "PolicyReport", True),
    ],
)
def test_globs_select_types(
    include: tuple[str, ...], exclude: tuple[str, ...], group: str, kind: str, expected: bool
) -> None:
    """Excludes win over wildcards, a name given letter by letter over excludes, and core types must be named."""
    assert TypeSelection(include, exclude).wants_kind(group, kind) == expected


def test_groups_named_without_wildcards_are_asked_for() -> None:
    """Only they can hold types that no CRD defines."""
    assert TypeSelection(("*/*", "x.io/*", "v1/Secret", "*.y.io/A")).named_groups() == {"x.io", ""}
