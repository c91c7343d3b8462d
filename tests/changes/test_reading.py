"""A version is read without its secrets, and looking only at what is new in it changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.pointer import compile_patterns
from exporter.changes.reading import read_move, read_version
from exporter.changes.redact import MASK, Redactor, mask
from tests.changes.objects import World, seen, widget
from tests.secrets import BY_SHAPE


if TYPE_CHECKING:
    from exporter.changes.version import Version


TOKEN = BY_SHAPE["github"]
LEAVES = st.sampled_from(["", "plain", TOKEN, 1, None, True])
KEYS = st.sampled_from(["a", "password", "secretName", "list"])
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner) | st.lists(inner, max_size=3), max_leaves=8)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={"metadata": st.dictionaries(KEYS, VALUES)}
    | dict.fromkeys(("spec", "status", "token", "data", "rules"), VALUES),
)
KEY = b"k" * 32


def read(
    obj: dict[str, Any] | bytes, redactor: Redactor, before: Version | None = None, **options: Any
) -> tuple[Version, bool]:
    """Read an object as it would come from a server, after a version that was found untouched if there is one."""
    raw = obj if isinstance(obj, bytes) else msgspec.json.encode(obj)
    if before is not None and (move := read_move(redactor, raw, before, **options)) is not None:
        return move.new, True
    return read_version(redactor, raw, **options)


@pytest.mark.parametrize("raw", [b"", b"[1]", b'"text"', b"{", b'{"a":1}x', b"nul"])
@pytest.mark.parametrize("again", [False, True])
def test_what_is_no_object_is_refused(raw: bytes, *, again: bool) -> None:
    """Whether or not there was a version before."""
    redactor = Redactor(KEY)
    before = read({"a": 1}, redactor)[0] if again else None
    with pytest.raises(ValueError, match=r"\w"):
        read(raw, redactor, before)


@pytest.mark.parametrize("text", [rb'"\ud800"', b"NaN", b"1e999", b"-Infinity", b"1" * 400, b'"\xc3\xa9"'])
def test_what_only_a_lenient_decoder_reads_can_be_read_again(text: bytes) -> None:
    """Half characters and numbers out of range are made harmless, in a first version and in a later one."""
    redactor = Redactor(KEY)
    raw = b'{"metadata":{},"spec":{"a":%b}}' % text
    for before in (None, read({"metadata": {}, "spec": {}}, redactor)[0]):
        version, _ = read(raw, redactor, before)
        assert msgspec.json.decode(version.raw)["spec"] == version.get("spec")


def test_a_secret_under_a_top_level_name_is_found_in_a_later_version() -> None:
    """The name of a field counts, though only the field itself is new."""
    redactor = Redactor(KEY)
    before, untouched = read({"metadata": {}, "token": ""}, redactor)
    version, touched_not = read({"metadata": {}, "token": "hush"}, redactor, before)

    assert (untouched, touched_not) == (True, False)
    assert mask(version.get("token")) == MASK


def test_a_value_is_told_by_the_name_beside_it_though_that_did_not_move() -> None:
    """In an object that is itself a variable, the value becomes a secret while its name stays what it was."""
    redactor = Redactor(KEY)
    before, untouched = read({"metadata": {}, "name": "DB_PASSWORD", "value": None}, redactor)
    version, touched_not = read({"metadata": {}, "name": "DB_PASSWORD", "value": "hush"}, redactor, before)

    assert (untouched, touched_not) == (True, False)
    assert b"hush" not in version.raw


def test_a_field_that_becomes_a_password_is_taken_out_though_it_did_not_move() -> None:
    """What the schema declares is looked for in all of a version, whatever the one before it held."""
    redactor = Redactor(KEY)
    before, _ = read({"metadata": {}, "spec": {"declared": "hush"}}, redactor)
    later, _ = read(
        {"metadata": {"a": 1}, "spec": {"declared": "hush"}}, redactor, before,
        passwords=compile_patterns(["/spec/declared"]),
    )  # fmt: skip

    assert b"hush" not in later.raw


@given(old=OBJECTS, new=OBJECTS, secret=st.booleans(), pointers=st.sampled_from([(), ("/spec/a",), ("/**/list",)]))
def test_reading_after_a_version_gives_what_reading_alone_gives(
    old: dict[str, Any], new: dict[str, Any], pointers: tuple[str, ...], *, secret: bool
) -> None:
    """What is skipped because it did not move would have been left as it is."""
    redactor = Redactor(KEY, pointers)
    alone, _ = read(new, redactor, secret=secret)
    before, untouched = read(old, redactor, secret=secret)
    after, _ = read(new, redactor, before if untouched else None, secret=secret)

    assert after.raw == alone.raw
    assert {name: after.get(name) for name in new} == msgspec.json.decode(alone.raw)
    assert TOKEN not in after.raw.decode()


@given(old=OBJECTS, new=OBJECTS)
def test_a_change_is_the_same_from_memory_and_from_the_journal(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Whether the version before is still at hand or was unpacked from the journal cannot be seen."""
    told = []
    for forget in (False, True):
        world = World()
        world.take(seen(widget(1, **_fields(old)), "added"))
        if forget:
            world.tracker._recent.clear()
        told.append([_without_time(change) for change in world.take(seen(widget(2, **_fields(new))))])

    assert told[0] == told[1]


def _fields(obj: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name != "metadata"}


def _without_time(change: Any) -> Any:
    return msgspec.structs.replace(change, observed="")
