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

from tests.integration.exporting import Exporter
from tests.servers.alertmanager import Alertmanager, Webhook
from tests.servers.cert_manager import CertManager
from tests.servers.cluster import Cluster
from tests.servers.jaeger import Jaeger
from tests.servers.loki import Loki
from tests.servers.process import free_port
from tests.servers.prometheus import Prometheus


if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "cert-manager",
    "prometheus", "alertmanager", "loki", "jaeger",
)  # fmt: skip
CLUSTER_NAME = "try"
DASHBOARDS = Path(__file__).parents[2] / "dashboards"
# The rules' minutes become seconds.
HASTE = 60
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Stack:
    """Everything, on free ports and below one directory; `with` starts it and ends it."""

    def __init__(
        self, directory: Path, *, config: dict[str, Any], tell: Callable[[str], None] = lambda _: None
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            directory: for all data, configurations and logs
            config: of the exporter
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
        port = free_port()
        self.exporter = Exporter(
            self.cluster.kubeconfig,
            directory / "exporter",
            config=yaml.safe_dump({"cluster": CLUSTER_NAME} | config),
            env={
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{self.loki.otlp_endpoint}/v1/logs",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{self.jaeger.otlp_endpoint}/v1/traces",
            },
            flags=[f"--web.listen-address=127.0.0.1:{port}"],
        )
        target = {"targets": [f"127.0.0.1:{port}"], "labels": {"cluster": CLUSTER_NAME}}
        self.prometheus = Prometheus(
            directory / "prometheus",
            [{"job_name": "customresource-exporter", "honor_labels": True, "static_configs": [target]}],
            rules=[hastened(file, directory) for file in sorted((DASHBOARDS / "rules").glob("*.yaml"))],
            alertmanager=self.alertmanager.address,
        )

    def start(self) -> None:
        """Start everything; returns when all of it is ready, the exporter too."""
        with ThreadPoolExecutor() as pool:
            started = [pool.submit(self._start, name) for name in ("loki", "jaeger", "alertmanager", "cluster")]
        for one in started:
            one.result()
        self.operator = CertManager(self.cluster, self.directory / "cert-manager")
        for name in ("operator", "exporter", "prometheus"):
            self._start(name)

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


def hastened(file: Path, directory: Path) -> Path:
    """Write a file of rules with shorter times (`for`, `keep_firing_for`) to a directory; give the new file."""
    rules = yaml.safe_load(file.read_text("utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        for key in rule.keys() & {"for", "keep_firing_for"}:
            rule[key] = f"{seconds(rule[key]) / HASTE:.0f}s"
    copy = directory / file.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return copy


def seconds(duration: str) -> int:
    """Give the seconds of a duration as Prometheus writes it, such as `1h30m`."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))
