"""Documents of YAML and JSON: what cannot be read, and what is read as kubectl reads it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.declared.documents import Document, Unreadable, read_documents
from tests.declared.traps import KEYS, REFUSED, TRAPS


REMEDY = "; correct it, or render it first if it is a template"


def only(text: str) -> Any:
    """Read the one document of a text."""
    (document,) = read_documents(text.encode())
    assert isinstance(document, Document), document
    return document.value


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        (b"a: b: c", 1, "is no YAML (mapping values are not allowed in this context)" + REMEDY),
        (b"a: 1\n\n\tb: 2", 3, "is no YAML (found a tab character that violates indentation)" + REMEDY),
        (b"a: [1,\nb: 2", 2, "is no YAML (did not find expected ',' or ']')" + REMEDY),
        (b"{{ if .x }}\na: 1", 1, "is no JSON (Expecting property name enclosed in double quotes)" + REMEDY),
        (b"a: {{ .x }}", 1, "has a mapping or a list as a key" + REMEDY),
        (b'{"a" 1}', 1, "is no JSON (Expecting ':' delimiter)" + REMEDY),
        (b'{"a":' * 5000, 1, "is nested too deeply, or has a number that JSON does not have; correct it"),
        (b'{"a": "\xff"}', 1, "is no UTF-8; save the file as UTF-8"),
        (b"a: \x01", 1, "is no text; save the file as UTF-8, without control characters"),
        (b"a: \xff", 1, "is no text; save the file as UTF-8, without control characters"),
        (b"--- a: 1", 1, "has more than --- on a line; put the document on the lines below"),
        (b"\na: *b", 2, "has an alias of what no anchor before it names" + REMEDY),
        (b"a: &a\n  b: *a", 2, "has an anchor that holds an alias of itself" + REMEDY),
        (b"<<: 1", 1, "merges what is no mapping with <<" + REMEDY),
        (b"a: 1\n~: 2", 2, "has a key that is nothing, or no word" + REMEDY),
        (b"? {a: b}\n: c", 1, "has a mapping or a list as a key" + REMEDY),
        (b"a: .inf", 1, "has a number that is infinite or none at all" + REMEDY),
        (b"a: !!int x", 1, "has a value tagged !!int that is none" + REMEDY),
        (b"[" * 5000, 1, "is nested deeper than 256 levels" + REMEDY),
        (b"".join(b" " * depth + b"a:\n" for depth in range(400)), 257, "is nested deeper than 256 levels" + REMEDY),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(content: bytes, line: int, text: str) -> None:
    """Each has its line and what to do about it, and nothing of what the file holds."""
    assert [Unreadable(line, text)] == read_documents(content)


def test_aliases_cannot_fill_the_memory() -> None:
    """What a few lines of aliases expand to is bounded, whether it is used in lists or in keys."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    (found,) = read_documents(bomb.encode())
    assert isinstance(found, Unreadable)
    assert "holds more than 400000 values, those that aliases repeat included" in found.text


def test_a_broken_document_costs_no_other() -> None:
    """The documents before and after one that cannot be read are read, each with its line."""
    content = b"a: 1\n---\nb: [\n---\n# nothing\n---\n--- # said\nc: 3\n...\n---\n\nd: 4\n"
    expected = [(Document, 1), (Unreadable, 3), (Document, 8), (Document, 12)]
    assert expected == [(type(one), one.line) for one in read_documents(content)]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"---\n---\n", b"# nothing", b"null", b"--- # a\n", b"\xef\xbb\xbf", b"  \n---\n~\n"]
)
def test_nothing_is_no_document(content: bytes) -> None:
    """What is empty, or only comments, gives nothing."""
    assert read_documents(content) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}{"b": 2}\n{"c": 3}', [({"a": 1}, 1), ({"b": 2}, 1), ({"c": 3}, 2)]),
        (b'\n {"a": 1.0, "b": 1e2, "c": 1.5}\n', [({"a": 1, "b": 100, "c": 1.5}, 2)]),
        (b'{"a": "y", "b": "12:30", "c": "\\u00e9"}', [({"a": "y", "b": "12:30", "c": "é"}, 1)]),
        (b'{"a": 9223372036854775808}', [({"a": 9223372036854775808.0}, 1)]),
        (b'{"a": NaN, "b": 1e999}', [({"a": "NaN", "b": "1e999"}, 1)]),
        (b"{a: y, b: 010}", [({"a": True, "b": 8}, 1)]),
        (b'{"a": 1}\n---\nb: 2\n', [({"a": 1}, 1), ({"b": 2}, 3)]),
        (b"a: 1\r\n---\r\nb: |\r\n  x\r\n", [({"a": 1}, 1), ({"b": "x\n"}, 3)]),
        (b'{"a" 1}\n---\nb: 2\n', [({"b": 2}, 3)]),
        (b'{"a": 1}\n\n{"b": 2}\n{"c": 3}', [({"a": 1}, 1), ({"b": 2}, 3), ({"c": 3}, 4)]),
        (b'{\n"a": 1}\n{"b": 2}', [({"a": 1}, 1), ({"b": 2}, 3)]),
        (b"a: 1\n...\nb: 2\n", [({"a": 1}, 1)]),
        (b"%YAML 1.1\n---\na: 1\n", [({"a": 1}, 3)]),
        (b"\xef\xbb\xbfa: 1\n", [({"a": 1}, 1)]),
    ],
)
def test_files_are_taken_apart(content: bytes, expected: list[tuple[Any, int]]) -> None:
    """JSON after JSON, YAML that begins with a brace, both in one file, lines of Windows."""
    assert expected == [(one.value, one.line) for one in read_documents(content) if isinstance(one, Document)]


@pytest.mark.parametrize("text", TRAPS)
def test_a_scalar_is_what_kubectl_reads(text: str) -> None:
    """Numbers, truth, nothing and text are told apart as go-yaml does."""
    value = only(f"a: {text}")["a"]
    assert (type(TRAPS[text]) in (int, float), TRAPS[text]) == (type(value) in (int, float), value)
    assert isinstance(TRAPS[text], bool) == isinstance(value, bool)


@pytest.mark.parametrize("text", KEYS)
def test_a_key_is_what_kubectl_reads(text: str) -> None:
    """Keys are text, written from their value as Go writes it."""
    assert {KEYS[text]: 1} == only(f"{text}: 1")


@pytest.mark.parametrize("text", REFUSED)
def test_what_json_does_not_have_is_refused(text: str) -> None:
    """Infinity, keys without a name and aliases that lead nowhere have no place in an object."""
    assert [Unreadable] == [type(one) for one in read_documents(text.encode())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: &x {a: 1, b: 2}\nr: {<<: *x, a: 3}", {"a": 3, "b": 2}),
        ("x: &x {a: 1, b: 2}\nr: {a: 3, <<: *x}", {"a": 1, "b": 2}),
        ("r: {<<: [{a: 1}, {a: 2, b: 3}]}", {"a": 1, "b": 3}),
        ("r: {<<: {a: 1}, <<: {b: 2}}", {"a": 1, "b": 2}),
        ("r: {'<<': 1}", {"<<": 1}),
        ("r: {? <<\n : {a: 1}}", {"a": 1}),
        ("r: {a: 1, a: 2}", {"a": 2}),
        ("x: &x 1\nx: &x 2\nr: {a: *x}", {"a": 2}),
        ("k: &k key\nr: {*k : 1}", {"key": 1}),
        ("r: {a: <<, b: {}, c: [], d: ''}", {"a": "<<", "b": {}, "c": [], "d": ""}),
    ],
)
def test_merges_anchors_and_repeated_keys(text: str, expected: object) -> None:
    """A merge takes effect where it stands, an anchor may be set again, and of two keys the last one counts."""
    assert expected == only(text)["r"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from("abc"), json_values, min_size=1))
def test_json_comes_back_as_it_was(value: dict[str, Any]) -> None:
    """JSON is read as the values it holds, whatever they look like; a number is the same, not of the same type."""
    assert _as_floats(value) == _as_floats(only(json.dumps(value)))


@given(st.dictionaries(st.sampled_from("abc"), json_values, min_size=1))
def test_yaml_that_quotes_its_text_comes_back_as_it_was(value: dict[str, Any]) -> None:
    """Text in quotes is text; what PyYAML writes in block style is read back by our rules."""
    text = yaml.dump(msgspec.to_builtins(value), default_style='"', allow_unicode=False)
    assert _as_floats(value) == _as_floats(only(text))


def _as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@given(st.binary(max_size=200))
def test_whatever_a_file_holds_nothing_is_raised(content: bytes) -> None:
    """Any bytes at all give documents, or errors with a line that the file has."""
    lines = content.count(b"\n") + content.count(b"\r") + content.count(b"\xc2\x85") + content.count(b"\xe2\x80") + 1
    for one in read_documents(content):
        assert 1 <= one.line <= lines + 1
