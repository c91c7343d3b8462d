"""Values that are texts and look like something else: what comes out are texts, and nothing that nobody wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.deploy.chart import container, kinds, one, pod, render, workload


if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("_helm")

# What Kubernetes takes as a name, and YAML as something else; and what would begin another key, list or document.
NAMES = ["2024", "1e3", "0x1f", "true", "null"]
HOSTILE = ["a: b", "a\n---\nkind: Secret", '"', "'", "&a", "*a", "a #b", "{{ fail `x` }}", "- a", "@a"]
_TEXTS = {
    "name", "namespace", "secretName", "claimName", "storageClassName", "serviceName", "serviceAccountName", "image",
    "priorityClassName", "runtimeClassName", "value", "key", "jobLabel",
}  # fmt: skip
_MAPPINGS = {"labels", "matchLabels", "annotations"}


def everything(odd: str) -> dict[str, Any]:
    """Values in which every name is the same."""
    return {
        "nameOverride": odd,
        "namespaceOverride": odd,
        "serviceAccount": {"name": odd},
        "image": {"repository": odd},
        "web": {"config": {"secretName": odd, "key": odd}},
        "otlp": {
            "endpoint": "http://collector:4318",
            "headersSecret": {"name": odd, "key": odd},
            "tlsSecret": {"name": odd, "ca": odd},
        },
        "persistence": {"storageClass": odd},
        "priorityClassName": odd,
        "runtimeClassName": odd,
        "monitor": {"enabled": True, "jobLabel": odd, "namespace": odd},
        "dashboards": {"enabled": True, "namespace": odd},
        "prometheusRule": {"enabled": True, "namespace": odd, "selector": odd, "runbookUrl": odd, "grafanaUrl": odd},
        "config": {"cluster": odd},
    }


def no_texts(tree: Any, place: str = "") -> Iterator[str]:
    """Where something that has to be a text is none."""
    if isinstance(tree, list):
        for number, each in enumerate(tree):
            yield from no_texts(each, f"{place}[{number}]")
    if isinstance(tree, dict):
        for key, value in tree.items():
            named = f"{place}.{key}"
            inner = value.items() if key in _MAPPINGS else ((key, value),) if key in _TEXTS else ()
            yield from (f"{named}: {one!r}" for _, one in inner if not isinstance(one, str))
            yield from no_texts(value, named)


@pytest.mark.parametrize("odd", [*NAMES, *HOSTILE])
def test_what_is_a_text_stays_one(odd: str) -> None:
    """No number, no truth and no second document comes of it, and what the pod is given is what was written."""
    usual = render(everything("usual"))
    objects = render(everything(odd))
    assert list(no_texts(objects)) == []
    assert kinds(objects) == kinds(usual)
    assert len(objects) == len(usual)
    assert workload(objects)["metadata"]["namespace"] == odd
    assert f"--web.config.file=/etc/customresource-exporter/web/{odd}" in container(objects)["args"]
    assert pod(objects)["serviceAccountName"] == odd


@pytest.mark.parametrize("release", NAMES)
def test_a_release_may_be_called_anything(release: str) -> None:
    """Its name is a label, and what is selected by."""
    objects = render({}, release=release, namespace=release)
    assert list(no_texts(objects)) == []
    assert workload(objects)["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == release


@pytest.mark.parametrize("key", ["storageClass", "existingClaim"])
@pytest.mark.parametrize("odd", NAMES)
def test_a_volume_may_be_called_anything(key: str, odd: str) -> None:
    """Of a class, or by its own name."""
    assert list(no_texts(render({"persistence": {key: odd}}))) == []


@pytest.mark.parametrize("tail", ["-", "--", "--b", "-b"])
def test_a_name_that_is_cut_ends_as_a_name_may(tail: str) -> None:
    """However many hyphens stand where it is cut."""
    objects = render({"fullnameOverride": "a" * 50 + tail})
    assert one(objects, "Service")["metadata"]["name"].strip("a") in ("", "-b")
