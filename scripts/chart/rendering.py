"""deploy/kustomize and deploy/manifests, rendered from the chart by the real Helm, so that there is one source.

What only Helm makes of objects (the labels by which it finds its own) is left out. Must never render with values that
are not in the chart's ci/ directory.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import yaml
from msgspec import Struct


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NAME = "customresource-exporter"
_HELMS = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
_SOURCE = re.compile(r"^# Source: .*\n", re.MULTILINE)
_MADE = "# Made from the chart by `make chart`: change that, not this file.\n"
_NAMESPACE = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAME}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_RIGHTS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_OPERATOR = ("ServiceMonitor", "PrometheusRule")


class Document(Struct, frozen=True):
    """One object: its kind, its name, and its text with the comments that it has."""

    kind: str
    name: str
    text: str


def rendered(helm: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Give each file that is made by Helm, with what it is to hold.

    Args:
        helm: the program
        root: of the checkout

    """
    chart = root / "deploy/helm" / NAME
    default, namespaced, operator = (
        documents(helm, chart, f"ci/{name}-values.yaml") for name in ("default", "namespaced", "prometheus-operator")
    )
    base = root / "deploy/kustomize/base"
    yield base / "namespace.yaml", _file([Document("Namespace", NAME, _NAMESPACE)])
    yield base / "rights.yaml", _file(one for one in default if one.kind in _RIGHTS)
    # kustomize makes the ConfigMap of a file, so that an overlay can give another one.
    rest = [one for one in default if one.kind not in (*_RIGHTS, "ConfigMap")]
    yield base / "exporter.yaml", _file(rest)
    yield base / "config.yaml", _config(default)
    overlays = root / "deploy/kustomize/overlays"
    roles = [one for one in namespaced if one.kind in _RIGHTS]
    yield overlays / "namespaced/roles.yaml", _file(roles)
    yield overlays / "namespaced/config.yaml", _config(namespaced)
    monitoring = [one for one in operator if one.kind in _OPERATOR]
    yield overlays / "with-prometheus-operator/monitoring.yaml", _file(monitoring)
    plain = root / "deploy/manifests"
    namespace = Document("Namespace", NAME, _NAMESPACE)
    yield plain / f"{NAME}.yaml", _file([namespace, *default])
    yield plain / "namespaced.yaml", _file(namespaced)
    yield plain / "prometheus-operator.yaml", _file(monitoring)


def documents(helm: Path, chart: Path, values: str) -> list[Document]:
    """Render the chart with a file of values of its own, in the order in which Helm applies.

    Raises:
        RuntimeError: Helm refuses

    """
    command: list[str | Path] = [helm, "template", NAME, chart, "--namespace", NAME, "--values", chart / values]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0:
        msg = f"helm template with {values}: {answer.stderr.strip()}"
        raise RuntimeError(msg)
    texts = re.split(r"^---\n", _HELMS.sub("", _SOURCE.sub("", answer.stdout)), flags=re.MULTILINE)
    found = ((yaml.safe_load(text), text.strip() + "\n") for text in texts)
    return [Document(one["kind"], one["metadata"]["name"], text) for one, text in found if one]


def _file(found: Iterable[Document]) -> str:
    return _MADE + "".join(f"---\n{one.text}" for one in found)


def _config(found: Iterable[Document]) -> str:
    """Give what the exporter reads, out of its ConfigMap."""
    (text,) = [yaml.safe_load(one.text)["data"]["config.yaml"] for one in found if one.kind == "ConfigMap"]
    return str(text)
