"""The section `drift` of the configuration file, but for its ignore rules: times, directories, declarers.

Says what is wrong as `config_shapes` does. Must never look at what a directory holds.
"""

from __future__ import annotations

from typing import Any

from exporter import config_rules
from exporter import config_shapes as shapes
from exporter import config_values as values
from exporter.drift.settings import CONTROLLER_POLICIES, DECODERS, Applied, Directory, DriftSettings, Flapping


_SECOND, _DAY = 10**9, 86_400 * 10**9
_managers = shapes.list_of(values.manager, or_nothing="is empty; name the managers, or remove the key")


def _directory_path(value: Any) -> str:  # noqa: ANN401 - any YAML
    text = shapes.text_of(value)
    if not text.startswith("/"):
        msg = f"{shapes.show(text)} is no absolute path; begin it with a slash"
        raise ValueError(msg)
    return text


def _namespace(value: Any) -> str:  # noqa: ANN401 - any YAML
    text = shapes.text_of(value)
    values.namespace(text)
    return text


_read_directories = shapes.list_of_any(
    shapes.section(
        Directory,
        {
            "path": ("path", _directory_path),
            "namespace": ("namespace", _namespace),
            "declarer": ("declarer", shapes.text_of),
            "exclusive": ("exclusive", shapes.boolean),
        },
        required=("path",),
    )
)


def _directories(value: Any) -> tuple[Directory, ...]:  # noqa: ANN401 - any YAML
    found: tuple[Directory, ...] = _read_directories(value)
    seen: set[str] = set()
    for index, one in enumerate(found):
        if one.path in seen:
            raise shapes.BadError(f"{shapes.show(one.path)} is in the list twice; remove one", f"[{index}].path")
        seen.add(one.path)
    return found


_read_applied = shapes.section(
    Applied,
    {
        "annotation": ("annotation", shapes.text_of),
        "decoder": ("decoder", shapes.one(DECODERS)),
    },
    required=("annotation",),
)


def _applied(value: Any) -> Applied:  # noqa: ANN401 - any YAML
    """Read the name of an annotation, or a mapping with its name and its decoder."""
    applied: Applied = _read_applied({"annotation": value} if isinstance(value, str) else value)
    return applied


def _declarers(value: Any) -> dict[str, tuple[str, ...]]:  # noqa: ANN401 - any YAML
    """Read globs of field managers by the name of their declarer."""
    if not isinstance(value, dict):
        msg = f"{shapes.show(value)} is no mapping; write name: [globs of field managers]"
        raise ValueError(msg)  # noqa: TRY004 - turned into a ConfigError
    found = {}
    for name, globs in value.items():
        try:
            found[shapes.text_of(name)] = _managers(globs)
        except shapes.BadError as error:
            raise error.below(f".{name}") from error.__cause__
        except ValueError as error:
            raise shapes.BadError(str(error), f".{name}") from error
    return found


read = shapes.section(
    DriftSettings,
    {
        "enabled": ("enabled", shapes.boolean),
        "settle": ("settle_ns", values.duration_within(0, 7 * _DAY, "0s and 7d")),
        "clear": ("clear_ns", values.duration_within(0, 7 * _DAY, "0s and 7d")),
        "flapping": (
            "flapping",
            shapes.section(
                Flapping,
                {
                    "flips": ("flips", shapes.number_within(2, 100)),
                    "window": ("window_ns", values.duration_within(_SECOND, 7 * _DAY, "1s and 7d")),
                },
            ),
        ),
        "controllers": ("controllers", shapes.one(CONTROLLER_POLICIES)),
        "defaultRules": ("default_rules", shapes.boolean),
        "declared": ("declared", _directories),
        "lastApplied": ("last_applied", shapes.list_of_any(_applied)),
        "declarers": ("declarers", _declarers),
        "ignore": ("ignore", config_rules.read),
    },
)
