"""What happens on the scripted day, and what an observer should call it.

Data only: who does what to which object, how long they then wait, the change that follows, and what is to be concluded
from it. `day.py` plays it. Every step makes exactly one version of one object.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from exporter.model import ChangeType, ResourceType
from exporter.records import DriftEvent, ResolvedBy
from exporter.sandbox.crds import BACKUP_POLICY, CACHE, DATABASE, ROUTE


Verb = Literal["create", "apply", "edit", "reconcile", "beat", "delete"]

GITOPS = "argocd-controller"
OPERATOR = "database-operator"
ROUTER = "route-operator"
SAVER = "cost-optimizer"
SPEEDER = "latency-optimizer"
SCALER = "database-autoscaler"
ROLLOUTS = "rollouts-controller"
INSTALLER = "helm"

NAMESPACES = ("shop", "search")
FINALIZER = "db.example.com/final-backup"
# Nothing that shows the history may ever show one of these.
SECRETS = ("correct-horse-battery", "staple-tr0ub4dor-three", "hunter2-of-the-morning", "hunter3-of-the-evening")
_OLD_PASSCODE, _NEW_PASSCODE, _OLD_PASSWORD, _NEW_PASSWORD = SECRETS


class Place(Struct, frozen=True):
    """Where an object is."""

    type: ResourceType
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """The URL path below the server's address."""
        return self.type.path(self.namespace, self.name)


class Conclusion(Struct, frozen=True):
    """What an observer should say beside the changes.

    Attributes:
        event: what began or ended
        path: the field that it is about
        who: who wrote it, or who fight over it
        by: who ended it

    """

    event: DriftEvent
    path: str
    who: tuple[str, ...]
    by: ResolvedBy | None = None


class Step(Struct, frozen=True):
    """One act, one version.

    Attributes:
        who: the name under which it is done
        verb: how
        place: to which object
        change: what an observer should call it
        body: the declaration (`create`, `apply`), the patch (`edit`), or the phase and reason (`reconcile`)
        after: seconds that pass before the next step, at speed 1
        concludes: what an observer should conclude, be it a while later; it is waited for

    """

    who: str
    verb: Verb
    place: Place
    change: ChangeType
    body: dict[str, Any] = {}
    after: float = 0.6
    concludes: Conclusion | None = None


class Scene(Struct, frozen=True):
    """Steps that tell one thing; `installs` is the type that appears at its beginning."""

    title: str
    steps: tuple[Step, ...]
    installs: ResourceType | None = None


ORDERS = Place(DATABASE, "shop", "orders")
CUSTOMERS = Place(DATABASE, "shop", "customers")
PAYMENTS = Place(DATABASE, "shop", "payments")
SESSIONS = Place(CACHE, "shop", "sessions")
STOREFRONT = Place(ROUTE, "shop", "storefront")
SEARCH = Place(ROUTE, "search", "search-api")
NIGHTLY = Place(BACKUP_POLICY, "", "nightly")
WEEKLY = Place(BACKUP_POLICY, "", "weekly")


def _database(version: str, storage: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {
        "engine": "postgres", "version": version, "replicas": 3, "storageGb": storage,
        "pool": {"maxConnections": 200, "idleSeconds": 30}, **more,
    }  # fmt: skip


def _backends(**weights: int) -> list[dict[str, Any]]:
    return [{"name": name, "weight": weight} for name, weight in weights.items()]


_ADMIN = {"name": "dba", "passcode": _OLD_PASSCODE}
_SESSIONS = {"memoryMb": 512, "eviction": "lru", "source": f"redis://app:{_OLD_PASSWORD}@sessions.shop:6379/0"}
_SEARCH = {"host": "search.example.com", "backends": _backends(api=100)}

# What Git declares in the morning, and which operator looks after it.
MORNING: dict[Place, tuple[dict[str, Any], str]] = {
    ORDERS: (_database("16.3", 100), OPERATOR),
    CUSTOMERS: (_database("16.4", 50, admin=_ADMIN), OPERATOR),
    SESSIONS: (_SESSIONS, ""),
    STOREFRONT: ({"host": "shop.example.com", "backends": _backends(web=100)}, ROUTER),
    SEARCH: (_SEARCH, ROUTER),
}


def _git(place: Place, spec: dict[str, Any], change: ChangeType = "spec", after: float = 0.7) -> Step:
    return Step(GITOPS, "apply", place, change, {"spec": deepcopy(spec)}, after)


def _by(who: str, place: Place, after: float = 0.7, **spec: Any) -> Step:  # noqa: ANN401 - any JSON
    return Step(who, "edit", place, "spec", {"spec": spec}, after)


def _meta(who: str, place: Place, **metadata: Any) -> Step:  # noqa: ANN401 - any JSON
    return Step(who, "edit", place, "metadata", {"metadata": metadata})


def _says(who: str, place: Place, phase: str, after: float = 0.6) -> Step:
    return Step(who, "reconcile", place, "status", {"phase": phase}, after)


def _beats(*places: Place, times: int) -> tuple[Step, ...]:
    return tuple(Step(OPERATOR, "beat", place, "status", after=0.2) for _ in range(times) for place in places)


def _so(step: Step, event: DriftEvent, path: str, *who: str, by: ResolvedBy | None = None) -> Step:
    return replace(step, concludes=Conclusion(event, path, who, by))


_NEW_RELEASE = _database("16.4", 200)
_REPLICAS = "/spec/replicas"
_FIGHTING = tuple(
    step for _ in range(4) for step in (_by(SAVER, SESSIONS, 0.4, replicas=2), _by(SPEEDER, SESSIONS, 0.4, replicas=6))
)
# With the fifth of these writes a value has come back three times.
_FIGHT_FOUND = 4

# What the team has told the exporter: whose work it is to move a declared field. (Autoscalers it knows by itself.)
IGNORE = (
    {
        "match": {"kind": "Route"},
        "paths": ["/spec/backends"],
        "managers": [ROLLOUTS],
        "reason": "a rollout moves the traffic",
    },
)
# So of these nobody is to be told, though at the end of the day they are not as declared: where, and who wrote.
EXCUSED = {
    (ORDERS, _REPLICAS): SCALER,
    (STOREFRONT, "/spec/backends/0/weight"): ROLLOUTS,
    (STOREFRONT, "/spec/backends/1/weight"): ROLLOUTS,
}
# And this a person put there, though nobody declares it: no drift, and said all the same.
UNDECLARED = {
    (STOREFRONT, "/metadata/labels"): "kubectl-label",
    (STOREFRONT, "/metadata/annotations"): "kubectl-annotate",
}

DAY: tuple[Scene, ...] = (
    Scene(
        "Git has a new release of the orders database; its operator rolls it out",
        (_git(ORDERS, _NEW_RELEASE), _says(OPERATOR, ORDERS, "Upgrading", 1.0), _says(OPERATOR, ORDERS, "Ready")),
    ),
    Scene(
        "A new database is declared, and its operator makes it",
        (
            _git(PAYMENTS, _database("16.4", 20), "created"),
            _meta(OPERATOR, PAYMENTS, finalizers=[FINALIZER]),
            _says(OPERATOR, PAYMENTS, "Creating", 1.0),
            _says(OPERATOR, PAYMENTS, "Ready"),
        ),
    ),
    Scene(
        "Somebody scales the orders database by hand; Git puts it back",
        (
            _so(_by("kubectl-edit", ORDERS, 0.2, replicas=5), "drift.opened", _REPLICAS, "kubectl-edit"),
            _says(OPERATOR, ORDERS, "Scaling", 0.8),
            _git(ORDERS, _NEW_RELEASE),
            _so(_says(OPERATOR, ORDERS, "Ready", 0.2), "drift.closed", _REPLICAS, "kubectl-edit", by="declarer"),
        ),
    ),
    Scene(
        "Two controllers fight over one field: one wants to save, one to be fast",
        (
            *_FIGHTING[:_FIGHT_FOUND],
            _so(_FIGHTING[_FIGHT_FOUND], "fight.opened", _REPLICAS, SAVER, SPEEDER),
            *_FIGHTING[_FIGHT_FOUND + 1 :],
        ),
    ),
    Scene(
        "An autoscaler makes the orders database larger; a rule knows its work",
        (_by(SCALER, ORDERS, replicas=6), _says(OPERATOR, ORDERS, "Scaling", 1.0), _says(OPERATOR, ORDERS, "Ready")),
    ),
    Scene("The operator looks at its databases and finds nothing new", _beats(ORDERS, CUSTOMERS, times=4)),
    Scene(
        "A label, an annotation, and a field taken over without changing it",
        (
            _meta("kubectl-label", STOREFRONT, labels={"team": "checkout"}),
            _meta("kubectl-annotate", STOREFRONT, annotations={"example.com/ticket": "sale week"}),
            Step("kubectl", "apply", STOREFRONT, "ownership", {"spec": {"host": "shop.example.com"}}),
        ),
    ),
    Scene(
        "A new type is installed, with its first objects",
        (
            # One version each: whoever hears of the type a moment later can still see all there is.
            Step(INSTALLER, "create", NIGHTLY, "created", {"spec": {"schedule": "0 2 * * *", "keepDays": 7}}),
            Step("kubectl-create", "create", WEEKLY, "created", {"spec": {"schedule": "0 3 * * 0", "keepDays": 60}}),
        ),
        installs=BACKUP_POLICY,
    ),
    Scene(
        "The storefront gets a canary, and the traffic moves over",
        (
            _git(STOREFRONT, {"host": "shop.example.com", "backends": _backends(canary=10, web=90)}),
            _says(ROUTER, STOREFRONT, "Shifting"),
            _by(ROLLOUTS, STOREFRONT, backends=_backends(canary=50, web=50)),
            _by(ROLLOUTS, STOREFRONT, backends=_backends(canary=100, web=0)),
            _says(ROUTER, STOREFRONT, "Ready"),
        ),
    ),
    Scene(
        "A route is deleted by mistake and comes back (no server keeps by whom)",
        (
            Step("kubectl", "delete", SEARCH, "deleted", after=0.8),
            _git(SEARCH, _SEARCH, "recreated"),
            _says(ROUTER, SEARCH, "Ready"),
        ),
    ),
    Scene(
        "Two secrets are changed: one the schema declares, one inside a URL",
        (
            _so(
                _by("kubectl-patch", CUSTOMERS, 0.2, admin={"passcode": _NEW_PASSCODE}),
                "drift.opened",
                "/spec/admin/passcode",
                "kubectl-patch",
            ),
            _git(SESSIONS, _SESSIONS | {"source": f"redis://app:{_NEW_PASSWORD}@sessions.shop:6379/0"}),
        ),
    ),
    Scene(
        "The new database is deleted in two steps: first its operator backs it up",
        (
            Step("kubectl", "delete", PAYMENTS, "deleting"),
            _says(OPERATOR, PAYMENTS, "BackingUp", 1.0),
            Step(OPERATOR, "edit", PAYMENTS, "deleted", {"metadata": {"finalizers": None}}, after=0.0),
        ),
    ),
)
