"""From the documents of a file to the objects that they declare, without their secrets.

Pure. Lists are taken apart, what nobody applies as it stands is left out and counted: kustomizations, hooks, objects
that the server names. The values of Secrets are brought to the form that the server keeps, so that a keyed hash of
them is the same as that of the live object. Must never keep a value that the redactor did not see.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from exporter.changes.pointer import Pattern
from exporter.declared.documents import Unreadable, read_documents


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.changes.redact import Redactor
    from exporter.declared.documents import Document

    Kinds = Callable[[str, str], "Kind"]

ProblemKind = Literal["unreadable", "moving", "too_large", "yaml", "no_object", "duplicate", "empty"]
Skipped = Literal["kustomization", "hook", "generated_name"]

_HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
_KUSTOMIZE = "kustomize.config.k8s.io"
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml")


class Kind(Struct, frozen=True):
    """What has to be known of a kind: where its objects live, and which of their fields are passwords, by place."""

    namespaced: bool = True
    passwords: tuple[Pattern, ...] = ()


class Identity(Struct, frozen=True):
    """The object that is declared; the namespace is empty for what is cluster-scoped. The version is no part of it."""

    group: str
    kind: str
    namespace: str
    name: str


class Manifest(Struct, frozen=True):
    """One declared object.

    Attributes:
        identity: which one
        line: of its file, on which its document begins
        raw: JSON of it, its secrets replaced as in live objects
        problem: why it cannot be compared; empty where it can

    """

    identity: Identity
    line: int
    raw: bytes
    problem: str = ""


class Problem(Struct, frozen=True):
    """Something that keeps a declaration from being read: what kind of thing, where, and what to do about it.

    `line` is 0 where it is not about a line.
    """

    kind: ProblemKind
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """Say it in one sentence."""
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


class Contents(Struct, frozen=True):
    """What a file holds: declared objects, what is wrong with it, and what was left out of it on purpose."""

    manifests: tuple[Manifest, ...] = ()
    problems: tuple[Problem, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class Reading:
    """Reads files of manifests.

    Args:
        redactor: takes the secrets out; of this reader's own, since files are read beside everything else
        kinds: tells what is known of a kind, by group and kind

    """

    def __init__(self, redactor: Redactor, kinds: Kinds) -> None:
        self._redactor = redactor
        self._kinds = kinds

    def read(self, content: bytes, file: str, namespace: str) -> Contents:
        """Read a file.

        Args:
            content: of the file
            file: its path, for what is said of it
            namespace: of namespaced objects that name none

        """
        manifests: list[Manifest] = []
        problems: list[Problem] = []
        skipped: list[Skipped] = []
        for document in read_documents(content):
            if isinstance(document, Unreadable):
                problems.append(Problem("yaml", file, document.line, document.text))
                continue
            for found in _objects(document):
                reason = _skipped(found, file.rpartition("/")[2])
                if reason is not None:
                    skipped.append(reason)
                    continue
                try:
                    manifests.append(self._manifest(found, document.line, namespace))
                except ValueError as error:
                    problems.append(Problem("no_object", file, document.line, str(error)))
                except RecursionError:
                    problems.append(Problem("yaml", file, document.line, "is nested too deeply; correct it"))
        return Contents(tuple(manifests), tuple(problems), tuple(skipped))

    def _manifest(self, found: Any, line: int, namespace: str) -> Manifest:  # noqa: ANN401 - any JSON
        obj, metadata = _checked(found)
        group = obj["apiVersion"].rpartition("/")[0]
        kind = self._kinds(group, obj["kind"])
        place = (metadata.get("namespace") or namespace) if kind.namespaced else ""
        identity = Identity(group, obj["kind"], place, metadata["name"])
        if isinstance(obj.get("sops"), dict):
            return Manifest(identity, line, b"{}", "is encrypted with SOPS")
        secret = obj["apiVersion"] == "v1" and obj["kind"] == "Secret"
        if secret:
            obj = _as_kept(obj)
        # What cannot be written at all is in a document that aliases made too deep.
        raw = msgspec.json.encode(obj)
        clean = self._redactor.redact(obj, raw, secret=secret, passwords=kind.passwords)
        return Manifest(identity, line, raw if clean is obj else msgspec.json.encode(clean))


def _objects(document: Document) -> Iterator[Any]:
    """Give the document, or what is in it if it is a list."""
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(value.get("items"), list):
        yield value
        return
    # The items of a typed list may leave out what the list says already.
    said = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")} if kind != "List" else {}
    for item in value["items"]:
        yield {**said, **item} if isinstance(item, dict) else item


def _skipped(found: Any, file: str) -> Skipped | None:  # noqa: ANN401 - any JSON
    if not isinstance(found, dict):
        return None
    group = str(found.get("apiVersion", "")).rpartition("/")[0]
    if group == _KUSTOMIZE or (file in _KUSTOMIZATIONS and "kind" not in found):
        return "kustomization"
    metadata = found.get("metadata")
    if not isinstance(metadata, dict):
        return None
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and any(name in annotations for name in _HOOKS):
        return "hook"
    return "generated_name" if metadata.get("generateName") and not metadata.get("name") else None


def _checked(found: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Give an object and its metadata if it can be one.

    Raises:
        ValueError: it cannot; the sentence says what is missing

    """
    if not isinstance(found, dict):
        raise ValueError("is no object; write apiVersion, kind and metadata.name, or move the file away")  # noqa: TRY004
    metadata = found.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for name, value in (
        ("apiVersion", found.get("apiVersion")),
        ("kind", found.get("kind")),
        ("metadata.name", metadata.get("name")),
        ("metadata.namespace", metadata.get("namespace") or "-"),
    ):
        if not isinstance(value, str) or not value:
            what = "has no" if not value else "has something else than text as"
            msg = f"{what} {name}; write one, or move the file away if it declares no object"
            raise ValueError(msg)
    return found, metadata


def _as_kept(secret: dict[str, Any]) -> dict[str, Any]:
    """Give a Secret as the server keeps it: all values in `data`, in base64 without line breaks."""
    data = secret.get("data")
    plain = secret.get("stringData")
    kept = {name: _canonical(value) for name, value in data.items()} if isinstance(data, dict) else {}
    if isinstance(plain, dict):
        for name, value in plain.items():
            kept[name] = base64.b64encode(value.encode()).decode() if isinstance(value, str) else value
    rest = {name: value for name, value in secret.items() if name not in ("data", "stringData")}
    return {**rest, "data": kept} if kept else rest


def _canonical(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Write base64 as the server does; what is none is left for the server to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64encode(base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)).decode()
    except (binascii.Error, ValueError):
        return value
