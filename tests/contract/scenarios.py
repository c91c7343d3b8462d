"""What is done to objects, step by step, and what an exporter must tell of it, whichever server it follows. Data only.

One sentence for each version, in their order: event, change, `heartbeat` if it is one, who wrote it as
manager/operation/subresource (`?` and the candidates where nobody can tell), and the fields that moved, by their paths.
"""

from __future__ import annotations

from tests.contract.stage import Do, Scenario, add_default, install_late, metadata, spec, status, steps


RED = Do("maker", "create", spec(size=1, color="red"))
APPLIED = Do("first", "apply", spec(size=1, color="red"))
MADE = "added created maker/Update"
MADE_BY_APPLY = "added created first/Apply"
MARK = Do("marker", "merge", metadata(labels={"marked": "yes"}))
MARKED = "modified metadata marker/Update: add /metadata/labels/marked"
DELETE = Do("", "delete")
GONE = "deleted deleted ?"
PORTS = [{"name": "b", "port": 2}, {"name": "c", "port": 3}]
CHECKED = "2026-01-01T00:0{}:00Z"

SCENARIOS: dict[str, Scenario] = {
    "nothing": Scenario(
        steps(RED, Do("editor", "merge", spec(size=1)), Do("editor", "put", {}), MARK),
        [MADE, MARKED],
    ),
    "nothing-applied": Scenario(
        steps(APPLIED, APPLIED, MARK),
        [MADE_BY_APPLY, MARKED],
    ),
    "create": Scenario(steps(RED), [MADE]),
    "replace": Scenario(
        steps(RED, Do("editor", "put", spec(size=2, remark="new"))),
        [MADE, "modified spec editor/Update: remove /spec/color, add /spec/remark, replace /spec/size"],
    ),
    "merge-patch": Scenario(
        steps(RED, Do("editor", "merge", spec(size=2, color=None, limits={"low": 1}))),
        [MADE, "modified spec editor/Update: remove /spec/color, add /spec/limits/low, replace /spec/size"],
    ),
    "merge-patch-removes": Scenario(
        steps(RED, Do("editor", "merge", spec(color=None))),
        [MADE, "modified spec ?(maker): remove /spec/color"],
    ),
    "json-patch": Scenario(
        steps(RED, Do("editor", "json", [{"op": "replace", "path": "/spec/size", "value": 2}])),
        [MADE, "modified spec editor/Update: replace /spec/size"],
    ),
    "same-writer-again": Scenario(
        steps(RED, Do("maker", "merge", spec(size=2)), Do("editor", "merge", spec(color="blue"))),
        [MADE, "modified spec maker/Update: replace /spec/size", "modified spec editor/Update: replace /spec/color"],
    ),
    "apply": Scenario(
        steps(APPLIED, Do("first", "apply", spec(size=2, color="red"))),
        [MADE_BY_APPLY, "modified spec first/Apply: replace /spec/size"],
    ),
    "apply-beside": Scenario(
        steps(APPLIED, Do("second", "apply", spec(remark="mine"))),
        [MADE_BY_APPLY, "modified spec second/Apply: add /spec/remark"],
    ),
    "apply-takes-over": Scenario(
        steps(APPLIED, Do("second", "force", spec(size=2)), Do("first", "apply", spec(color="red"))),
        [MADE_BY_APPLY, "modified spec second/Apply: replace /spec/size"],
    ),
    "apply-drops": Scenario(
        steps(APPLIED, Do("first", "apply", spec(size=1))),
        [MADE_BY_APPLY, "modified spec first/Apply: remove /spec/color"],
    ),
    "apply-shares": Scenario(
        steps(
            APPLIED,
            Do("second", "apply", spec(size=1)),
            Do("first", "apply", spec(color="red")),
            Do("second", "apply", {}),
        ),
        [
            MADE_BY_APPLY,
            "modified ownership second/Apply",
            "modified ownership ?(first)",
            "modified spec ?(second): remove /spec/size",
        ],
    ),
    "apply-entries": Scenario(
        steps(Do("first", "apply", spec(ports=PORTS)), Do("second", "apply", spec(ports=[{"name": "a", "port": 1}]))),
        [MADE_BY_APPLY, "modified spec second/Apply: add /spec/ports/2"],
    ),
    "update-takes-away": Scenario(
        steps(APPLIED, Do("editor", "merge", spec(size=2)), Do("first", "force", spec(size=1, color="red"))),
        [
            MADE_BY_APPLY,
            "modified spec editor/Update: replace /spec/size",
            "modified spec first/Apply: replace /spec/size",
        ],
    ),
    "entry-in-front": Scenario(
        steps(
            Do("maker", "create", spec(ports=PORTS)),
            Do("editor", "merge", spec(ports=[{"name": "a", "port": 1}, PORTS[0], PORTS[1] | {"port": 4}])),
        ),
        [MADE, "modified spec editor/Update: add /spec/ports/0, replace /spec/ports/2/port"],
    ),
    "list-without-keys": Scenario(
        steps(Do("maker", "create", spec(tags=["b"])), Do("editor", "merge", spec(tags=["a", "b"]))),
        [MADE, "modified spec editor/Update: add /spec/tags/0"],
    ),
    "null": Scenario(
        steps(
            RED,
            Do("editor", "json", [{"op": "add", "path": "/spec/remark", "value": None}]),
            Do("other", "merge", spec(remark="said")),
        ),
        [MADE, "modified spec editor/Update: add /spec/remark", "modified spec other/Update: replace /spec/remark"],
    ),
    "unknown-field": Scenario(
        steps(RED, Do("editor", "merge", spec(bogus=1)), MARK),
        [MADE, MARKED],
    ),
    "status": Scenario(
        steps(
            RED,
            Do("operator", "put", status(phase="Ready"), "/status"),
            Do("operator", "merge", status(phase="Lost"), "/status"),
        ),
        [
            MADE,
            "modified status operator/Update/status: add /status/phase",
            "modified status operator/Update/status: replace /status/phase",
        ],
    ),
    "status-apply": Scenario(
        steps(RED, Do("operator", "apply", status(conditions=[{"type": "Up", "status": "True"}]), "/status")),
        [MADE, "modified status operator/Apply/status: add /status/conditions/0"],
    ),
    "status-is-not-written-with-the-rest": Scenario(
        steps(
            RED,
            Do("editor", "merge", spec(size=2) | status(phase="Ready")),
            Do("operator", "merge", spec(size=3) | status(phase="Ready"), "/status"),
        ),
        [
            MADE,
            "modified spec editor/Update: replace /spec/size",
            "modified status operator/Update/status: add /status/phase",
        ],
    ),
    "heartbeat": Scenario(
        steps(
            RED, *(Do("operator", "merge", status(lastCheck=CHECKED.format(minute)), "/status") for minute in (1, 2))
        ),
        [
            MADE,
            "modified status operator/Update/status: add /status/lastCheck",
            "modified status heartbeat operator/Update/status: replace /status/lastCheck",
        ],
    ),
    "label": Scenario(
        steps(RED, MARK, Do("other", "merge", metadata(labels={"marked": "no", "more": "yes"}))),
        [MADE, MARKED, "modified metadata other/Update: replace /metadata/labels/marked, add /metadata/labels/more"],
    ),
    "annotation": Scenario(
        steps(
            RED,
            Do("noter", "merge", metadata(annotations={"a/b": "c"})),
            Do("noter", "merge", metadata(annotations=None)),
        ),
        [
            MADE,
            "modified metadata noter/Update: add /metadata/annotations/a~1b",
            "modified metadata ?(noter): remove /metadata/annotations/a~1b",
        ],
    ),
    "spec-and-label": Scenario(
        steps(RED, Do("editor", "merge", spec(size=2) | metadata(labels={"a": "b"}))),
        [MADE, "modified spec editor/Update: add /metadata/labels/a, replace /spec/size"],
    ),
    "delete": Scenario(steps(RED, DELETE), [MADE, GONE]),
    "delete-with-finalizer": Scenario(
        steps(
            Do("maker", "create", spec(size=1) | metadata(name="one", finalizers=["example.com/wait"])),
            DELETE,
            DELETE,
            Do("finisher", "merge", metadata(finalizers=None)),
        ),
        [MADE, "modified deleting ?: add /metadata/deletionGracePeriodSeconds, add /metadata/deletionTimestamp", GONE],
    ),
    "one-finalizer-of-two": Scenario(
        steps(
            Do("maker", "create", metadata(name="one", finalizers=["example.com/a", "example.com/b"])),
            DELETE,
            Do("finisher", "merge", metadata(finalizers=["example.com/b"])),
            Do("finisher", "merge", metadata(finalizers=None)),
        ),
        [
            MADE,
            "modified deleting ?: add /metadata/deletionGracePeriodSeconds, add /metadata/deletionTimestamp",
            "modified metadata ?(maker): remove /metadata/finalizers/0",
            GONE,
        ],
    ),
    "recreate": Scenario(
        steps(RED, DELETE, Do("other", "create", spec(size=2))),
        [MADE, GONE, "added recreated other/Update"],
    ),
    "type-installed-meanwhile": Scenario(install_late, [MADE]),
    "default-added-meanwhile": Scenario(
        add_default, [MADE, "modified spec editor/Update: replace /spec/size"], forgetful=True
    ),
}
