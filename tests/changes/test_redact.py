"""Secrets are taken out before anything is stored."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.changes.pointer import compile_patterns
from exporter.changes.redact import MASK, Redactor, mask
from exporter.changes.schema import Schema
from exporter.changes.version import unpack
from exporter.model import encode
from tests.changes.objects import KEY, World, entry, seen, widget
from tests.secrets import AS_KEY, BY_KEY, BY_SHAPE, IN_TEXT, SECRETS, needles, planted


def redacted(obj: dict[str, Any], *pointers: str, secret: bool = False) -> Any:
    """Redact, and show."""
    return mask(Redactor(b"key", pointers).redact(obj, msgspec.json.encode(obj), secret=secret))


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"spec": {"secretName": "db", "passwordSecretRef": {"name": "db", "key": "password"}}},
        {"spec": {"tokenCount": 5, "passwordPolicy": "strict", "keyName": "k", "tokens": 3, "passwordLength": 12}},
        {"spec": {"publicKey": "ssh-ed25519 AAAA", "partitionKey": "id", "secretKeyRef": {"name": "x"}}},
        {"spec": {"password": ""}},
        {"metadata": {"managedFields": [{"fieldsV1": {"f:spec": {"f:password": {}, "f:token": {}}}}]}},
        {"spec": {"url": "https://host:8080/path@v1", "image": "registry.example.com/app@sha256:0123456789abcdef"}},
        {"status": {"message": "the secret db was not found; token expired; password rotated"}},
        {"spec": {"caBundle": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB\n").decode()}},
        {"spec": {"env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "DB_PASSWORD", "valueFrom": {"x": "y"}}]}},
        {"spec": {"type": "disk-sk-1", "id": "task-0123456789012345678901234567890"}},
    ],
)
def test_what_is_no_secret_stays(obj: dict[str, Any]) -> None:
    """Names, references, numbers, certificates and sentences about secrets are left as they are."""
    assert redacted(obj) == obj


@pytest.mark.parametrize("name", BY_KEY)
def test_a_string_under_a_sensitive_key_goes(name: str) -> None:
    """The words of a key tell that its value is a secret, also in a list below it."""
    value = BY_KEY[name]

    assert redacted({"spec": {name: value, "deep": [{name: [value]}]}}) == {
        "spec": {name: MASK, "deep": [{name: [MASK]}]}
    }


@pytest.mark.parametrize("name", BY_SHAPE)
def test_a_value_of_a_known_shape_goes_wherever_it_is(name: str) -> None:
    """Keys and tokens are known by their shape, alone or inside a sentence, and as a key of a map."""
    value = BY_SHAPE[name]

    assert redacted({"spec": {"x": value, "y": [f"it is {value} now"]}}) == {
        "spec": {"x": MASK, "y": [f"it is {MASK} now"]}
    }


@pytest.mark.parametrize("secret", IN_TEXT)
def test_of_a_sentence_only_the_secret_goes(secret: str) -> None:
    """An error text keeps its words."""
    sentence = IN_TEXT[secret]
    shown = redacted({"status": {"message": sentence}})["status"]["message"]

    assert secret not in shown
    assert shown.startswith(sentence[:8])


def test_core_secrets_lose_everything_they_hold() -> None:
    """Of a core Secret every value of data and stringData goes, whatever it looks like."""
    assert redacted({"data": {"a": "eA=="}, "stringData": {"b": "x"}, "type": "Opaque"}, secret=True) == {
        "data": {"a": MASK},
        "stringData": {"b": MASK},
        "type": "Opaque",
    }


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/spec/other", {"spec": {"a": {"b": "x"}, "l": [{"b": "y"}]}}),
        ("/spec/a/b", {"spec": {"a": {"b": MASK}, "l": [{"b": "y"}]}}),
        ("/spec/*/b", {"spec": {"a": {"b": MASK}, "l": [{"b": "y"}]}}),
        ("/spec/l/*/b", {"spec": {"a": {"b": "x"}, "l": [{"b": MASK}]}}),
        ("/**/b", {"spec": {"a": {"b": MASK}, "l": [{"b": MASK}]}}),
        ("/spec", {"spec": {"a": {"b": MASK}, "l": [{"b": MASK}]}}),
    ],
)
def test_pointers_of_the_configuration_name_what_goes(pointer: str, expected: Any) -> None:
    """A pointer takes out what it names and everything below, `*` for one segment, `**` for any number."""
    assert redacted({"spec": {"a": {"b": "x"}, "l": [{"b": "y"}]}}, pointer) == expected


@pytest.mark.parametrize("pointers", [(), ("/spec/pins",)])
def test_the_values_of_a_set_go_from_managed_fields_too(pointers: tuple[str, ...]) -> None:
    """The server repeats the values of a set, and of a list's keys, as names of fields; who wrote is still told."""
    owned: dict[str, Any] = {
        "f:spec": {"f:pins": {'v:"pin-0001"': {}}, "f:passwords": {'v:"hunter2"': {}}, "f:tags": {'v:"web"': {}}}
    }
    meta = {"managedFields": [entry("one") | {"fieldsV1": owned}]}
    spec = {"pins": ["pin-0001"], "passwords": ["hunter2"], "tags": ["web"]}
    world = World(redact=pointers)
    (change,) = world.take(seen(widget(1, spec=spec, meta=meta), "added"))
    state = unpack(world.stored[KEY].state)

    assert b"hunter2" not in state
    assert (b"pin-0001" in state, state.count(b"web")) == ((False, 2) if pointers else (True, 3))
    assert change.writer.name == "one"


def test_json_in_a_string_is_redacted_by_its_keys() -> None:
    """A document inside a field loses what the same keys outside would lose, and nothing else."""
    held = {"user": "a", "password": "hunter 2", "more": [{"api_key": "k"}]}
    shown = redacted({"spec": {"config": msgspec.json.encode(held).decode(), "other": ' {"user": "a"}', "no": "{"}})

    assert msgspec.json.decode(shown["spec"]["config"]) == {"user": "a", "password": MASK, "more": [{"api_key": MASK}]}
    assert (shown["spec"]["other"], shown["spec"]["no"]) == (' {"user": "a"}', "{")


@pytest.mark.parametrize("name", ["kubectl.kubernetes.io/last-applied-configuration", "config"])
@pytest.mark.parametrize("depth", [300, 700, 980, 5000])
def test_json_in_a_string_of_any_depth_does_no_harm(name: str, depth: int) -> None:
    """A document that is nested too deeply to be looked at is hidden as a whole or as far as it can be looked at."""
    world = World()
    text = '{"password":' * depth + '"hunter2"' + "}" * depth
    changes = [
        *world.take(seen(widget(1, meta={"annotations": {name: text}}), "added")),
        *world.take(seen(widget(2, meta={"annotations": {name: text.replace("hunter2", "hunter3")}}))),
    ]

    assert [change.change for change in changes] == ["created", "metadata"]
    assert b"hunter" not in encode(changes[1]) + unpack(world.stored[KEY].state)


def test_letters_that_a_server_escaped_hide_nothing() -> None:
    """A token written with JSON escapes is found all the same."""
    raw = msgspec.json.encode({"x": BY_SHAPE["github"]}).replace(b"ghp_", rb"\u0067hp_")

    assert mask(Redactor(b"key").redact(msgspec.json.decode(raw), raw)) == {"x": MASK}


def test_no_planted_secret_survives_in_states_or_changes() -> None:
    """Of sixty secrets none is left in what is stored or told, and a change of each is still seen."""
    world = World(Schema(passwords=(("spec", "declared"),)), redact=("/spec/ruled/**/value",))
    parts, later = planted(), planted("-v2")
    (created,) = world.take(seen(widget(1, meta=parts.pop("metadata"), **parts), "added"))
    kept = [world.stored[KEY].state]
    (changed,) = world.take(seen(widget(2, generation=2, meta=later.pop("metadata"), **later)))
    kept.append(world.stored[KEY].state)
    text = b"".join([encode(created), encode(changed), *(unpack(state) for state in kept)]).decode()

    assert len(SECRETS) == 60
    assert [needle for needle in needles() if needle in text] == []
    assert {f"/spec/byKey/{name}" for name in BY_KEY} <= {one.path for one in changed.fields}
    assert AS_KEY not in text


def test_the_same_value_gives_the_same_marker_only_under_the_same_key() -> None:
    """The stored marker tells a change of the value, and nothing to who does not have the key."""
    obj = {"password": "x"}
    raw = msgspec.json.encode(obj)
    first, second, other = (Redactor(key).redact(obj, raw) for key in (b"1", b"1", b"2"))

    assert first == second != other


@given(st.recursive(st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=8))
def test_any_json_can_be_redacted(value: Any) -> None:
    """Whatever the text, redaction gives JSON of the same form, and redacting again changes nothing."""
    obj = {"x": value}
    once = Redactor(b"k", ["/nothing"]).redact(obj, msgspec.json.encode(obj))
    again = Redactor(b"k", ["/nothing"]).redact(once, msgspec.json.encode(once))

    assert again == once


def test_compiled_patterns_treat_escapes_as_rfc_6901() -> None:
    """`~1` is a slash and `~0` a tilde in a pattern."""
    assert compile_patterns(["/a~1b/c~0d"]) == (("a/b", "c~d"),)
