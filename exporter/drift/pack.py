"""The ignore rules that are shipped: what controllers of the common ecosystems write where a declaration has something.

Each is there because the software named writes that field by design, and says so or is known for it. None of them
hides what a person wrote, unless that is how the software is operated. `drift.defaultRules: false` switches all off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.drift.rules import IgnoreRule, Match


if TYPE_CHECKING:
    from exporter.model import WriterClass


def _annotations(*names: str) -> tuple[str, ...]:
    return tuple(f"/metadata/annotations/{name.replace('/', '~1')}" for name in names)


def _labels(*names: str) -> tuple[str, ...]:
    return tuple(f"/metadata/labels/{name.replace('/', '~1')}" for name in names)


_WEBHOOKS = "admissionregistration.k8s.io"
# A webhook that completes a write, and whoever only removes, leave no name: then the class is unknown.
_NOBODY: tuple[WriterClass, ...] = ("controller", "unknown")

PACK = (
    # -- of Kubernetes itself ------------------------------------------------------------------------------------
    IgnoreRule(
        reason="finalizers are put on and taken off by controllers",
        paths=("/metadata/finalizers",),
        classes=_NOBODY,
    ),
    IgnoreRule(
        reason="an autoscaler owns the number of replicas",
        paths=("/spec/replicas",),
        managers=("kube-controller-manager", "horizontal-pod-autoscaler", "keda", "keda-*", "*-autoscaler"),
    ),
    IgnoreRule(
        reason="the CA bundle of a webhook is injected",
        match=Match(group=_WEBHOOKS, kind="*WebhookConfiguration"),
        paths=("/webhooks/*/clientConfig/caBundle",),
        classes=_NOBODY,
    ),
    IgnoreRule(
        reason="the CA bundle of a conversion webhook is injected",
        match=Match(group="apiextensions.k8s.io", kind="CustomResourceDefinition"),
        paths=("/spec/conversion/webhook/clientConfig/caBundle",),
        classes=_NOBODY,
    ),
    IgnoreRule(
        reason="the CA bundle of an aggregated API is injected",
        match=Match(group="apiregistration.k8s.io", kind="APIService"),
        paths=("/spec/caBundle",),
        classes=_NOBODY,
    ),
    IgnoreRule(
        reason="the Deployment controller counts revisions",
        match=Match(group="apps", kind="Deployment"),
        paths=_annotations("deployment.kubernetes.io/revision"),
        classes=_NOBODY,
    ),
    # -- of the tools that declare -------------------------------------------------------------------------------
    IgnoreRule(
        reason="bookkeeping of kubectl",
        paths=_annotations("kubectl.kubernetes.io/last-applied-configuration"),
    ),
    IgnoreRule(
        reason="bookkeeping of Argo CD",
        paths=_annotations(
            "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/installation-id", "argocd.argoproj.io/refresh",
            "argocd.argoproj.io/hydrate",
        ),
    ),
    IgnoreRule(
        reason="an operation that Argo CD was asked for",
        match=Match(group="argoproj.io", kind="Application"),
        paths=("/operation",),
    ),
    IgnoreRule(
        reason="bookkeeping of Flux",
        paths=(
            *_annotations(
                "reconcile.fluxcd.io/requestedAt", "reconcile.fluxcd.io/forceAt", "reconcile.fluxcd.io/resetAt"
            ),
            *_labels("kustomize.toolkit.fluxcd.io/*", "helm.toolkit.fluxcd.io/*"),
        ),
    ),
    IgnoreRule(
        reason="bookkeeping of Helm",
        paths=_annotations("meta.helm.sh/release-name", "meta.helm.sh/release-namespace"),
    ),
    IgnoreRule(
        reason="Helm marks what it manages",
        paths=_labels("app.kubernetes.io/managed-by"),
        managers=("helm", "Helm", "helm-controller", "fleet*"),
    ),
    IgnoreRule(
        reason="bookkeeping of Config Sync",
        paths=_annotations("configmanagement.gke.io/*", "configsync.gke.io/*"),
    ),
    IgnoreRule(
        reason="bookkeeping of Fleet",
        paths=(*_annotations("objectset.rio.cattle.io/*"), *_labels("objectset.rio.cattle.io/*")),
    ),
    IgnoreRule(
        reason="bookkeeping of metacontroller",
        paths=_annotations("metacontroller.k8s.io/last-applied-configuration"),
    ),
    # -- of what is declared -------------------------------------------------------------------------------------
    IgnoreRule(
        reason="a webhook marks what it has validated",
        paths=_annotations("*-validated"),
    ),
    IgnoreRule(
        reason="defaults of the Gateway API",
        match=Match(group="gateway.networking.k8s.io", kind="*Route"),
        paths=(
            "/spec/parentRefs/*/group", "/spec/parentRefs/*/kind", "/spec/rules/*/matches",
            "/spec/rules/*/backendRefs/*/group", "/spec/rules/*/backendRefs/*/kind",
            "/spec/rules/*/backendRefs/*/weight",
        ),
        when_equal_default=True,
    ),
    IgnoreRule(
        reason="defaults of CloudNativePG's managed roles",
        match=Match(group="postgresql.cnpg.io", kind="Cluster"),
        paths=tuple(f"/spec/managed/roles/*/{name}" for name in ("connectionLimit", "ensure", "inherit")),
        when_equal_default=True,
    ),
    IgnoreRule(
        reason="defaults of External Secrets",
        match=Match(group="external-secrets.io", kind="*ExternalSecret"),
        paths=tuple(f"/spec/**/{name}" for name in ("conversionStrategy", "decodingStrategy", "metadataPolicy")),
        when_equal_default=True,
    ),
    IgnoreRule(
        reason="defaults of cert-manager's issuer references",
        match=Match(group="cert-manager.io"),
        paths=("/spec/issuerRef/group", "/spec/issuerRef/kind"),
        when_equal_default=True,
    ),
    IgnoreRule(
        reason="Crossplane completes a managed resource with what the provider made (late initialisation)",
        match=Match(group="re:.*\\.crossplane\\.io|.*\\.upbound\\.io"),
        paths=(
            "/spec/forProvider", "/spec/initProvider",
            *_annotations("crossplane.io/external-name", "crossplane.io/external-create-*"),
        ),
        classes=("controller",),
    ),
    IgnoreRule(
        reason="Crossplane binds claims, composites and what they are composed of",
        paths=(
            "/spec/claimRef", "/spec/resourceRef", "/spec/resourceRefs", "/spec/compositionRef",
            "/spec/compositionRevisionRef", "/spec/crossplane",
        ),
        managers=("apiextensions.crossplane.io/*", "crossplane"),
    ),
    IgnoreRule(
        reason="istiod closes its validation once it is ready",
        match=Match(group=_WEBHOOKS, kind="ValidatingWebhookConfiguration", name="istio*"),
        paths=("/webhooks/*/failurePolicy",),
        classes=_NOBODY,
    ),
    IgnoreRule(
        reason="Knative completes its webhooks when it starts",
        match=Match(group=_WEBHOOKS, kind="*WebhookConfiguration", name="*.knative.dev"),
        paths=("/webhooks/*/rules", "/webhooks/*/namespaceSelector"),
        classes=_NOBODY,
    ),
    IgnoreRule(
        reason="Knative notes who made an object and who wrote it last",
        match=Match(group="re:.*knative\\.dev"),
        paths=_annotations("*.knative.dev/creator", "*.knative.dev/lastModifier"),
    ),
    IgnoreRule(
        reason="Strimzi takes away the order to rebalance when it has carried it out",
        match=Match(group="kafka.strimzi.io", kind="KafkaRebalance"),
        paths=_annotations("strimzi.io/rebalance"),
    ),
    IgnoreRule(
        reason="Strimzi takes away the order to restart when it has carried it out",
        match=Match(group="*strimzi.io"),
        paths=_annotations("strimzi.io/manual-rolling-update", "strimzi.io/restart", "strimzi.io/restart-task"),
    ),
)  # fmt: skip
