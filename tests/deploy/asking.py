"""Asks a real API server what an account may do: every verb, on every resource that there is, in several places.

The answers are the server's own (SelfSubjectAccessReview), under the account's own token. Must never work out itself
what a rule means.
"""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.servers.launch import Cluster

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate")


class Right(NamedTuple):
    """A verb on a resource, by its group and plural (with a subresource behind a slash), in a place."""

    verb: str
    group: str
    resource: str
    namespace: str = ""  # all of them, or none
    name: str = ""


class Account:
    """A ServiceAccount with a token of its own, which asks over one connection."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        """Get it a token, as the kubelet does for a pod."""
        self.token = cluster.kubectl("create", "token", name, f"--namespace={namespace}").strip()
        self._host = urlsplit(cluster.url).netloc
        trust = ssl.create_default_context(cafile=cluster.ca_file)
        self._connection = http.client.HTTPSConnection(self._host, context=trust, timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; the status and what came back."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        self._connection.request(method, path, content, headers)
        with self._connection.getresponse() as answer:
            return answer.status, msgspec.json.decode(answer.read())

    def may(self, right: Right) -> bool:
        """Whether the server says that it may."""
        resource, _, subresource = right.resource.partition("/")
        attributes = {
            "verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource,
            "namespace": right.namespace, "name": right.name,
        }  # fmt: skip
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
        spec = {"resourceAttributes": attributes}
        status, answer = self.ask(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review | {"spec": spec}
        )
        assert status == 201, answer
        return bool(answer["status"]["allowed"])

    def rights(self, asked: Iterable[Right]) -> set[Right]:
        """Those of the rights that it has."""
        return {right for right in asked if self.may(right)}

    def rules(self, namespace: str) -> list[dict[str, list[str]]]:
        """The rules that hold for it in a namespace, as the server adds them up."""
        review = {"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status, answer = self.ask("POST", path, review | {"spec": {"namespace": namespace}})
        assert status == 201, answer
        return list(answer["status"]["resourceRules"])

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def every_right(cluster: Cluster, namespaces: Iterable[str]) -> Iterator[Right]:
    """Every verb on every resource that the server has, in the whole cluster and in each of the namespaces."""
    places = ["", *namespaces]
    for group, resource in resources(cluster):
        for verb in VERBS:
            for namespace in places:
                yield Right(verb, group, resource, namespace)


def resources(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Every group and resource, subresources included, of the preferred versions."""
    paths = ["/api/v1"]
    for group in msgspec.json.decode(cluster.kubectl("get", "--raw=/apis"))["groups"]:
        paths += [f"/apis/{version['groupVersion']}" for version in group["versions"]]
    seen = set()
    for path in paths:
        group = path.split("/")[2] if path != "/api/v1" else ""
        for one in msgspec.json.decode(cluster.kubectl("get", f"--raw={path}"))["resources"]:
            seen.add((group, one["name"]))
    yield from sorted(seen)
