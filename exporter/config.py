"""The configuration file: strict YAML, turned into one frozen value.

Every error is one sentence that names the file, the key, the value and the remedy. A key that is not known is an
error, since a misspelt one would be silence where somebody expects a change. Must never read the environment, ask
the cluster, or guess what a value was meant to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from exporter import config_drift, config_rollout, config_yaml
from exporter import config_shapes as shapes
from exporter import config_values as values
from exporter.drift.settings import DriftSettings
from exporter.errors import ConfigError
from exporter.rollout.settings import RolloutSettings


if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config_shapes import Parse

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
    drift: DriftSettings = DriftSettings()
    rollout: RolloutSettings = RolloutSettings()
    otlp: Otlp = Otlp()


def load(path: str | Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, is no YAML, or says something that cannot be meant

    """
    try:
        content = config_yaml.content_of(path)
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
    config: Config = shapes.section(Config, _SCHEMA)(config_yaml.read(content))
    return config


_NOTHING_WATCHED = "is empty, so that nothing would be watched; remove the key to watch every custom resource"
_WRITERS = {name: (name, shapes.list_of(values.manager)) for name in ("human", "gitops", "controller")}
_JOURNAL: dict[str, tuple[str, Parse]] = {
    "retention": ("retention_ns", values.retention),
    "size": ("size_bytes", values.journal_size),
}
_SCHEMA: dict[str, tuple[str, Parse]] = {
    "cluster": ("cluster", shapes.text_of),
    "watch": (
        "watch",
        shapes.section(
            Watch,
            {
                "include": ("include", shapes.list_of(values.glob, or_nothing=_NOTHING_WATCHED)),
                "exclude": ("exclude", shapes.list_of(values.glob)),
                "namespaces": (
                    "namespaces",
                    shapes.list_of(values.namespace, or_nothing="is empty; remove the key for all namespaces"),
                ),
                "labelSelector": ("label_selector", values.label_selector),
                "fieldSelector": ("field_selector", values.field_selector),
                "metadataOnly": ("metadata_only", shapes.list_of(values.glob)),
            },
        ),
    ),
    "changes": (
        "changes",
        shapes.section(
            Changes,
            {
                "writers": ("writers", shapes.section(Writers, _WRITERS)),
                "redact": ("redact", shapes.list_of(values.pointer)),
                "ignorePaths": ("ignore_paths", shapes.list_of(values.pointer)),
            },
        ),
    ),
    "journal": ("journal", shapes.section(JournalLimits, _JOURNAL)),
    "drift": ("drift", config_drift.read),
    "rollout": ("rollout", config_rollout.read),
    "otlp": ("otlp", shapes.section(Otlp, {})),
}
