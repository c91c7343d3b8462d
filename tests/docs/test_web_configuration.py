"""The page on the web configuration, and the how-to: every key, every answer, and examples that the program takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import bcrypt
import msgspec
import pytest
import yaml

from exporter.web import words
from exporter.web.config import WebConfig, parse
from exporter.web.door import REFUSALS
from exporter.web.handshakes import Failure
from tests.docs.pages import PAGES, blocks, code, first_column, name_of, page, rows, section
from tests.docs.test_configuration import WEB
from tests.web.folder import Folder


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    Promtool = Callable[..., CompletedProcess[bytes]]

WEB_CONFIGURATION = "docs/reference/web-configuration.md"


def keys_of(parents: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key that holds a value, asked of the program itself: an unknown one makes it list those that it knows."""
    value: Any = {"zzzzzzzz": 1}
    for key in reversed(parents):
        value = {key: value}
    with pytest.raises(ValueError, match="; ") as refused:
        parse(msgspec.json.encode(value))
    found = re.search(r"zzzzzzzz: is not known; the keys here are: (.*)", str(refused.value))
    if found is None:
        yield ".".join(parents)
    else:
        for key in found[1].split(", "):
            yield from keys_of((*parents, key))


def web_configurations(path: Path) -> list[str]:
    """The blocks of YAML of a page that are web configurations."""
    texts = blocks(path.read_text(encoding="utf-8"), "yaml")
    return [text for text in texts if any(WEB & set(document) for document in yaml.safe_load_all(text))]


def test_every_key_has_its_row() -> None:
    """The page lists the keys of the web configuration, and no others."""
    assert sorted(keys_of()) == sorted(first_column(section(page(WEB_CONFIGURATION), "## Every key")))


def test_every_answer_has_its_row() -> None:
    """The page lists why somebody is not answered, and by which status."""
    told = rows(section(page(WEB_CONFIGURATION), "## Answers to whoever is not let in"))
    found = {code(cells[0])[0]: int(cells[1]) for cells in told}
    assert found == {reason: status for reason, (status, _) in REFUSALS.items()}


def test_every_failure_of_a_handshake_has_its_row() -> None:
    """The page lists the reasons that the counter has."""
    told = first_column(section(page(WEB_CONFIGURATION), "## Handshakes that fail"))
    assert sorted(told) == sorted(get_args(Failure))


def test_every_way_to_ask_for_a_certificate_has_its_row() -> None:
    """Those that hold and those that are refused."""
    told = first_column(section(page(WEB_CONFIGURATION), "## TLS"))
    refused = {"RequestClientCert", "RequireAnyClientCert"}
    assert set(told) == {"client_auth_type", *words.CLIENT_AUTH, *refused}
    for name in refused:
        with pytest.raises(ValueError, match="unverified"):
            words.client_auth(name)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_examples_load(path: Path) -> None:
    """Every block of YAML that is a web configuration is one that the program takes, and protects something."""
    for example in web_configurations(path):
        config = parse(example.encode())
        assert config != WebConfig()
        assert config.protections()
        for hashed in config.users.values():
            assert bcrypt.checkpw(b"not-a-secret", hashed.encode())


def test_there_are_examples() -> None:
    """The pages where somebody looks for one have one."""
    found = {name_of(path) for path in PAGES if web_configurations(path)}
    assert {WEB_CONFIGURATION, "docs/how-to/secure-web.md"} <= found


def test_the_examples_are_those_of_the_format(promtool: Promtool, tmp_path: Path) -> None:
    """The real promtool takes each of them as well, and refuses one with a key that is not of the format."""
    folder = Folder(tmp_path)
    for name, kind in (("tls.crt", "server.pem"), ("tls.key", "server-key.pem")):
        folder.put(name, (tmp_path / kind).read_bytes())
    for example in [text for path in PAGES for text in web_configurations(path)]:
        folder.put("web.yaml", example.encode())
        verdict = promtool("check", "web-config", str(folder.file))
        assert verdict.returncode == 0, (example, verdict.stderr)
    folder.put("web.yaml", b"auth_excluded_paths: [/healthz]")
    assert promtool("check", "web-config", str(folder.file)).returncode == 1
