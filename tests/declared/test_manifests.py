"""From files to declared objects: what declares none, what is left out, and that no secret stays."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.redact import Redactor, mask
from exporter.declared.manifests import Identity, Kind, Problem, Reading
from tests.secrets import BY_SHAPE


KEY = b"k" * 32
CLUSTER_WIDE = {("example.com", "Zone"), ("", "Namespace")}


def kinds(group: str, kind: str) -> Kind:
    """Some kinds are cluster-scoped, and Logins have a password."""
    passwords = (("spec", "*", "word"),) if kind == "Login" else ()
    return Kind(namespaced=(group, kind) not in CLUSTER_WIDE, passwords=passwords)


def read(content: str, file: str = "/declared/a.yaml") -> Any:
    """Read a file whose objects are in the namespace `default` where they do not say."""
    return Reading(Redactor(KEY), kinds).read(content.encode(), file, "default")


def objects(content: str) -> list[Any]:
    """Read the objects of a file in which nothing is wrong."""
    contents = read(content)
    assert contents.problems == ()
    return [msgspec.json.decode(manifest.raw) for manifest in contents.manifests]


A = "{apiVersion: v1, kind: A, metadata: {name: a}}"
WIDGET = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("- a", "is no object; write apiVersion, kind and metadata.name, or move the file away"),
        ("text", "is no object; write apiVersion, kind and metadata.name, or move the file away"),
        ("replicas: 3", "has no apiVersion; write one, or move the file away if it declares no object"),
        ("apiVersion: v2\nname: chart", "has no kind; write one, or move the file away if it declares no object"),
        ("apiVersion: 1\nkind: A", "has something else than text as apiVersion; "),
        ("apiVersion: v1\nkind: y", "has something else than text as kind; "),
        ("apiVersion: v1\nkind: A", "has no metadata.name; "),
        ("apiVersion: v1\nkind: A\nmetadata: []", "has no metadata.name; "),
        ("apiVersion: v1\nkind: A\nmetadata: {name: 12}", "has something else than text as metadata.name; "),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: 1}", "has something else than text as "),
        ("apiVersion: v1\nkind: List\nitems: [1]", "is no object; "),
    ],
)  # fmt: skip
def test_what_declares_no_object_is_named(content: str, text: str) -> None:
    """Each has its place and what to do; the objects around it are read."""
    contents = read(f"{WIDGET}---\n{content}\n---\n{WIDGET.replace('name: a', 'name: b')}")
    assert [manifest.identity.name for manifest in contents.manifests] == ["a", "b"]
    (problem,) = contents.problems
    assert (problem.kind, problem.file, problem.line) == ("no_object", "/declared/a.yaml", 5)
    assert str(problem).startswith(f"/declared/a.yaml:5: {text}")


def test_a_broken_document_is_named_with_its_line() -> None:
    """What is no YAML has the line of the file."""
    contents = read(f"{WIDGET}---\na: [\n")
    assert len(contents.manifests) == 1
    assert [(problem.kind, problem.line) for problem in contents.problems] == [("yaml", 5)]


def test_aliases_that_go_deep_break_nothing() -> None:
    """Aliases of aliases make a document deeper than it is written; such a one is refused."""
    deep = "[" * 200 + "*x{}" + "]" * 200
    steps = "".join(f"y{n}: &x{n + 1} {deep.format(n)}\n" for n in range(20))
    contents = read(f"{WIDGET}x: &x0 1\n{steps}")
    assert (contents.manifests, [(one.kind, one.line) for one in contents.problems]) == ((), [("yaml", 1)])


@pytest.mark.parametrize(
    ("content", "file", "reason"),
    [
        ("resources: [a.yaml]", "/d/kustomization.yaml", "kustomization"),
        ("resources: [a.yaml]", "/d/kustomization.yml", "kustomization"),
        ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization", "/d/a.yaml", "kustomization"),
        ("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component", "/d/kustomization.yaml", "kustomization"),
        (WIDGET.replace("}", ", annotations: {helm.sh/hook: pre-install}}"), "/d/a.yaml", "hook"),
        (WIDGET.replace("}", ", annotations: {argocd.argoproj.io/hook: Sync}}"), "/d/a.yaml", "hook"),
        (WIDGET.replace("name", "generateName"), "/d/a.yaml", "generated_name"),
    ],
)
def test_what_nobody_applies_as_it_stands_is_left_out(content: str, file: str, reason: str) -> None:
    """It is counted by reason, and is no problem."""
    contents = read(content, file)
    assert ((), (), (reason,)) == (contents.manifests, contents.problems, contents.skipped)


@pytest.mark.parametrize(
    "content",
    [
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}",
        WIDGET.replace("}", ", generateName: b}"),
        WIDGET.replace("}", ", annotations: {helm.sh/resource-policy: keep}}"),
    ],
)
def test_what_looks_like_it_is_kept(content: str) -> None:
    """Flux's Kustomization is an object like others, also in a file of that name."""
    assert len(read(content, "/d/kustomization.yaml").manifests) == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("apiVersion: example.com/v1, kind: Widget, metadata: {name: a}", ("example.com", "Widget", "default", "a")),
        ("apiVersion: a.io/v1, kind: Widget, metadata: {name: a, namespace: b}", ("a.io", "Widget", "b", "a")),
        ("apiVersion: example.com/v1, kind: Zone, metadata: {name: a, namespace: b}", ("example.com", "Zone", "", "a")),
        ("apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ''}", ("", "ConfigMap", "default", "a")),
        ("apiVersion: v1, kind: Namespace, metadata: {name: a}", ("", "Namespace", "", "a")),
    ],
)  # fmt: skip
def test_what_an_object_is_known_by(head: str, expected: tuple[str, ...]) -> None:
    """The version is no part of it; a namespace only where the kind has one, the directory's where none is named."""
    (manifest,) = read(f"{{{head}}}").manifests
    assert Identity(*expected) == manifest.identity


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (f"apiVersion: v1\nkind: List\nitems: [{A}, {A.replace('name: a', 'name: b')}]", ["A/a", "A/b"]),
        ("apiVersion: example.com/v1\nkind: WidgetList\nitems: [{metadata: {name: a}}]", ["Widget/a"]),
        ("apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {items: []}", ["AllowList/a"]),
        ("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nitems: [{a: 1}]", ["Widget/a"]),
        ("apiVersion: v1\nkind: List\nitems: []", []),
    ],
)  # fmt: skip
def test_lists_are_taken_apart(content: str, names: list[str]) -> None:
    """`List` and typed lists, whose items may leave out their kind; a kind that only ends so is none."""
    manifests = read(content).manifests
    assert names == [f"{one.identity.kind}/{one.identity.name}" for one in manifests]
    assert all(msgspec.json.decode(one.raw)["kind"] == one.identity.kind for one in manifests)


def test_what_is_encrypted_is_known_and_not_compared() -> None:
    """An object that SOPS has encrypted is declared, its values are not."""
    (manifest,) = read(f"{WIDGET}spec: {{a: 'ENC[x]'}}\nsops: {{mac: 'ENC[y]'}}\n").manifests
    assert (manifest.problem, manifest.raw) == ("is encrypted with SOPS", b"{}")


# -- secrets --------------------------------------------------------------------------------------------------


def live(obj: dict[str, Any], **how: Any) -> Any:
    """What is kept of a live object."""
    return Redactor(KEY).redact(obj, msgspec.json.encode(obj), **how)


@pytest.mark.parametrize(
    "values",
    [
        "data: {a: aHVudGVyMg==}",
        "data: {a: !!str aHVudGVyMg==}",
        "data:\n  a: |\n    aHVu\n    dGVyMg==\n",
        "stringData: {a: hunter2}",
        "data: {a: eA==}\nstringData: {a: hunter2}",
    ],
)
def test_a_secret_is_compared_as_the_server_keeps_it(values: str) -> None:
    """However its values are written, the mark in their place is that of the live Secret's."""
    (obj,) = objects(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{values}\n")
    expected = live({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMg=="}}, secret=True)
    assert expected["data"] == obj["data"]
    assert "stringData" not in obj
    assert mask(obj["data"]) == {"a": "<redacted>"}


@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.text(max_size=12), min_size=1))
def test_plain_values_of_a_secret_are_those_of_its_data(values: dict[str, str]) -> None:
    """`stringData` and the base64 of it in `data` are one declaration."""
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    plain, data = (
        read(msgspec.json.encode({**head, key: held}).decode()).manifests
        for key, held in (("stringData", values), ("data", encoded))
    )
    assert plain == data
    assert all(value == "" or value.encode() not in data[0].raw for value in encoded.values())


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Widget", {"password": "hunter2"}),
        ("Widget", {"url": "postgres://me:hunter2@db/x"}),
        ("Widget", {"note": f"use {BY_SHAPE['jwt']}"}),
        ("Login", {"a": {"word": "hunter2 hunter2"}}),
    ],
)
def test_secrets_of_other_kinds_are_taken_out_as_in_live_objects(kind: str, spec: dict[str, Any]) -> None:
    """By key, by shape and by the schema of the kind: what is kept is what is kept of the live object."""
    obj = {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    (declared,) = objects(msgspec.json.encode(obj).decode())
    assert live(obj, passwords=kinds("example.com", kind).passwords) == declared
    assert obj != declared
    assert b"hunter2" not in msgspec.json.encode(declared)


def test_a_problem_says_nothing_of_what_a_file_holds() -> None:
    """A broken Secret is named by its place alone."""
    contents = read("apiVersion: v1\nkind: Secret\nmetadata: {name: [hunter2]}\n---\ndata: hunter2: hunter2\n")
    assert len(contents.problems) == 2
    assert not [problem for problem in contents.problems if "hunter2" in str(problem)]
    assert Problem("yaml", "/f", 0, "text").line == 0
