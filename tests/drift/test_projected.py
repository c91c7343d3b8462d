"""What the declarer's managedFields projected when it last wrote."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from exporter.changes.schema import Schema
from tests.drift.objects import KNOWN, Story, owner, told


LATER = "2026-03-01T11:00:00Z"


def apply(*paths: str, **more: Any) -> dict[str, Any]:
    """Make the entry of a server-side apply of Flux."""
    return owner("kustomize-controller", *paths, operation="Apply", **more)


def update(*paths: str, **more: Any) -> dict[str, Any]:
    """Make the entry of an update of Helm 3."""
    return owner("helm", *paths, **more)


def test_what_nobody_declares_has_no_baseline() -> None:
    """An object that was only created is unmanaged, and what people write there is no addition to anything."""
    evaluation = Story().see(
        owner("kubectl-create", "/spec/size"), owner("kubectl-edit", "/spec/x"), spec={"size": 1, "x": 2}
    )

    assert (evaluation.declarer, evaluation.baseline, evaluation.findings, evaluation.additions) == ("", "", (), ())


def test_what_was_lost_before_anybody_looked_is_not_known() -> None:
    """At the first look all that the declarer still owns is as declared, whatever others own."""
    evaluation = Story().see(apply("/spec/image"), owner("hpa", "/spec/size"), spec={"image": "a", "size": 9})

    assert (evaluation.declarer, evaluation.baseline, evaluation.findings) == ("flux", "projected", ())


def test_a_field_that_somebody_took_over_is_changed() -> None:
    """A field that left the declarer's entry and has another value is found, with who owns it now."""
    story = Story()
    story.see(apply("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})

    evaluation = story.see(apply("/spec/image"), owner("kubectl-edit", "/spec/size"), spec={"size": 5, "image": "a"})

    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 5, "kubectl-edit")]


def test_a_field_that_somebody_removed_is_missing_and_nobody_is_named() -> None:
    """A removal leaves no trace of who."""
    story = Story()
    story.see(apply("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})

    evaluation = story.see(apply("/spec/image"), spec={"image": "a"})

    assert told(evaluation.findings) == [("/spec/size", "missing", 1, UNSET, "")]


def test_a_field_that_was_put_back_by_hand_is_as_declared_and_is_still_followed() -> None:
    """The value decides, not who owns it; and the next edit is found again."""
    story = Story()
    story.see(apply("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})
    edited = (apply("/spec/image"), owner("kubectl-edit", "/spec/size"))
    story.see(*edited, spec={"size": 5, "image": "a"})

    assert told(story.see(*edited, spec={"size": 1, "image": "a"}).findings) == []
    assert told(story.see(*edited, spec={"size": 7, "image": "a"}).findings) == [
        ("/spec/size", "changed", 1, 7, "kubectl-edit")
    ]


def test_what_an_apply_no_longer_holds_is_no_longer_declared() -> None:
    """After a later apply its fields are all that is declared."""
    story = Story()
    story.see(apply("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})
    story.see(apply("/spec/image"), owner("hpa", "/spec/size"), spec={"size": 5, "image": "a"})

    evaluation = story.see(apply("/spec/image", time=LATER), owner("hpa", "/spec/size"), spec={"size": 5, "image": "b"})

    assert told(evaluation.findings) == []


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ("2026-03-01T10:00:00.700000Z", []),
        ("2026-03-01T10:00:01.000000Z", [("/spec/size", "missing", 1, UNSET, "")]),
    ],
)
def test_what_is_gone_within_the_second_of_an_apply_it_has_pruned(observed: str, expected: Any) -> None:
    """Two applies in one second have one time: what the second one takes out leaves no other trace."""
    story = Story()
    story.see(apply("/spec/size", "/spec/image"), observed="2026-03-01T10:00:00.5Z", spec={"size": 1, "image": "a"})

    assert told(story.see(apply("/spec/image"), observed=observed, spec={"image": "a"}).findings) == expected


def test_an_update_of_other_fields_does_not_give_up_what_others_took() -> None:
    """A client that merges two manifests leaves an edit in place: it is still not as declared."""
    story = Story()
    story.see(update("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})
    story.see(update("/spec/image"), owner("kubectl-edit", "/spec/size"), spec={"size": 5, "image": "a"})

    evaluation = story.see(
        update("/spec/image", time=LATER), owner("kubectl-edit", "/spec/size"), spec={"size": 5, "image": "b"}
    )

    assert told(evaluation.findings) == [("/spec/size", "changed", 1, 5, "kubectl-edit")]


def test_what_an_update_takes_out_is_no_longer_declared() -> None:
    """A field that went with a write of the declarer, and is in no other hands, was taken out by it."""
    story = Story()
    story.see(update("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})

    assert told(story.see(update("/spec/image", time=LATER), spec={"image": "b"}).findings) == []


def test_what_the_server_filled_in_for_an_update_is_not_declared() -> None:
    """A field that has the default of the schema may be nobody's wish: a person who changes it adds something."""
    schema = Schema(known=True, defaults={("spec", "size"): 1})
    story = Story(KNOWN.__class__(writers=KNOWN.writers, schema=schema))
    story.see(update("/spec/size", "/spec/image"), spec={"size": 1, "image": "a"})

    evaluation = story.see(update("/spec/image"), owner("kubectl-edit", "/spec/size"), spec={"size": 5, "image": "a"})

    assert (
        told(evaluation.findings),
        told(evaluation.additions),
    ) == ([], [("/spec/size", None, UNSET, 5, "kubectl-edit")])


def test_an_item_that_is_gone_is_one_finding_where_it_was() -> None:
    """An item of a list that was removed is told whole, with the index that it had."""
    story = Story()
    one, two = ('/spec/ports/{"name":"a"}', '/spec/ports/{"name":"b"}')
    entry = apply(f"{one}/name", f"{one}/port", f"{two}/name", f"{two}/port")
    story.see(entry, spec={"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]})

    evaluation = story.see(apply(f"{one}/name", f"{one}/port"), spec={"ports": [{"name": "a", "port": 1}]})

    assert told(evaluation.findings) == [("/spec/ports/1", "missing", {"name": "b", "port": 2}, UNSET, "")]


def test_items_that_change_places_are_found_by_their_keys() -> None:
    """The order of a list with keys says nothing."""
    story = Story()
    keys = ('/spec/ports/{"name":"a"}/port', '/spec/ports/{"name":"b"}/port')
    story.see(apply(*keys), spec={"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]})

    evaluation = story.see(
        apply(keys[0]),
        owner("kubectl-edit", keys[1]),
        spec={"ports": [{"name": "x"}, {"name": "b", "port": 3}, {"name": "a", "port": 1}]},
    )

    assert told(evaluation.findings) == [("/spec/ports/1/port", "changed", 2, 3, "kubectl-edit")]


def test_an_entry_of_another_version_of_the_type_cannot_be_told_of() -> None:
    """Fields that are named as in another version, and are not there in this one, leave the verdict open."""
    entry = apply("/spec/oldName", apiVersion="example.com/v1beta1")

    evaluation = Story().see(entry, spec={"newName": 1})

    assert evaluation.unknown == "declared in example.com/v1beta1, watched in example.com/v1"
