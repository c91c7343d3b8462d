"""What the dashboards have in common: the columns that name an object, one colour for each word, and common queries."""

from __future__ import annotations

from dashboards.source.page import PLACE, TO_OBJECT
from dashboards.source.panels import Column


DRIFTED = f'customresource_drift_state_objects{{{PLACE}, state=~"drifted|flapping"}}'
DECLARED = f'customresource_drift_state_objects{{{PLACE}, state!="unmanaged"}}'
PENDING = f"customresource_reconcile_pending_since_timestamp_seconds{{{PLACE}}}"
UNREADY = f"customresource_unready_since_timestamp_seconds{{{PLACE}}}"
SINCE = f"customresource_drift_since_timestamp_seconds{{{PLACE}}}"
OBJECT = "cluster, customresource_group, customresource_kind, namespace, name"
KIND = "cluster, customresource_group, customresource_kind"

# The columns that name an object, in the order of all tables.
NAMED = {
    "cluster": Column("Cluster", width=90),
    "namespace": Column("Namespace", width=120),
    "customresource_group": Column("Group", width=150),
    "customresource_kind": Column("Kind", width=150),
    "name": Column("Name", link=TO_OBJECT),
}
# The same in a narrow table. What the link needs besides, the cluster and the group, comes last, at the edge or beyond.
SHORT = {
    "namespace": Column("Namespace", width=95),
    "customresource_kind": Column("Kind", width=145),
    "name": Column("Name", link=TO_OBJECT, width=150),
}
# One colour for each word, the same on every page.
STATES = {
    "in_sync": "green", "pending": "yellow", "drifted": "red", "flapping": "dark-red", "ignored": "light-blue",
    "suspended": "blue", "unknown": "purple",
}  # fmt: skip
WRITERS = {"human": "orange", "gitops": "green", "controller": "blue", "unknown": "purple"}
CHANGES = {
    "created": "green", "recreated": "semi-dark-green", "deleted": "red", "deleting": "light-red", "spec": "orange",
    "schema": "purple", "metadata": "yellow", "status": "blue", "ownership": "light-blue",
}  # fmt: skip


def since(family: str, trouble: str) -> str:
    """Give how long the objects of a family have been in trouble, with the trouble as a label."""
    return f'label_replace(time() - min by ({OBJECT}) ({family}), "trouble", "{trouble}", "", "")'


def drifted(selected: str) -> str:
    """Give how long each of the selected objects has not been as declared, with why; by selectors in braces."""
    since = f"time() - min by ({OBJECT}) (customresource_drift_since_timestamp_seconds{{{selected}}})"
    why = f"max by ({OBJECT}, cause, declarer, baseline) (customresource_drift_info{{{selected}}})"
    return f"({since}) * on ({OBJECT}) group_left (cause, declarer, baseline) {why}"


def not_ready(selected: str) -> str:
    """Give how long each condition of the selected objects has not been as it should be, with what it says."""
    since = f"time() - min by ({OBJECT}, condition) (customresource_unready_since_timestamp_seconds{{{selected}}})"
    what = f"max by ({OBJECT}, condition, status, reason) (customresource_unready_info{{{selected}}})"
    return f"({since}) * on ({OBJECT}, condition) group_left (status, reason) {what}"
