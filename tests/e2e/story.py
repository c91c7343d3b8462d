"""What happens in the cluster: the scripted day of the demo, and the certificates of a real operator.

At its end something of every kind is there to be looked at: drift and a fight that last, certificates that were issued
and one that never is. Must never look at the exporter, but to wait until it has concluded what the day is about.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

from exporter.journal.read import open_reader
from exporter.records import Transition
from exporter.sandbox.day import play, prepare
from exporter.sandbox.hands import reach
from exporter.sandbox.script import IGNORE
from tests.waiting import eventually


if TYPE_CHECKING:
    from exporter.records import Record
    from tests.e2e.stack import Stack

# Of the exporter that watches it: what it concludes comes within seconds.
DRIFT: dict[str, Any] = {"settle": "2s", "clear": "1s", "ignore": IGNORE}
# The objects that it is about, by the variables of the dashboards; the first is the one with the fullest life.
_CERTIFICATE = {"group": "cert-manager.io", "kind": "Certificate", "namespace": "web"}
OBJECTS = [
    *(_CERTIFICATE | {"name": name} for name in ("shop", "never", "ghost")),
    {"group": "cache.example.com", "kind": "Cache", "namespace": "shop", "name": "sessions"},
]
_CONCLUSION_SECONDS = 60.0
_POLL_SECONDS = 0.1

ISSUERS = """
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ours, namespace: web}
spec: {selfSigned: {}}
"""

# A type that nobody has let the exporter read.
_REFUSED = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: legacies.old.example.com}
spec:
  group: old.example.com
  scope: Cluster
  names: {plural: legacies, singular: legacy, kind: Legacy}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


def certificate(name: str, *names: str, issuer: str = "ours") -> str:
    """Declare a Certificate of the namespace `web` for DNS names."""
    return f"""
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: {name}, namespace: web}}
spec: {{secretName: {name}-tls, dnsNames: [{", ".join(names)}], issuerRef: {{name: {issuer}}}}}
"""


def declare(stack: Stack, *documents: str) -> None:
    """Apply what is declared, as a pipeline does with kubectl."""
    stack.cluster.kubectl("apply", "-f", "-", stdin="\n---\n".join(documents))


def issued(stack: Stack, name: str) -> None:
    """Wait until a Certificate is Ready."""
    stack.cluster.kubectl("-n", "web", "wait", f"certificate/{name}", "--for=condition=Ready", "--timeout=60s")


def edit(stack: Stack, name: str, patch: str) -> None:
    """Change a Certificate by hand."""
    stack.cluster.kubectl("-n", "web", "patch", f"certificate/{name}", "--type=merge", "--patch", patch)


def tell(stack: Stack) -> None:
    """Play all of it; returns when the exporter has seen its end."""
    declare(
        stack, ISSUERS, certificate("shop", "shop.example.com"), certificate("never", "x.example.com", issuer="none")
    )
    issued(stack, "shop")
    declare(stack, certificate("shop", "shop.example.com", "www.example.com"))
    (stack.declared / "ghost.yaml").write_text(certificate("ghost", "ghost.example.com"), encoding="utf-8")
    (stack.declared / "broken.yaml").write_text("kind: [", encoding="utf-8")
    declare(stack, _REFUSED)
    asyncio.run(_day(stack))
    _trouble(stack)
    stack.cluster.kubectl("-n", "web", "delete", "secret", "shop-tls")
    edit(stack, "shop", '{"spec":{"dnsNames":["shop.example.com","by-hand.example.com"],"duration":"2160h"}}')
    eventually(lambda: any(one["name"] == "shop" and one["state"] == "drifted" for one in stack.exporter.drift()), 60)


def _trouble(stack: Stack) -> None:
    """Let the log store and the API server go away for a moment each, while something changes."""
    stack.loki.stop()
    declare(stack, certificate("shop", "shop.example.com", "www.example.com", "api.example.com"))
    # The first of them is no growth yet.
    failures = 'increase(customresource_exporter_delivery_failures_total{consumer=~".*logs.*"}[1m]) > 0'
    eventually(lambda: stack.prometheus.query(failures), 60)
    stack.loki.start()
    stack.cluster.stop()
    stack.cluster.start()
    eventually(lambda: stack.prometheus.query("customresource_exporter_watch_restarts_total > 0"), 60)
    # What is done from here on is seen as it happens: who did it, too.
    before = len(stack.exporter.changes("--name=never"))
    stack.cluster.kubectl("-n", "web", "label", "certificate/never", "seen=yes")
    eventually(lambda: len(stack.exporter.changes("--name=never")) > before, 60)


async def _day(stack: Stack) -> None:
    async with reach(str(stack.cluster.kubeconfig)) as hands:
        await prepare(hands, tell=lambda _: None)
        with closing(open_reader(stack.exporter.data_dir)) as reader:

            async def concluded(count: int) -> None:
                async with asyncio.timeout(_CONCLUSION_SECONDS):
                    while sum(_is_of_the_day(one) for _, one in reader.scan()) < count:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(_POLL_SECONDS)

            await play(hands, speed=2, begin=_at_once, concluded=concluded)


def _is_of_the_day(record: Record) -> bool:
    return isinstance(record, Transition) and record.verdict.group != "cert-manager.io"


async def _at_once(_title: str, _done: int) -> None:
    """Wait for nothing before a scene."""
