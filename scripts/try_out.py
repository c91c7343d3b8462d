"""Everything at once, on this machine and without a cluster of one's own: `make try`.

A real API server with cert-manager, the exporter, and all that it feeds, started from what is shipped; then somebody
edits a Certificate by hand, and it is shown where that arrives. Must never build the servers (`make try` does so
before), and never touch a cluster of the user's.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from exporter.sandbox.screen import Screen
from tests.e2e.stack import NAME, Stack
from tests.integration.exporting import PROGRAM
from tests.servers import build
from tests.servers.launch import BuildError, KubectlError, StartError


if TYPE_CHECKING:
    from collections.abc import Callable

_DRIFT = {"settle": "5s", "clear": "5s"}
_NAMES = {
    "loki": "Loki, which takes the log records",
    "jaeger": "Jaeger, which takes the traces",
    "alertmanager": "Alertmanager, with a webhook that it tells",
    "cluster": "kube-apiserver, etcd and kube-controller-manager",
    "operator": "cert-manager",
    "exporter": "customresource-exporter",
    "prometheus": "Prometheus, with the shipped rules (their minutes are seconds here)",
}
_ISSUER = """
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ours, namespace: shop}
spec: {selfSigned: {}}
"""
_DECLARED = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
---{_ISSUER}---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: web, namespace: shop}}
spec:
  secretName: web-tls
  dnsNames: [shop.example.com]
  issuerRef: {{name: ours}}
"""
_EDIT = ("-n", "shop", "patch", "certificate", "web", "--type=merge", "--patch")
_PATCH = '{"spec":{"dnsNames":["shop.example.com","by-hand.example.com"]}}'
_ALERT = "CustomResourceDriftDetected"
_SECONDS = 90.0
_POLL_SECONDS = 0.1
_INTERRUPTED = 130
_LOGS = f'{{service_name="{NAME}"}}'
_OBJECT = 'customresource_kind="Certificate"'


class Place(NamedTuple):
    """Somewhere a change arrives: its name, and how to see that it is there (what is seen, or nothing)."""

    name: str
    seen: Callable[[], str]


def main() -> int:
    """Start everything, show the edit, stay up until Ctrl-C; give the exit code."""
    parser = argparse.ArgumentParser(description="A real cluster, the exporter, and all that it feeds.")
    parser.add_argument("--once", action="store_true", help="end after the edit, instead of staying up until Ctrl-C")
    options = parser.parse_args()
    screen = Screen(sys.stdout)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where it was started in the background
        signal.signal(number, signal.default_int_handler)
    try:
        with (
            TemporaryDirectory(prefix="customresource-exporter-try-", ignore_cleanup_errors=True) as folder,
            screen.with_status(),
        ):
            return _show(screen, Path(folder), once=options.once)
    except (BuildError, StartError, KubectlError) as error:
        screen.bad(str(error))
        return 1
    except KeyboardInterrupt:
        screen.line()
        screen.good("everything is stopped and removed")
        return 0 if not options.once else _INTERRUPTED


def _show(screen: Screen, folder: Path, *, once: bool) -> int:
    began = time.monotonic()
    stack = Stack(folder, drift=_DRIFT, tell=lambda name: screen.good(_NAMES[name]))
    # The exporter is told of a directory of manifests; an empty one is a problem, and an alert.
    (stack.declared / "issuer.yaml").write_text(_ISSUER, encoding="utf-8")
    try:
        screen.status("  starting …")
        stack.start()
        stack.cluster.kubectl("apply", "-f", "-", stdin=_DECLARED)
        stack.cluster.kubectl("-n", "shop", "wait", "certificate/web", "--for=condition=Ready", "--timeout=60s")
        screen.good(f"all of it within {time.monotonic() - began:.0f} s; a Certificate is declared, issued and Ready")
        _addresses(screen, stack)
        screen.scene("Somebody edits the Certificate by hand: a name is added that nobody declared")
        stack.cluster.kubectl(*_EDIT, _PATCH)
        missing = _arrivals(screen, _edited(stack))
        screen.scene("What was declared is applied again, as a pipeline would")
        stack.cluster.kubectl("apply", "-f", "-", stdin=_DECLARED)
        missing += _arrivals(screen, [Place("Alertmanager", lambda: _told(stack, "resolved"))])
        if not once:
            screen.scene("Everything stays up until Ctrl-C: change something, and look where it arrives")
            _invitation(screen, stack)
            threading.Event().wait()
    finally:
        screen.status("  stopping …")
        stack.stop()
    return 1 if missing else 0


def _arrivals(screen: Screen, places: list[Place]) -> int:
    """Tell of each place when it is seen there; give the number of those where it never was."""
    began = time.monotonic()
    missing = list(places)
    while missing and (passed := time.monotonic() - began) < _SECONDS:
        screen.status(f"  waiting for {', '.join(place.name for place in missing)}: {passed:.0f} s")
        for place in list(missing):
            if seen := place.seen():
                screen.good(f"{place.name} after {time.monotonic() - began:.1f} s: {seen}")
                missing.remove(place)
        time.sleep(_POLL_SECONDS)
    screen.status("")
    for place in missing:
        screen.bad(f"{place.name}: nothing within {_SECONDS:.0f} s")
    return len(missing)


def _edited(stack: Stack) -> list[Place]:
    began = time.time()

    def in_prometheus() -> str:
        found = stack.prometheus.query(f'customresource_drift_info{{{_OBJECT},name="web"}}')
        return next((f"drift, cause {one['metric']['cause']}" for one in found), "")

    def in_loki() -> str:
        lines = stack.loki.query(
            _LOGS + ' | customresource_name="web" '
            '| customresource_change_type="spec" | customresource_writer_class="human"',
            began - 60,
            time.time() + 60,
        )
        return next((line for stream in lines for _, line in stream["values"]), "")

    def in_jaeger() -> str:
        wanted = {"customresource.name": "web", "customresource.generation": 2}
        for name, spans in stack.jaeger.traces(NAME).items():
            for span in spans:
                if wanted.items() <= span["attributes"].items():
                    return f"trace {name} of {len(spans)} spans, the first of them “{span['name']}”"
        return ""

    return [
        Place("Prometheus", in_prometheus),
        Place("Loki", in_loki),
        Place("Jaeger", in_jaeger),
        Place("Alertmanager", lambda: _told(stack, "firing")),
    ]


def _told(stack: Stack, status: str) -> str:
    return next(
        (
            f"{_ALERT} is {status}: {alert['annotations']['description']}"
            for alert in stack.webhook.told(_ALERT, status)
            if alert["labels"]["name"] == "web"
        ),
        "",
    )


def _addresses(screen: Screen, stack: Stack) -> None:
    screen.scene("Where to look")
    screen.command("exporter", f"{stack.exporter.url}/metrics")
    screen.command("rules", f"{stack.prometheus.url}/api/v1/alerts")
    screen.command("alerts", f"{stack.alertmanager.url}/api/v2/alerts")
    screen.command("logs", f"{stack.loki.url}/loki/api/v1/query_range?query={quote(_LOGS)}")
    screen.command("traces", f"{stack.jaeger.url}/api/traces?service={NAME}")


def _invitation(screen: Screen, stack: Stack) -> None:
    kubectl = f"{build.required('kubectl')} --kubeconfig={shlex.quote(str(stack.cluster.kubeconfig))}"
    data_dir = f"--data-dir={shlex.quote(str(stack.exporter.data_dir))}"
    screen.command("edit", f"{kubectl} {' '.join(_EDIT)} {shlex.quote(_PATCH)}")
    screen.command("history", f"{PROGRAM} changes {data_dir}")
    screen.command("drift", f"{PROGRAM} drift {data_dir}")
    screen.command("rollouts", f"{PROGRAM} rollouts {data_dir}")


if __name__ == "__main__":
    sys.exit(main())
