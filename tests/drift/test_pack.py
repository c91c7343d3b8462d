"""The shipped ignore rules: what each is for, and that none hides what a person wrote."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from msgspec import UNSET

from exporter.changes.version import Version
from exporter.drift.pack import PACK
from exporter.drift.rules import Rules
from exporter.drift.values import Subject
from exporter.model import ObjectKey, ResourceType, Writer
from exporter.records import Finding


TODAY = date(2026, 1, 1)
RULES = Rules((), PACK)
HUMAN = Writer(name="kubectl-edit", class_="human", source="managed_fields")
HPA = Writer(name="kube-controller-manager", class_="controller", operation="Update", subresource="scale",
             source="managed_fields")  # fmt: skip
PROVIDER = Writer(name="provider", class_="controller", source="managed_fields")
ISTIOD = Writer(name="pilot-discovery", class_="unknown", source="managed_fields")


def reason(of: str, path: str, writer: Writer | None = None, *, name: str = "web", default: bool = False) -> str:
    """Ask the pack about a field of an object of `group/Kind`."""
    group, _, kind = of.rpartition("/")
    type_ = ResourceType(group, "v1", kind.lower() + "s", kind)
    version = Version(msgspec.json.encode({"metadata": {"name": name, "namespace": "team-a"}}))
    subject = Subject(type_, ObjectKey(group, type_.resource, "team-a", name), "1", version)
    finding = Finding(path=path, finding="changed", declared=1, live=2, writer=writer or UNSET)
    return RULES.covers(subject, finding, equals_default=default, today=TODAY)


@pytest.mark.parametrize(
    ("of", "path", "writer"),
    [
        ("example.com/Widget", "/spec/replicas", HUMAN),
        ("example.com/Widget", "/spec/replicas", None),
        ("example.com/Widget", "/spec/size", HPA),
        ("example.com/Widget", "/metadata/finalizers", HUMAN),
        ("example.com/Widget", "/metadata/labels/app.kubernetes.io~1managed-by", HUMAN),
        ("example.com/Widget", "/metadata/annotations/example.com~1owner", HUMAN),
        ("example.com/Widget", "/spec/webhook/clientConfig/caBundle", None),
        ("admissionregistration.k8s.io/ValidatingWebhookConfiguration", "/webhooks/0/clientConfig/url", None),
        ("admissionregistration.k8s.io/ValidatingWebhookConfiguration", "/webhooks/0/failurePolicy", ISTIOD),
        ("admissionregistration.k8s.io/ValidatingWebhookConfiguration", "/webhooks/0/clientConfig/caBundle", HUMAN),
        ("gateway.networking.k8s.io/HTTPRoute", "/spec/rules/0/backendRefs/0/weight", HUMAN),
        ("gateway.networking.k8s.io/HTTPRoute", "/spec/hostnames", None),
        ("postgresql.cnpg.io/Cluster", "/spec/managed/roles/0/inherit", HUMAN),
        ("s3.aws.upbound.io/Bucket", "/spec/forProvider/region", HUMAN),
        ("example.com/Widget", "/spec/forProvider/region", PROVIDER),
        ("kafka.strimzi.io/Kafka", "/metadata/annotations/strimzi.io~1rebalance", HUMAN),
        ("kafka.strimzi.io/Kafka", "/spec/kafka/replicas", HUMAN),
    ],
)
def test_what_matters_is_not_hidden(of: str, path: str, writer: Writer | None) -> None:
    """What a person wrote, and the same field in another type, is told."""
    assert not reason(of, path, writer)


@pytest.mark.parametrize(
    ("expected", "of", "path", "writer"),
    [
        ("finalizers are put on", "example.com/Widget", "/metadata/finalizers", None),
        ("an autoscaler owns", "example.com/Widget", "/spec/replicas", HPA),
        (
            "the CA bundle of a webhook",
            "admissionregistration.k8s.io/MutatingWebhookConfiguration", "/webhooks/1/clientConfig/caBundle", None,
        ),
        (
            "the CA bundle of a conversion webhook",
            "apiextensions.k8s.io/CustomResourceDefinition", "/spec/conversion/webhook/clientConfig/caBundle", None,
        ),
        ("the CA bundle of an aggregated", "apiregistration.k8s.io/APIService", "/spec/caBundle", None),
        (
            "bookkeeping of kubectl",
            "example.com/Widget", "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", HUMAN,
        ),
        ("bookkeeping of Argo CD", "a.b/C", "/metadata/annotations/argocd.argoproj.io~1tracking-id", None),
        ("an operation that Argo CD", "argoproj.io/Application", "/operation/sync", HUMAN),
        ("bookkeeping of Flux", "a.b/C", "/metadata/annotations/reconcile.fluxcd.io~1requestedAt", HUMAN),
        ("bookkeeping of Flux", "a.b/C", "/metadata/labels/kustomize.toolkit.fluxcd.io~1name", None),
        ("bookkeeping of Helm", "a.b/C", "/metadata/annotations/meta.helm.sh~1release-name", None),
        (
            "a webhook marks", "monitoring.coreos.com/PrometheusRule",
            "/metadata/annotations/prometheus-operator-validated", None,
        ),
        ("Crossplane completes", "s3.aws.upbound.io/Bucket", "/spec/forProvider/tags/a", PROVIDER),
        (
            "Strimzi takes away the order to rebalance",
            "kafka.strimzi.io/KafkaRebalance", "/metadata/annotations/strimzi.io~1rebalance", HUMAN,
        ),
    ],
)  # fmt: skip
def test_what_is_left_out(expected: str, of: str, path: str, writer: Writer | None) -> None:
    """What the named software writes by design is left out, with the reason."""
    assert reason(of, path, writer).startswith(expected)


@pytest.mark.parametrize(
    ("expected", "of", "path"),
    [
        ("defaults of the Gateway API", "gateway.networking.k8s.io/HTTPRoute", "/spec/rules/0/backendRefs/0/weight"),
        ("defaults of the Gateway API", "gateway.networking.k8s.io/GRPCRoute", "/spec/parentRefs/1/kind"),
        ("defaults of CloudNativePG's managed roles", "postgresql.cnpg.io/Cluster", "/spec/managed/roles/0/inherit"),
        (
            "defaults of External Secrets",
            "external-secrets.io/ClusterExternalSecret",
            "/spec/externalSecretSpec/data/0/remoteRef/decodingStrategy",
        ),
        ("defaults of cert-manager's issuer references", "cert-manager.io/Certificate", "/spec/issuerRef/kind"),
    ],
)
def test_defaults_are_left_out_as_long_as_they_are_defaults(expected: str, of: str, path: str) -> None:
    """Another value than the default in the same place is told."""
    assert ("", expected) == (reason(of, path), reason(of, path, default=True))


def test_the_webhooks_of_istio_and_knative_are_known_by_name() -> None:
    """What a controller completes is known by the name of its configuration."""
    of = "admissionregistration.k8s.io/ValidatingWebhookConfiguration"
    assert reason(of, "/webhooks/0/failurePolicy", ISTIOD, name="istiod-default-validator").startswith("istiod")
    assert reason(of, "/webhooks/0/rules", name="config.webhook.serving.knative.dev").startswith("Knative")


def test_every_rule_says_why_in_words_of_its_own() -> None:
    """A reason names one rule, and no shipped rule expires or covers whatever an object holds."""
    assert len(PACK) == len({rule.reason for rule in PACK})
    assert not [rule for rule in PACK if rule.expires or not rule.paths]
