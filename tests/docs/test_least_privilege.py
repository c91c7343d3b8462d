"""The manifest that gives the exporter its rights, on a real API server: enough to follow, and nothing but reading."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import page
from tests.docs.session import Step, steps


if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.session import Session
    from tests.integration.conftest import NewCluster
    from tests.servers.launch import Cluster

ACCOUNT = "system:serviceaccount:customresource-exporter:customresource-exporter"
OTHER = "system:serviceaccount:customresource-exporter:default"
DATABASES = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.db.example.com}
spec:
  group: db.example.com
  scope: Namespaced
  names: {kind: Database, plural: databases}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


@pytest.mark.timeout(240)
def test_least_privilege(tmp_path: Path, new_cluster: NewCluster, reader: Session) -> None:
    """With the rights of the page the exporter follows the groups that it names, and no other; it may only read."""
    cluster = new_cluster()
    cluster.kubectl("apply", "-f", "-", stdin=DATABASES)
    cluster.kubectl("apply", "-f", "-", stdin=DATABASES.replace("db.example.com", "other.example.com"))
    # The page uses kubectl as its reader has it: as the administrator.
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/config").write_bytes(cluster.kubeconfig.read_bytes())

    for step in steps(page("docs/how-to/least-privilege.md")):
        reader.play(step)

    shown = reader.play(Step(0, "curl -s http://127.0.0.1:9838/metrics | grep _watch_degraded{", "…"))
    assert sorted(line.removeprefix("customresource_exporter_") for line in shown.splitlines() if line) == [
        'watch_degraded{customresource_group="db.example.com",customresource_kind="Database"} 0.0',
        'watch_degraded{customresource_group="other.example.com",customresource_kind="Database"} 1.0',
    ]
    expected = [
        ([""], ["namespaces"], ["get"]),
        (["apiextensions.k8s.io"], ["customresourcedefinitions"], ["list", "watch"]),
        (["db.example.com", "cert-manager.io"], ["*"], ["list", "watch"]),
    ]
    everybody = rights(cluster, OTHER)
    assert expected == sorted(right for right in rights(cluster, ACCOUNT) if right not in everybody)


def rights(cluster: Cluster, account: str) -> list[tuple[list[str], list[str], list[str]]]:
    """What the server says that an account may do: groups, resources, verbs."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "x"}}
    answer = cluster.kubectl(
        "create", "--raw=/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "-f", "-",
        f"--as={account}", "--as-group=system:serviceaccounts", "--as-group=system:authenticated",
        stdin=json.dumps(review),
    )  # fmt: skip
    rules: list[dict[str, Any]] = json.loads(answer)["status"]["resourceRules"]
    return [(rule["apiGroups"], rule["resources"], sorted(rule["verbs"])) for rule in rules]
