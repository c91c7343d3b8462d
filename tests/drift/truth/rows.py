"""What happens to a declared object: one function for each row of the table, named as the row.

Each begins after the object was declared, and ends when all is written. People use kubectl; programs write with the
field manager that such a program has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tests.drift.truth import pump
from tests.drift.truth.scene import done


if TYPE_CHECKING:
    from tests.drift.truth.pump import Object
    from tests.drift.truth.scene import Scene

# Controllers, and one that nobody knows. The name of the last but one is what the horizontal autoscaler runs in.
OPERATOR = "pump-operator"
AUTOSCALER = "memory-autoscaler"
SCALER = "kube-controller-manager"
STRANGER = "acme"
HOTFIX = "kubectl-hotfix"
SILENCE = "customresource-exporter.io/silence-until"


class Play(Protocol):
    """Plays a row."""

    async def __call__(self, scene: Scene) -> None:
        """Do it."""


# -- nobody meddles -------------------------------------------------------------------------------------------------


async def declared(scene: Scene) -> None:
    """Nothing happens."""


async def declared_again(scene: Scene) -> None:
    """The same is declared once more."""
    await scene.declare()


async def rolled_out(scene: Scene) -> None:
    """The declarer changes a value, an entry of a list, and declares a field that it had not declared."""
    ports = [{"port": 80, "name": "web"}, {"port": 443, "name": "https"}]
    await scene.declare(pump.declared(size=4, ports=ports, note="new"))


async def rolled_out_less(scene: Scene) -> None:
    """The declarer no longer declares a field, an entry of each list, and a part of an object."""
    ports = [{"port": 80, "name": "http"}]
    await scene.declare(pump.declared(color=None, ports=ports, zones=["a"], limits={"memory": "1Gi"}))


# -- a person changes what is declared ------------------------------------------------------------------------------


async def human_changes_field(scene: Scene) -> None:
    """A person patches a declared field."""
    await scene.patch(replace("/spec/size", 5))


async def human_edits_field(scene: Scene) -> None:
    """A person changes a declared field in an editor."""
    await scene.edit("s/color: red/color: green/")


async def human_forces_field(scene: Scene) -> None:
    """A person applies the whole manifest server-side with force, without the declarer's marks, with another size."""
    flags = ("--server-side", "--force-conflicts")
    await scene.kubectl("apply", *flags, "-f", "-", stdin=pump.declared(size=5))


async def human_forces_one_field(scene: Scene) -> None:
    """A person applies one field server-side with force. Of what was applied client-side, kubectl prunes the rest."""
    flags = ("--server-side", "--force-conflicts")
    await scene.kubectl("apply", *flags, "-f", "-", stdin=fragment(size=5))


async def human_forces_field_by_a_name(scene: Scene) -> None:
    """A person applies one field server-side with force, by a tool that takes over nothing else."""
    done(await scene.wire.apply(scene.path, fragment(size=5), who=HOTFIX, force="true"))


async def human_changes_two_fields(scene: Scene) -> None:
    """Two people, with different tools, change two declared fields."""
    await scene.patch(replace("/spec/size", 5))
    await scene.next_second()
    await scene.edit("s/color: red/color: green/")


async def human_changes_label(scene: Scene) -> None:
    """A person changes a declared label."""
    await scene.kubectl("label", "--overwrite", "pump", pump.NAME, "team=green")


async def human_changes_annotation(scene: Scene) -> None:
    """A person changes a declared annotation."""
    await scene.kubectl("annotate", "--overwrite", "pump", pump.NAME, "example.com/contact=dev")


async def human_deletes_field(scene: Scene) -> None:
    """A person takes a declared field out: no entry of managedFields tells of them."""
    await scene.patch(remove("/spec/size"))


async def human_deletes_and_changes(scene: Scene) -> None:
    """A person takes a declared field out and changes another in one write."""
    await scene.patch(remove("/spec/size"), replace("/spec/color", "green"))


async def human_deletes_label(scene: Scene) -> None:
    """A person takes a declared label off."""
    await scene.kubectl("label", "pump", pump.NAME, "team-")


async def human_deletes_object(scene: Scene) -> None:
    """A person deletes the object."""
    await scene.kubectl("delete", "pump", pump.NAME)


async def human_rewrites_quantity(scene: Scene) -> None:
    """A person writes the same quantities in another way."""
    await scene.patch(replace("/spec/limits", {"memory": "1024Mi", "cpu": "1"}))


async def human_changes_quantity(scene: Scene) -> None:
    """A person changes a quantity."""
    await scene.patch(replace("/spec/limits/memory", "2Gi"))


# -- a person changes a declared list -------------------------------------------------------------------------------


async def human_changes_atomic_list(scene: Scene) -> None:
    """A person changes an entry of a list that the API server takes as a whole."""
    await scene.patch(replace("/spec/args/0", "--slow"))


async def human_appends_to_atomic_list(scene: Scene) -> None:
    """A person appends an entry to a list that the API server takes as a whole."""
    await scene.patch(add("/spec/args/-", "--debug"))


async def human_shortens_atomic_list(scene: Scene) -> None:
    """A person takes the last entry out of a list that the API server takes as a whole."""
    await scene.patch(remove("/spec/args/1"))


async def human_changes_map_entry(scene: Scene) -> None:
    """A person changes a declared field in an entry of a list with keys."""
    await scene.patch(replace("/spec/ports/1/name", "tls"))


async def human_adds_map_entry(scene: Scene) -> None:
    """A person adds an entry to a declared list with keys."""
    await scene.patch(add("/spec/ports/-", {"port": 8080, "name": "debug"}))


async def human_deletes_map_entry(scene: Scene) -> None:
    """A person takes a declared entry out of a list with keys."""
    await scene.patch(remove("/spec/ports/1"))


async def human_reorders_map_list(scene: Scene) -> None:
    """A person brings the entries of a list with keys into another order."""
    live = await scene.live()
    await scene.patch(replace("/spec/ports", live["spec"]["ports"][::-1]))


async def human_adds_set_entry(scene: Scene) -> None:
    """A person adds an entry to a declared set."""
    await scene.patch(add("/spec/zones/-", "c"))


async def human_deletes_set_entry(scene: Scene) -> None:
    """A person takes a declared entry out of a set."""
    await scene.patch(remove("/spec/zones/1"))


# -- a person adds what is not declared -----------------------------------------------------------------------------


async def human_adds_field(scene: Scene) -> None:
    """A person sets a field that is not declared."""
    await scene.patch(add("/spec/note", "hands off"))


async def human_adds_label(scene: Scene) -> None:
    """A person sets a label that is not declared."""
    await scene.kubectl("label", "pump", pump.NAME, "mood=odd")


async def human_changes_default(scene: Scene) -> None:
    """A person changes a field that is not declared and has a default."""
    await scene.patch(replace("/spec/mode", "manual"))


async def human_restores_default(scene: Scene) -> None:
    """A person takes such a field out after it was changed, and the default is there again."""
    await human_changes_default(scene)
    await scene.next_second()
    await scene.patch(remove("/spec/mode"))


async def human_deletes_defaulted_field(scene: Scene) -> None:
    """A person takes a field out that only its default has set: the API server writes nothing."""
    await scene.patch(remove("/spec/mode"))


async def human_deletes_undeclared_field(scene: Scene) -> None:
    """A person takes out what a controller had filled in."""
    await controller_fills_field(scene)
    await scene.next_second()
    await scene.patch(remove("/spec/note"))


# -- a person moves the baseline, or thinks better of it ------------------------------------------------------------


async def human_applies_over(scene: Scene) -> None:
    """A person applies the whole manifest, without the declarer's marks, with another size."""
    await scene.kubectl("apply", "-f", "-", stdin=pump.declared(size=5))


async def human_applies_over_then_declared_again(scene: Scene) -> None:
    """The declarer declares again after that."""
    await human_applies_over(scene)
    await scene.next_second()
    await scene.declare()


async def human_applies_the_same(scene: Scene) -> None:
    """A person applies one declared field with the value that it has, server-side: ownership alone moves."""
    done(await scene.wire.apply(scene.path, fragment(size=3), who=HOTFIX))


async def human_reverts_own_edit(scene: Scene) -> None:
    """A person changes a declared field, and changes it back: the value is right, the owner is not."""
    await human_changes_field(scene)
    await scene.next_second()
    await scene.patch(replace("/spec/size", 3))


async def human_restores_what_was_deleted(scene: Scene) -> None:
    """A person takes a declared field out, and puts it back."""
    await human_deletes_field(scene)
    await scene.next_second()
    await scene.patch(add("/spec/size", 3))


# -- the declarer answers -------------------------------------------------------------------------------------------


async def declarer_reverts_edit(scene: Scene) -> None:
    """A person changes a declared field, and the declarer declares again."""
    await human_changes_field(scene)
    await scene.next_second()
    await scene.declare()


async def declarer_reverts_deletion(scene: Scene) -> None:
    """A person takes a declared field out, and the declarer declares again."""
    await human_deletes_field(scene)
    await scene.next_second()
    await scene.declare()


async def declarer_reverts_list(scene: Scene) -> None:
    """A person adds an entry to each declared list, and the declarer declares again."""
    ports = add("/spec/ports/-", {"port": 8080, "name": "debug"})
    await scene.patch(ports, add("/spec/args/-", "--debug"), add("/spec/zones/-", "c"))
    await scene.next_second()
    await scene.declare()


async def rolled_out_over_edit(scene: Scene) -> None:
    """A person changes a declared field, and the declarer rolls out a change of another."""
    await human_changes_field(scene)
    await scene.next_second()
    await scene.declare(pump.declared(color="blue"))


async def rolled_out_to_the_edit(scene: Scene) -> None:
    """A person changes a declared field, and the declarer declares just that."""
    await human_changes_field(scene)
    await scene.next_second()
    await scene.declare(pump.declared(size=5))


async def edited_after_rollout(scene: Scene) -> None:
    """The declarer rolls out, and a person changes the field back to what it was before."""
    await scene.declare(pump.declared(size=5))
    await scene.patch(replace("/spec/size", 3))


# -- a program writes -----------------------------------------------------------------------------------------------


async def controller_changes_field(scene: Scene) -> None:
    """A controller changes a declared field."""
    await scene.merge({"spec": {"limits": {"memory": "2Gi"}}}, AUTOSCALER)


async def controller_scales(scene: Scene) -> None:
    """The horizontal autoscaler changes declared replicas through the subresource: the entry has no time."""
    await scene.merge({"spec": {"replicas": 4}}, SCALER, "scale")


async def stranger_changes_field(scene: Scene) -> None:
    """A program whose kind nobody can tell changes a declared field."""
    await scene.merge({"spec": {"size": 5}}, STRANGER)


async def controller_and_human_change(scene: Scene) -> None:
    """A controller changes one declared field, a person another."""
    await controller_changes_field(scene)
    await scene.next_second()
    await human_changes_field(scene)


async def controller_fills_field(scene: Scene) -> None:
    """A controller sets a field and a label that are not declared."""
    body = fragment(note="filled")
    body["metadata"]["labels"] = {"filled": "yes"}
    done(await scene.wire.apply(scene.path, body, who=OPERATOR))


async def controller_adds_map_entry(scene: Scene) -> None:
    """A controller adds an entry to a declared list with keys."""
    entry = {"port": 9090, "protocol": "UDP", "name": "metrics"}
    done(await scene.wire.apply(scene.path, fragment(ports=[entry]), who=OPERATOR))


async def controller_writes_status(scene: Scene) -> None:
    """A controller says that it has seen the object and is content."""
    await status(scene)


async def controller_lags(scene: Scene) -> None:
    """A controller has seen the object; then a change is rolled out, of which it says nothing."""
    await status(scene)
    await scene.declare(pump.declared(size=4))


async def controller_fights(scene: Scene) -> None:
    """A controller changes a declared field each time after the declarer has declared it."""
    for _ in range(3):
        await scene.merge({"spec": {"color": "green"}}, OPERATOR)
        await scene.next_second()
        await scene.declare()
    await scene.merge({"spec": {"color": "green"}}, OPERATOR)


async def controllers_crowd_the_entries(scene: Scene) -> None:
    """So many controllers write a label of their own that the API server keeps one entry for the oldest of them."""
    for number in range(11):
        await scene.merge({"metadata": {"labels": {f"crowd-{number}": "yes"}}}, f"crowd-{number}-controller")


async def human_is_crowded_out(scene: Scene) -> None:
    """A person changes a declared field, and then so many controllers write that the person's entry is theirs too."""
    await human_changes_field(scene)
    await scene.next_second()
    await controllers_crowd_the_entries(scene)


# -- what is admitted is not what was sent --------------------------------------------------------------------------


async def on_admission_fields_are_set(scene: Scene) -> None:
    """A webhook sets a declared field to another value, and one that is not declared, with every write."""


async def on_admission_and_human_changes(scene: Scene) -> None:
    """A person changes another field beside that."""
    await human_edits_field(scene)


# -- the declarer is told to wait -----------------------------------------------------------------------------------


async def human_pauses_flux(scene: Scene) -> None:
    """A person tells Flux to leave the object alone, and changes a declared field."""
    await scene.kubectl("annotate", "pump", pump.NAME, "kustomize.toolkit.fluxcd.io/reconcile=disabled")
    await scene.next_second()
    await human_changes_field(scene)


async def human_silences(scene: Scene) -> None:
    """A person says that the object is not to be told of for a while, and changes a declared field."""
    await scene.kubectl("annotate", "pump", pump.NAME, f"{SILENCE}=2099-01-01T00:00:00Z")
    await scene.next_second()
    await human_changes_field(scene)


# -- words of these rows --------------------------------------------------------------------------------------------


def replace(path: str, value: object) -> Object:
    """An operation of a JSON patch (RFC 6902)."""
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: object) -> Object:
    """An operation of a JSON patch."""
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Object:
    """An operation of a JSON patch."""
    return {"op": "remove", "path": path}


def fragment(**spec: object) -> Object:
    """A manifest that says nothing but this."""
    return {"apiVersion": pump.API_VERSION, "kind": pump.KIND, "metadata": {"name": pump.NAME}, "spec": spec}


async def status(scene: Scene) -> None:
    """The operator says that it has seen the object as it is, and is content."""
    generation = (await scene.live())["metadata"]["generation"]
    condition = {"type": "Ready", "status": "True", "reason": "Looked", "lastTransitionTime": "2026-11-01T12:00:00Z"}
    body = {"status": {"observedGeneration": generation, "conditions": [condition]}}
    await scene.merge(body, OPERATOR, "status")


_PLAYS: tuple[Play, ...] = (
    declared,
    declared_again,
    rolled_out,
    rolled_out_less,
    human_changes_field,
    human_edits_field,
    human_forces_field,
    human_forces_one_field,
    human_forces_field_by_a_name,
    human_changes_two_fields,
    human_changes_label,
    human_changes_annotation,
    human_deletes_field,
    human_deletes_and_changes,
    human_deletes_label,
    human_deletes_object,
    human_rewrites_quantity,
    human_changes_quantity,
    human_changes_atomic_list,
    human_appends_to_atomic_list,
    human_shortens_atomic_list,
    human_changes_map_entry,
    human_adds_map_entry,
    human_deletes_map_entry,
    human_reorders_map_list,
    human_adds_set_entry,
    human_deletes_set_entry,
    human_adds_field,
    human_adds_label,
    human_changes_default,
    human_restores_default,
    human_deletes_defaulted_field,
    human_deletes_undeclared_field,
    human_applies_over,
    human_applies_over_then_declared_again,
    human_applies_the_same,
    human_reverts_own_edit,
    human_restores_what_was_deleted,
    declarer_reverts_edit,
    declarer_reverts_deletion,
    declarer_reverts_list,
    rolled_out_over_edit,
    rolled_out_to_the_edit,
    edited_after_rollout,
    controller_changes_field,
    controller_scales,
    stranger_changes_field,
    controller_and_human_change,
    controller_fills_field,
    controller_adds_map_entry,
    controller_writes_status,
    controller_lags,
    controller_fights,
    controllers_crowd_the_entries,
    human_is_crowded_out,
    on_admission_fields_are_set,
    on_admission_and_human_changes,
    human_pauses_flux,
    human_silences,
)
ROWS: dict[str, Play] = {play.__name__.replace("_", "-"): play for play in _PLAYS}  # type: ignore[attr-defined]

# The rows that are not for everybody.
ONLY = {"human-pauses-flux": ("flux-kustomize",), "human-silences": ("kubectl", "helm")}
