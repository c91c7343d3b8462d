"""The configuration file: strict YAML, turned into one frozen value.

Every error is one sentence that names the file, the key, the value and the remedy. A key that is not known is an
error, since a misspelt one would be silence where somebody expects a change. Must never read the environment, ask
the cluster, or guess what a value was meant to be.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from msgspec import Struct

from exporter import config_values as values
from exporter.errors import ConfigError


if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[Any], Any]

_MAX_BYTES = 1024 * 1024

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
        msg = f"{path}: cannot be read ({error.strerror}); give the path of a configuration file"
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


def _section(kind: type[Any], schema: dict[str, tuple[str, Parse]]) -> Parse:
    """Make the reader of a mapping: YAML key → (field, reader of the value)."""

    def read(value: Any) -> Any:  # noqa: ANN401 - any YAML
        if value is None:  # a key whose lines below it are all comments
            return kind()
        if not isinstance(value, dict):
            keys = ", ".join(schema) or "nothing yet"
            msg = f"{values.show(value)} is no mapping; write `key: value` lines below it, of the keys: {keys}"
            raise values.BadError(msg)
        fields = {}
        for key, item in value.items():
            if key not in schema:
                close = get_close_matches(str(key), schema, 1)
                known = f"the keys here are: {', '.join(schema)}" if schema else "remove it, no key is known here yet"
                remedy = f"did you mean {close[0]}?" if close else known
                raise values.BadError(f"is not known; {remedy}", f".{key}")
            field, parse_value = schema[key]
            try:
                fields[field] = parse_value(item)
            except values.BadError as error:
                raise error.below(f".{key}") from error.__cause__
            except ValueError as error:
                raise values.BadError(str(error), f".{key}") from error
        return kind(**fields)

    return read


_NOTHING_WATCHED = "is empty, so that nothing would be watched; remove the key to watch every custom resource"
_WRITERS = {name: (name, values.list_of(values.manager)) for name in ("human", "gitops", "controller")}
_JOURNAL: dict[str, tuple[str, Parse]] = {
    "retention": ("retention_ns", values.retention),
    "size": ("size_bytes", values.journal_size),
}
_SCHEMA: dict[str, tuple[str, Parse]] = {
    "cluster": ("cluster", values.text_of),
    "watch": (
        "watch",
        _section(
            Watch,
            {
                "include": ("include", values.list_of(values.glob, or_nothing=_NOTHING_WATCHED)),
                "exclude": ("exclude", values.list_of(values.glob)),
                "namespaces": (
                    "namespaces",
                    values.list_of(values.namespace, or_nothing="is empty; remove the key for all namespaces"),
                ),
                "labelSelector": ("label_selector", values.label_selector),
                "fieldSelector": ("field_selector", values.field_selector),
                "metadataOnly": ("metadata_only", values.list_of(values.glob)),
            },
        ),
    ),
    "changes": (
        "changes",
        _section(
            Changes,
            {
                "writers": ("writers", _section(Writers, _WRITERS)),
                "redact": ("redact", values.list_of(values.pointer)),
                "ignorePaths": ("ignore_paths", values.list_of(values.pointer)),
            },
        ),
    ),
    "journal": ("journal", _section(JournalLimits, _JOURNAL)),
    "otlp": ("otlp", _section(Otlp, {})),
}
