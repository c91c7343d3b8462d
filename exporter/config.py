"""The configuration file: strict YAML, turned into one frozen value.

Every error is one sentence that names the file, the key, the value and the remedy. A key that is not known is an
error, since a misspelt one would be silence where somebody expects a change. Must never read the environment, ask
the cluster, or guess what a value was meant to be.
"""

from __future__ import annotations

import re
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from msgspec import Struct

from exporter.errors import ConfigError


if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[Any], Any]

_MAX_BYTES = 1024 * 1024
_SHOWN = 80

# Kinds that controllers write for themselves, all the time, and in numbers that grow with the pods: what they hold is
# the result of a scan, an allocation or a checkpoint, and nobody asks who changed it. Work that is waiting in a queue
# (UpdateRequest) is the same. Whatever a person declares stays in, however often its status moves. A kind that
# `watch.include` names letter by letter is followed even so; `watch.exclude` in a file takes this list's place.
NOISY = (
    # policy and vulnerability scans: wgpolicyk8s.io, openreports.io, reports.kyverno.io, aquasecurity.github.io
    "*/*Report",
    "kyverno.io/UpdateRequest",
    "status.gatekeeper.sh/*",
    # one for each pod, address or set of labels
    "cilium.io/CiliumEndpoint",
    "cilium.io/CiliumEndpointSlice",
    "cilium.io/CiliumIdentity",
    "crd.projectcalico.org/BlockAffinity",
    "crd.projectcalico.org/IPAMBlock",
    "crd.projectcalico.org/IPAMHandle",
    "whereabouts.cni.cncf.io/IPPool",
    "whereabouts.cni.cncf.io/OverlappingRangeIPReservation",
    # measurements that are written again every minute
    "autoscaling.k8s.io/VerticalPodAutoscalerCheckpoint",
    "topology.node.k8s.io/NodeResourceTopology",
)


class Watch(Struct, frozen=True):
    """What is followed; globs are `group/Kind`, with `v1` or `core` for the core group."""

    include: tuple[str, ...] = ("*/*",)
    exclude: tuple[str, ...] = NOISY
    namespaces: tuple[str, ...] = ()
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: tuple[str, ...] = ()


class Writers(Struct, frozen=True):
    """Globs of manager names, by class; added to the shipped table."""

    human: tuple[str, ...] = ()
    gitops: tuple[str, ...] = ()
    controller: tuple[str, ...] = ()


class Changes(Struct, frozen=True):
    """How a change is told; `redact` and `ignore_paths` are JSON Pointers with `*` and `**`."""

    writers: Writers = Writers()
    redact: tuple[str, ...] = ()
    ignore_paths: tuple[str, ...] = ()


class JournalLimits(Struct, frozen=True):
    """The bounds of the journal: age in nanoseconds, size in bytes."""

    retention_ns: int = 7 * 24 * 3600 * 10**9
    size_bytes: int = 1024**3


class Otlp(Struct, frozen=True):
    """What the OTEL_* variables cannot say; nothing so far."""


class Config(Struct, frozen=True):
    """A whole configuration; `Config()` is the one without a file. `cluster` is a name for people."""

    cluster: str = ""
    watch: Watch = Watch()
    changes: Changes = Changes()
    journal: JournalLimits = JournalLimits()
    otlp: Otlp = Otlp()


def load(path: str | Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, is no YAML, or says something that cannot be meant

    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give --config the path of a file"
        raise ConfigError(msg) from error
    try:
        return parse(content)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error


def parse(content: bytes) -> Config:
    """Read a configuration.

    Raises:
        ValueError: as `load`, without the file's name

    """
    if len(content) > _MAX_BYTES:
        raise ValueError("is larger than 1 MiB; is it a configuration file?")
    try:
        document = yaml.load(content, Loader=_Loader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        msg = f"{where}{error.problem or error.context}; correct the YAML"
        raise ValueError(msg) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        text = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        msg = f"cannot be read as YAML ({text}); correct it"
        raise ValueError(msg) from error
    config: Config = _section(Config, _SCHEMA)(document)
    return config


class _Loader(yaml.SafeLoader):
    """Without aliases, of which a few lines can grow to any size, and without keys that are given twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed: write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen:
                text = f"the key {key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _BadError(ValueError):
    """What is wrong, and below which key; each level of the file adds its own key in front."""

    def __init__(self, text: str, place: str = "") -> None:
        self.text = text
        self.place = place
        super().__init__(f"{place.removeprefix('.')}: {text}" if place else text)

    def below(self, key: str) -> _BadError:
        return _BadError(self.text, f"{key}{self.place}")


def _show(value: object) -> str:
    # As it stood in the file: YAML reads yes and 2026-01-01 as something else than text.
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _section(kind: type[Any], schema: dict[str, tuple[str, Parse]]) -> Parse:
    """Make the reader of a mapping: YAML key → (field, reader of the value)."""

    def read(value: Any) -> Any:  # noqa: ANN401 - any YAML
        if value is None:  # a key whose lines below it are all comments
            return kind()
        if not isinstance(value, dict):
            keys = ", ".join(schema) or "nothing yet"
            msg = f"{_show(value)} is no mapping; write `key: value` lines below it, of the keys: {keys}"
            raise _BadError(msg)
        fields = {}
        for key, item in value.items():
            if key not in schema:
                close = get_close_matches(str(key), schema, 1)
                known = f"the keys here are: {', '.join(schema)}" if schema else "remove it, no key is known here yet"
                remedy = f"did you mean {close[0]}?" if close else known
                raise _BadError(f"is not known; {remedy}", f".{key}")
            field, parse_value = schema[key]
            try:
                fields[field] = parse_value(item)
            except _BadError as error:
                raise error.below(f".{key}") from error.__cause__
            except ValueError as error:
                raise _BadError(str(error), f".{key}") from error
        return kind(**fields)

    return read


def _text(value: Any) -> str:  # noqa: ANN401 - any YAML
    if value is None or value == "":
        raise ValueError("has no value; give it one, or remove the key")
    if not isinstance(value, str):
        remedy = "write one value" if isinstance(value, dict | list) else "put it in quotes"
        msg = f"{_show(value)} is no text; {remedy}"
        raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
    return value


def _list(read: Callable[[str], None], *, or_nothing: str = "") -> Parse:
    """Make the reader of a list of texts, each of which `read` checks; `or_nothing` says why it may not be empty."""

    def of(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - any YAML
        if not isinstance(value, list):
            msg = f"{_show(value)} is no list; write it in brackets, [like, this], or remove the key"
            raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
        if not value and or_nothing:
            raise ValueError(or_nothing)
        seen: dict[str, None] = {}
        for index, item in enumerate(value):
            try:
                read(_text(item))
            except ValueError as error:
                raise _BadError(str(error), f"[{index}]") from error
            if item in seen:
                msg = f"{_show(item)} is in the list twice; remove one"
                raise _BadError(msg, f"[{index}]")
            seen[item] = None
        return tuple(seen)

    return of


_GLOB = re.compile(r"[A-Za-z0-9.*?!\[\]-]+/[A-Za-z0-9*?!\[\]-]+")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_NAME = r"(?:[A-Za-z0-9][-A-Za-z0-9.]*/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?"
_LABEL_VALUE = r"(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?"
_LABEL_REQUIREMENT = re.compile(
    rf"\s*(?:!\s*{_LABEL_NAME}|{_LABEL_NAME}"
    rf"(?:\s*(?:==|!=|=)\s*{_LABEL_VALUE}|\s*[<>]\s*-?\d+"
    rf"|\s+(?:in|notin)\s*\(\s*{_LABEL_VALUE}\s*(?:,\s*{_LABEL_VALUE}\s*)*\))?)\s*",
    re.ASCII,
)
_FIELD_REQUIREMENT = re.compile(r"\s*[A-Za-z][\w./\[\]'-]*\s*(?:==|!=|=)[^=,]*")


def _glob(text: str) -> None:
    if _GLOB.fullmatch(text):
        return
    parts = text.split("/")
    remedy = "write group/Kind, such as cert-manager.io/Certificate, *.example.com/* or v1/ConfigMap"
    if len(parts) == 1 and text:
        remedy = f"write group/Kind: */{text} for any group"
    elif len(parts) == 3 and all(parts):  # noqa: PLR2004 - group/version/Kind
        remedy = f"leave the version out: {parts[0]}/{parts[2]}"
    elif len(parts) == 2 and not parts[0] and parts[1]:  # noqa: PLR2004
        remedy = f"the core group is written v1/{parts[1]}"
    msg = f"{_show(text)} is no group/Kind; {remedy}"
    raise ValueError(msg)


def _namespace(text: str) -> None:
    if not _NAMESPACE.fullmatch(text):
        wild = set("*?[") & set(text)
        remedy = (
            "name each, or remove the key for all" if wild else "give the name as `kubectl get namespaces` shows it"
        )
        msg = f"{_show(text)} is no name of a namespace; {remedy}"
        raise ValueError(msg)


def _label_selector(value: Any) -> str:  # noqa: ANN401 - any YAML
    text = _text(value)
    for requirement in re.split(r",(?![^(]*\))", text):
        if not _LABEL_REQUIREMENT.fullmatch(requirement):
            msg = (
                f"{_show(requirement.strip())} is no label selector; write it as for kubectl -l: app=web,tier in (a, b)"
            )
            raise ValueError(msg)
    return text


def _field_selector(value: Any) -> str:  # noqa: ANN401 - any YAML
    text = _text(value)
    for requirement in text.split(","):
        if not _FIELD_REQUIREMENT.fullmatch(requirement):
            msg = f"{_show(requirement.strip())} is no field selector; write it as for kubectl: metadata.name=web"
            raise ValueError(msg)
    return text


def _pointer(text: str) -> None:
    if not text.startswith("/"):
        msg = f"{_show(text)} is no JSON Pointer; begin with a slash: /{text.removeprefix('.').replace('.', '/')}"
        raise ValueError(msg)
    if re.search(r"~(?![01])", text):
        msg = f"{_show(text)} has a ~ that stands for nothing; write ~0 for ~ and ~1 for a slash in a name"
        raise ValueError(msg)
    if set(text) <= set("/*"):
        msg = f"{_show(text)} would match every field; name at least one"
        raise ValueError(msg)


def _manager(text: str) -> None:
    if text != text.strip():
        msg = f"{_show(text)} has blanks around it; remove them"
        raise ValueError(msg)


_DURATION = re.compile(r"(?:\d{1,9}w)?(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?", re.ASCII)
_DURATION_NS = {"w": 604_800 * 10**9, "d": 86_400 * 10**9, "h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9}
_SIZE_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_MIN_RETENTION, _MAX_RETENTION = 60 * 10**9, 3650 * 86_400 * 10**9
_MIN_SIZE, _MAX_SIZE = 1024**2, 64 * 1024**4


def duration(text: Any) -> int:  # noqa: ANN401 - any YAML
    """Read a duration such as `7d`, `36h` or `1h30m`, in weeks, days, hours, minutes, seconds.

    Returns:
        nanoseconds

    Raises:
        ValueError: it is none; the message says what one looks like

    """
    if not (isinstance(text, str) and text and _DURATION.fullmatch(text)):
        msg = f"{_show(text)} is no duration; write it with a unit: 30m, 36h or 7d"
        raise ValueError(msg)
    return sum(int(number) * _DURATION_NS[unit] for number, unit in re.findall(r"(\d+)([wdhms])", text))


def size(text: Any) -> int:  # noqa: ANN401 - any YAML
    """Read a size such as `500MiB` or `1.5GiB`, in KiB, MiB, GiB or TiB.

    Returns:
        bytes

    Raises:
        ValueError: it is none; the message says what one looks like

    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGT]iB)", text, re.ASCII) if isinstance(text, str) else None
    if not found:
        msg = f"{_show(text)} is no size; write it with a unit: 500MiB or 1GiB"
        raise ValueError(msg)
    return int(float(found[1]) * _SIZE_BYTES[found[2]])


def _retention(value: Any) -> int:  # noqa: ANN401 - any YAML
    kept = duration(value)
    if not _MIN_RETENTION <= kept <= _MAX_RETENTION:
        msg = f"{_show(value)} is not between 1m and 3650d; choose a duration in between"
        raise ValueError(msg)
    return kept


def _journal_size(value: Any) -> int:  # noqa: ANN401 - any YAML
    limit = size(value)
    if not _MIN_SIZE <= limit <= _MAX_SIZE:
        msg = f"{_show(value)} is not between 1MiB and 64TiB; choose a size in between"
        raise ValueError(msg)
    return limit


_NOTHING_WATCHED = "is empty, so that nothing would be watched; remove the key to watch every custom resource"
_WRITERS = {name: (name, _list(_manager)) for name in ("human", "gitops", "controller")}
_SCHEMA: dict[str, tuple[str, Parse]] = {
    "cluster": ("cluster", _text),
    "watch": (
        "watch",
        _section(
            Watch,
            {
                "include": ("include", _list(_glob, or_nothing=_NOTHING_WATCHED)),
                "exclude": ("exclude", _list(_glob)),
                "namespaces": (
                    "namespaces",
                    _list(_namespace, or_nothing="is empty; remove the key for all namespaces"),
                ),
                "labelSelector": ("label_selector", _label_selector),
                "fieldSelector": ("field_selector", _field_selector),
                "metadataOnly": ("metadata_only", _list(_glob)),
            },
        ),
    ),
    "changes": (
        "changes",
        _section(
            Changes,
            {
                "writers": ("writers", _section(Writers, _WRITERS)),
                "redact": ("redact", _list(_pointer)),
                "ignorePaths": ("ignore_paths", _list(_pointer)),
            },
        ),
    ),
    "journal": (
        "journal",
        _section(JournalLimits, {"retention": ("retention_ns", _retention), "size": ("size_bytes", _journal_size)}),
    ),
    "otlp": ("otlp", _section(Otlp, {})),
}
