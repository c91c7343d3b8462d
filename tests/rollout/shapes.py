"""A rollout as a shape that can be compared, whichever way it was told: what it was, its stages, and what it held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple


if TYPE_CHECKING:
    from collections.abc import Iterable

Stage = tuple[str, str, str]


class Shape(NamedTuple):
    """What is told of a rollout, but for ids and times.

    Attributes:
        what: kind, generation (with the number of the loss of readiness, if it was one), and result
        stages: in their order as texts, each the condition, its status before, and what it came to
        children: rollouts that it held, in the order of their `what`

    """

    what: str
    stages: tuple[Stage, ...] = ()
    children: tuple[Shape, ...] = ()


def of_journal(rollout: dict[str, Any]) -> Shape:
    """Give the shape of a line of `rollouts -o json`."""
    stages = (_stage(one, "condition", "before", "status") for one in rollout.get("stages", ()))
    what = _what(rollout["kind"], rollout["generation"], rollout.get("ordinal"), rollout["result"])
    return Shape(what, _sorted(stages), _sorted(map(of_journal, rollout.get("children", ()))))


def of_spans(spans: list[dict[str, Any]], root: dict[str, Any]) -> Shape:
    """Give the shape of a rollout that was told as spans, of which one is its root."""
    below = [span for span in spans if span["parent_span_id"] == root["span_id"]]
    names = [f"customresource.condition.{name}" for name in ("type", "previous_status", "status")]
    stages = (_stage(span["attributes"], *names) for span in below if not is_rollout(span))
    held = _sorted(of_spans(spans, span) for span in below if is_rollout(span))
    return Shape(what_of(root), _sorted(stages), held)


def is_rollout(span: dict[str, Any]) -> bool:
    """Tell whether a span is a rollout; else it is a stage of one."""
    return "customresource.rollout.result" in span["attributes"]


def what_of(span: dict[str, Any]) -> str:
    """Say what a span of a rollout is."""
    said = span["attributes"]
    name = "customresource.rollout."
    return _what(
        said["customresource.kind"], said["customresource.generation"], said.get(f"{name}ordinal"),
        said[f"{name}result"],
    )  # fmt: skip


def _what(kind: str, generation: int, ordinal: int | None, result: str) -> str:
    return f"{kind} {generation}{f'+{ordinal}' if ordinal else ''} {result}"


def _stage(said: dict[str, Any], *names: str) -> Stage:
    condition, before, status = (said.get(name, "") for name in names)
    return condition, before, status if condition else ""


def _sorted(parts: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(parts))
