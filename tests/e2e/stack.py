"""START HERE to run everything at once: a cluster with an operator, the exporter, and all that the exporter feeds.

kube-apiserver and etcd, cert-manager, the exporter, Prometheus with the shipped rules, Alertmanager with the shipped
inhibitions, Loki and Jaeger, each real and on loopback. Must never build what it starts, and never change what is
shipped, but for one thing: the rules' times are shortened, so that an alert takes seconds.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from dashboards.source.alerts import ALERTS, alerting, recording
from dashboards.source.rules import Override
from tests.integration.exporting import Exporter
from tests.servers.alertmanager import Alertmanager, Webhook
from tests.servers.cert_manager import CertManager
from tests.servers.cluster import Cluster
from tests.servers.identity import write_kubeconfig
from tests.servers.jaeger import Jaeger
from tests.servers.loki import Loki
from tests.servers.process import free_port
from tests.servers.prometheus import Prometheus
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboards.source.rules import Alert

CLUSTER_NAME = "try"
# Of the exporter in everything that is shipped: service, job, account, namespace.
NAME = "customresource-exporter"
_ROOT = Path(__file__).parents[2]
DASHBOARDS = _ROOT / "dashboards"
_MANIFESTS = _ROOT / "deploy" / "manifests" / "customresource-exporter.yaml"
# What the owners of the types add, as the manifests ask them to.
_READABLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: readable, labels: {customresource-exporter/aggregate-to-reader: "true"}}
rules:
  - apiGroups: [cert-manager.io, acme.cert-manager.io, backup.example.com, cache.example.com, db.example.com,
      net.example.com]
    resources: ["*"]
    verbs: [list, watch]
"""
# The rules' minutes become seconds.
_HASTE = 60
# But of this one: the API server's bookmarks come once a minute all the same.
_UNHURRIED = "CustomResourceExporterWatchStale"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Stack:
    """Everything, on free ports and below one directory; `with` starts it and ends it.

    Attributes:
        declared: a directory of manifests that the exporter compares with, empty at first

    """

    def __init__(self, directory: Path, *, drift: dict[str, Any], tell: Callable[[str], None] = lambda _: None) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            directory: for all data, configurations and logs
            drift: how the exporter judges it, beside what `declared` holds
            tell: is told each server that is up

        """
        self._tell = tell
        self.directory = directory
        self.cluster = Cluster(directory / "cluster", controller_manager=True)
        self.loki = Loki(directory / "loki")
        self.jaeger = Jaeger(directory / "jaeger")
        self.webhook = Webhook()
        inhibit = yaml.safe_load((DASHBOARDS / "alertmanager" / "inhibit.example.yml").read_text("utf-8"))
        self.alertmanager = Alertmanager(directory / "alertmanager", self.webhook.url, inhibit=inhibit["inhibit_rules"])
        self.declared = directory / "declared"
        self.declared.mkdir(parents=True)
        port = free_port()
        self._kubeconfig = directory / "exporter.kubeconfig"
        self.exporter = Exporter(
            self._kubeconfig,
            directory / "exporter",
            config=yaml.safe_dump(
                {
                    "cluster": CLUSTER_NAME,
                    "drift": drift | {"declared": [{"path": str(self.declared)}]},
                    "rollout": {"timeout": "30s"},
                }
            ),
            env={
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{self.loki.otlp_endpoint}/v1/logs",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{self.jaeger.otlp_endpoint}/v1/traces",
            },
            flags=[f"--web.listen-address=127.0.0.1:{port}"],
        )
        target = {"targets": [f"127.0.0.1:{port}"], "labels": {"cluster": CLUSTER_NAME}}
        self.prometheus = Prometheus(
            directory / "prometheus",
            [{"job_name": NAME, "honor_labels": True, "static_configs": [target]}],
            rules=_hastened(directory / "rules"),
            alertmanager=self.alertmanager.address,
        )

    def start(self) -> None:
        """Start everything; returns when all of it is ready, the exporter too."""
        with ThreadPoolExecutor() as pool:
            started = [pool.submit(self._start, name) for name in ("loki", "jaeger", "alertmanager", "cluster")]
        for one in started:
            one.result()
        self.operator = CertManager(self.cluster, self.directory / "cert-manager")
        self._start("operator")
        self._install()
        self._start("exporter")
        self._start("prometheus")

    def _install(self) -> None:
        """Apply the shipped manifests, give the account in them the right to read, and let the exporter be that."""
        kubectl = self.cluster.kubectl
        kubectl("apply", "--server-side", "-f", str(_MANIFESTS))
        kubectl("apply", "-f", "-", stdin=_READABLE)
        # There are no nodes: the program runs here, and not as the pod that nobody starts.
        eventually(lambda: "watch" in kubectl("get", f"clusterrole/{NAME}", "-o", "jsonpath={.rules}"))
        token = kubectl("create", "token", NAME, f"--namespace={NAME}").strip()
        write_kubeconfig(self._kubeconfig, self.cluster.url, self.cluster.ca_file, {"token": token})

    def _start(self, name: str) -> None:
        getattr(self, name).start()
        self._tell(name)

    def stop(self) -> None:
        """End everything, the exporter first, which still delivers."""
        for name in ("exporter", "operator", "prometheus", "alertmanager", "loki", "jaeger", "cluster"):
            if one := getattr(self, name, None):
                one.stop()
        self.webhook.close()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def _hastened(directory: Path) -> list[Path]:
    """Write the shipped rules to a directory, with a sixtieth of their times; give the files."""
    files = {
        "alerts.yaml": alerting(overrides={one.name: _hasty(one) for one in ALERTS if one.name != _UNHURRIED}),
        "recording.yaml": recording(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    return [directory / name for name in files]


def _hasty(alert: Alert) -> Override:
    in_seconds = alert.unit.startswith("seconds")
    return Override(
        threshold=alert.threshold / _HASTE if in_seconds and alert.threshold is not None else None,
        for_=_shortened(alert.for_),
        keep_firing_for=_shortened(alert.keep_firing_for),
    )


def _shortened(duration: str) -> str:
    """Shorten a duration as Prometheus writes it, such as `1h30m`; an empty one is none."""
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))
    return f"{seconds / _HASTE:.0f}s" if duration else ""
