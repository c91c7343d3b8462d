"""Ignore rules in the configuration file: ours, and items of Argo CD and Flux as they stand there.

An item of Argo CD's `ignoreDifferences` or of Flux's `ignore` becomes rules of ours that cover what it covers. Says
what is wrong as `config_shapes` does; a key that would be left without effect is an error.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from exporter import config_shapes as shapes
from exporter import config_values as values
from exporter.drift.rules import IgnoreRule, Match, compile_text
from exporter.labels import read_selector
from exporter.model import WRITER_CLASSES


if TYPE_CHECKING:
    from exporter.config_shapes import Parse

_OF_ARGO = ("jsonPointers", "jqPathExpressions", "managedFieldsManagers")
_OF_FLUX = "target"
_OF_MATCH = ("group", "version", "kind", "namespace", "name", "labels", "annotations")
_INDEXED = re.compile(r"(.+)\[(\d+)\]")
_PLAIN = re.compile(r"[\w-]+", re.ASCII)
_NARROW = ("paths", "managers", "classes", "when_equal_default")


def _text(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a glob or, with `re:` in front, a regular expression."""
    text = shapes.text_of(value)
    if not text.startswith("re:") and set("{}") & set(text):
        msg = f"{shapes.show(text)} has braces, which no glob here has; write re: and a regular expression: re:(a|b)"
        raise ValueError(msg)
    compile_text(text)
    return text


def _selector(value: Any) -> str:  # noqa: ANN401 - any YAML
    text = shapes.text_of(value)
    read_selector(text)
    return text


def _path(text: str) -> None:
    values.pointer(text)
    for segment in text.split("/")[1:]:
        indexed = _INDEXED.fullmatch(segment)
        if indexed:
            remedy = text.replace(segment, f"{indexed[1]}/{indexed[2]}")
            msg = f"{shapes.show(text)} is no JSON Pointer; an index is a segment of its own: {remedy}"
            raise ValueError(msg)
        if segment.startswith("[") and not re.fullmatch(r"\[[^=\[\]]+=.*\]", segment, re.DOTALL):
            msg = f"{shapes.show(text)} has {segment!r}, which names no item of a list; write [name=value]"
            raise ValueError(msg)


def _expires(value: Any) -> date:  # noqa: ANN401 - any YAML
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    msg = f"{shapes.show(value)} is no date; write the last day on which the rule holds: 2026-12-31"
    raise ValueError(msg)


def _no_jq(_: Any) -> None:  # noqa: ANN401 - any YAML
    msg = (
        "is not taken, since no jq runs here; write the fields as jsonPointers, with [name=value] for an item of a "
        "list: /spec/containers/[name=istio-proxy]"
    )
    raise ValueError(msg)


def _rule(**parts: Any) -> IgnoreRule:  # noqa: ANN401 - fields of the rule
    if parts.get("match", Match()) == Match() and not any(parts.get(name) for name in _NARROW):
        msg = (
            "says nothing that narrows it down, so that it would hide every finding; give it match, paths, managers or "
            "classes, or set drift.enabled to false"
        )
        raise ValueError(msg)
    return IgnoreRule(**{"reason": "", **parts})


def _argo(**parts: Any) -> tuple[IgnoreRule, ...]:  # noqa: ANN401 - fields of the item
    """Make rules of an item of Argo CD: what it names by path, and what by manager, is ignored, either."""
    named_objects = {name: parts.pop(name) or "*" for name in ("kind", "namespace", "name") if name in parts}
    match = Match(group=parts.pop("group", "") or "core", **named_objects)
    named = [{name: parts.pop(name)} for name in ("paths", "managers") if name in parts]
    return tuple(_rule(match=match, **one, **parts) for one in named)


def _argo_text(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a glob of Argo CD, to which an empty group is the core group, and any other empty text says nothing."""
    return "" if value == "" else _text(value)


def _flux(**parts: Any) -> tuple[IgnoreRule, ...]:  # noqa: ANN401 - fields of the item
    """Make a rule of an item of Flux; a path without anything in it is the whole object."""
    paths = parts.pop("paths")
    return (_rule(paths=() if "" in paths else paths, **parts),)


def _flux_text(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a regular expression of Flux, which has to match as a whole."""
    text = shapes.text_of(value)
    return text if _PLAIN.fullmatch(text) else _text(f"re:{text}")


def _flux_paths(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - any YAML
    return ("",) if value == [""] else shapes.list_of(_path, or_nothing="is empty; name the fields")(value)


_COMMON: dict[str, tuple[str, Parse]] = {"reason": ("reason", shapes.text_of), "expires": ("expires", _expires)}
_PATHS = shapes.list_of(_path, or_nothing="is empty; name the fields, or remove the key for any")
_MANAGERS = shapes.list_of(values.manager, or_nothing="is empty; name the managers, or remove the key for any")
_MATCH = shapes.section(
    Match, {name: (name, _selector if name in ("labels", "annotations") else _text) for name in _OF_MATCH}
)
_read_own = shapes.section(
    _rule,
    {
        "match": ("match", _MATCH),
        "paths": ("paths", _PATHS),
        "managers": ("managers", _MANAGERS),
        "classes": ("classes", shapes.list_of(shapes.one_of(WRITER_CLASSES), or_nothing="is empty; remove the key")),
        "whenEqualDefault": ("when_equal_default", shapes.boolean),
        **_COMMON,
    },
)
_read_argo = shapes.section(
    _argo,
    {
        **{name: (name, _argo_text) for name in ("group", "kind", "namespace", "name")},
        "jsonPointers": ("paths", _PATHS),
        "managedFieldsManagers": ("managers", _MANAGERS),
        "jqPathExpressions": ("", _no_jq),
        **_COMMON,
    },
    required=("kind",),
)
_read_flux = shapes.section(
    _flux,
    {
        "paths": ("paths", _flux_paths),
        "target": (
            "match",
            shapes.section(
                Match,
                {
                    **{name: (name, _flux_text) for name in ("group", "version", "kind", "namespace", "name")},
                    "labelSelector": ("labels", _selector),
                    "annotationSelector": ("annotations", _selector),
                },
            ),
        ),
        **_COMMON,
    },
    required=("paths",),
)


def _item(value: Any) -> tuple[IgnoreRule, ...]:  # noqa: ANN401 - any YAML
    """Read an ignore rule of ours, of Argo CD or of Flux; a key that only one of them has tells which."""
    keys = value.keys() if isinstance(value, dict) else ()
    if any(key in keys for key in _OF_ARGO):
        of_argo: tuple[IgnoreRule, ...] = _read_argo(value)
        return of_argo
    if _OF_FLUX in keys:
        of_flux: tuple[IgnoreRule, ...] = _read_flux(value)
        return of_flux
    for key in keys:
        if key in _OF_MATCH:
            raise shapes.BadError(f"is not known here; write it below match: {{{key}: …}}", f".{key}")
    return (_read_own(value),)


_read_items = shapes.list_of_any(_item)


def read(value: Any) -> tuple[IgnoreRule, ...]:  # noqa: ANN401 - any YAML
    """Read the list; a rule without a reason is called by its place."""
    return tuple(
        rule if rule.reason else msgspec.structs.replace(rule, reason=f"drift.ignore[{index}]")
        for index, rules in enumerate(_read_items(value))
        for rule in rules
    )
