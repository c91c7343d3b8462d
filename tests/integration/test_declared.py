"""Declared manifests are read as the real kubectl reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.declared.documents import Document, read_documents
from tests.declared.traps import KEYS, REFUSED, TRAPS


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    Read = Callable[[str], CompletedProcess[str]]

HEAD = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
BY_KUBECTL = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def theirs(read: Read, text: str) -> list[Any]:
    """What kubectl reads, without its mark; nothing where it refuses."""
    return [_unmarked(obj) for obj in _documents(read(text).stdout)]


def ours(text: str) -> list[Any]:
    """What we read; nothing of what we refuse."""
    return [one.value for one in read_documents(text.encode()) if isinstance(one, Document)]


def same(value: object) -> object:
    """Tell true from 1, which Python does not, and 1 from 1.0 no more than JSON does."""
    return json.dumps(value, sort_keys=True, default=str)


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(parse_float=_number, parse_int=_number)
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]


def _number(text: str) -> float | int:
    number = float(text)
    return int(text) if text.lstrip("-").isdigit() and -(2**63) <= int(text) < 2**63 else number


def _unmarked(obj: dict[str, Any]) -> dict[str, Any]:
    assert obj["metadata"].pop("annotations") == {"read": "by"}
    return obj


def test_scalars_and_keys_are_those_of_kubectl(kubectl_reads: Read) -> None:
    """Every trap that the tests know is what kubectl reads, as a value and as a key."""
    values = "".join(f"  v{number}: {text}\n" for number, text in enumerate(TRAPS))
    keys = "".join(f"- {{{text}: 1}}\n" for text in KEYS)
    text = f"{HEAD}spec:\n{values}keys:\n{keys}"
    (read,) = theirs(kubectl_reads, text)
    assert same(read) == same(ours(text)[0])
    assert same([{key: 1} for key in KEYS.values()]) == same(read["keys"])
    assert [True] * len(TRAPS) == [value == read["spec"][f"v{number}"] for number, value in enumerate(TRAPS.values())]


@pytest.mark.parametrize("text", REFUSED)
def test_what_we_refuse_kubectl_refuses(kubectl_reads: Read, text: str) -> None:
    """No document is called broken that kubectl would apply."""
    answer = kubectl_reads(f"{HEAD}{text}\n")
    assert (answer.returncode, answer.stdout) != (0, "")
    assert answer.returncode == 1


@pytest.mark.parametrize(
    "text",
    [
        "x: &x {a: 1, b: 2}\nr: {<<: *x, a: 3}\ns: {a: 3, <<: *x}\nt: {<<: [{a: 1}, {a: 2, b: 3}]}\n",
        "r: {<<: {a: 1}, <<: {b: 2}, '<<': 3}\nx: &x 1\ny: &x 2\ns: {a: *x, a: *x}\nk: &k key\nz: {*k : 1}\n",
        "a: |\n  ---\n  b\nc: >-\n  d\n  e\n\n  f\ng: \"\\x41\\u00e9\"\nh: 'it''s'\ni: a #b\nj: a#b\n",
        "a:\r\n  b: |\r\n    c\r\n    d\r\n",
        "...\n",
        "---\n---\n# nothing\n--- # more\n" + HEAD.replace("name: a", "name: b") + "---\n",
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {y: 'n'}\n...\nignored: [\n",
    ],
)
def test_files_are_taken_apart_as_by_kubectl(kubectl_reads: Read, text: str) -> None:
    """Merges, anchors, blocks, line ends and separators."""
    text = HEAD + text
    read = theirs(kubectl_reads, text)
    assert read
    assert same(read) == same(ours(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"apiVersion": "a.io/v1", "kind": "A", "metadata": {"name": "a"}, "spec": {"n": 1.0, "y": "y", "e": 1e3}}',
        "{apiVersion: a.io/v1, kind: A, metadata: {name: a}, spec: {n: 010, y: y}}",
        '{"apiVersion": "a.io/v1", "kind": "A", "metadata": {"name": "a"}, "spec": {"a": NaN, "b": 1.5}}',
    ],
)
def test_json_is_read_as_by_kubectl(kubectl_reads: Read, text: str) -> None:
    """A file that begins with a brace is JSON if it can be, else YAML."""
    read = theirs(kubectl_reads, text)
    assert read
    assert same(read) == same(ours(text))


scalars = st.text("0123456789abcdefxoyYnN+-._:eE~=<", min_size=1, max_size=8).filter(
    lambda text: not text.endswith(":") and text[0] not in "-:" and text not in ("---", "...")
)


@BY_KUBECTL
@given(st.lists(scalars, min_size=1, max_size=60))
def test_whatever_is_read_is_read_alike(kubectl_reads: Read, texts: list[str]) -> None:
    """Scalars of the letters that matter, many at once: what we read of the file is what kubectl reads."""
    text = f"{HEAD}spec:\n" + "".join(f"- {one}\n" for one in texts)
    assert same(theirs(kubectl_reads, text)) == same(ours(text))
