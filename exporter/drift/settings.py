"""How drift is judged: the section `drift` of the configuration, as values.

Times are nanoseconds. Nothing here reads a file or knows how one is written.
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from exporter.drift.rules import IgnoreRule


ControllerPolicy = Literal["report", "ignore"]
Decoder = Literal["json", "gzip"]

CONTROLLER_POLICIES: tuple[ControllerPolicy, ...] = get_args(ControllerPolicy)
DECODERS: tuple[Decoder, ...] = get_args(Decoder)

_MINUTE = 60 * 10**9


class Flapping(Struct, frozen=True):
    """Drift that comes and goes so often within the window is one thing, and told once."""

    flips: int = 3
    window_ns: int = 60 * _MINUTE


class Directory(Struct, frozen=True, kw_only=True):
    """A directory of declared manifests.

    Args:
        path: of the directory, or of a link to it
        namespace: of namespaced objects whose manifest names none
        declarer: who applies them; empty to tell it by the marks on the live object
        exclusive: live objects of the types it holds that it does not declare are orphans

    """

    path: str
    namespace: str = "default"
    declarer: str = ""
    exclusive: bool = False


class Applied(Struct, frozen=True):
    """An annotation that holds the object as it was applied last.

    Args:
        annotation: its name
        decoder: `json`, or `gzip` for gzipped JSON in base64

    """

    annotation: str
    decoder: Decoder = "json"


class DriftSettings(Struct, frozen=True, kw_only=True):
    """How drift is judged.

    Args:
        enabled: it is judged at all
        settle_ns: a finding counts once it has lasted so long
        clear_ns: and is over once it has been away so long
        flapping: when it is neither
        controllers: what to make of a declared field over which a controller wrote: tell it, or leave it out
        default_rules: the shipped ignore rules hold
        declared: directories of declared manifests; the last that declares an object wins
        last_applied: annotations beside the shipped ones
        declarers: globs of field managers by the declarer's name, added to the shipped table
        ignore: rules, the first that covers a finding gives the reason

    """

    enabled: bool = True
    settle_ns: int = 2 * _MINUTE
    clear_ns: int = _MINUTE
    flapping: Flapping = Flapping()
    controllers: ControllerPolicy = "report"
    default_rules: bool = True
    declared: tuple[Directory, ...] = ()
    last_applied: tuple[Applied, ...] = ()
    declarers: dict[str, tuple[str, ...]] = {}
    ignore: tuple[IgnoreRule, ...] = ()
