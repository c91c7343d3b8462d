"""The ways of giving rights, each with the very rights that the account is to have on the server.

Written by hand from what is promised, and from no template.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tests.deploy.asking import Right


PLACES = ("team-a", "team-b")
READ = ("list", "watch")
DATABASE, OTHER = ("db.example.com", "databases"), ("other.example.com", "gadgets")


# What every account may do: ask about itself, and read the bundles of certificates that are there for all.
EVERYBODY = {
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("certificates.k8s.io", "clustertrustbundles"),
}


class Mode(Struct, frozen=True):
    """A way of giving rights, and what follows from it.

    Args:
        name: of the release
        values: of the chart
        rights: what the account has, beside what every account has; `("verb", "group", "resource", "namespace")`
        follows: the types whose objects it sees in team-a; group and plural
        refused: the types that it tells that it may not read
        sees: the namespaces whose objects it tells of

    """

    name: str
    values: dict[str, Any]
    rights: frozenset[Right]
    follows: tuple[tuple[str, str], ...] = (DATABASE,)
    refused: tuple[str, ...] = ()
    sees: tuple[str, ...] = ("team-a", "team-b")


def everywhere(
    group: str, *resources: str, verbs: tuple[str, ...] = READ, namespaces: tuple[str, ...] = ()
) -> set[Right]:
    """Rights on resources: in the whole cluster, and so in each namespace, or in some namespaces alone."""
    places = namespaces or ("", *PLACES)
    return {Right(verb, group, each, place) for verb in verbs for each in resources for place in places}


DISCOVERY = everywhere("apiextensions.k8s.io", "customresourcedefinitions")
IDENTITY = {Right("get", "", "namespaces", "kube-system", "kube-system")}
# A rule for all resources of a group covers what belongs to them.
DATABASES = everywhere("db.example.com", "databases", "databases/status")
MODES = (
    Mode(
        "by-group",
        {"rbac": {"mode": "byGroup"}, "config": {"watch": {"include": ["db.example.com/*"]}}},
        frozenset(DISCOVERY | IDENTITY | DATABASES),
    ),
    Mode(
        "by-kind",
        {
            "rbac": {"mode": "byGroup"},
            "config": {"watch": {"include": ["db.example.com/Database", "v1/ConfigMap"], "labelSelector": "app=web"}},
        },
        frozenset(
            DISCOVERY
            | IDENTITY
            | everywhere("db.example.com", "databases", verbs=("get", *READ))
            | everywhere("", "configmaps", verbs=("get", *READ))
        ),
        follows=(DATABASE, ("", "configmaps")),
    ),
    Mode(
        "by-namespace",
        {
            "rbac": {"mode": "byGroup"},
            "config": {"watch": {"include": ["db.example.com/Database"], "namespaces": ["team-a"]}},
        },
        frozenset(DISCOVERY | IDENTITY | everywhere("db.example.com", "databases", namespaces=("team-a",))),
        sees=("team-a",),
    ),
    Mode(
        "aggregated",
        {"rbac": {"mode": "aggregated"}},
        frozenset(DISCOVERY | IDENTITY | everywhere("other.example.com", "gadgets", "gadgets/status")),
        follows=(OTHER,),
        refused=("Database",),
    ),
    Mode(
        "namespaced",
        {
            "rbac": {"mode": "namespaced"},
            "config": {"watch": {"include": ["db.example.com/*"], "namespaces": ["team-a"]}},
        },
        frozenset(everywhere("db.example.com", "databases", "databases/status", namespaces=("team-a",))),
        sees=("team-a",),
    ),
    Mode(
        "namespaced-identity",
        {
            "rbac": {"mode": "namespaced", "clusterIdentity": True},
            "config": {"watch": {"include": ["db.example.com/Database"], "namespaces": ["team-a"]}},
        },
        frozenset(IDENTITY | everywhere("db.example.com", "databases", namespaces=("team-a",))),
        sees=("team-a",),
    ),
)
