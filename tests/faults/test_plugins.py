"""Credential plugins that fail, hang, babble or are away as objects are written: nothing is lost, nothing is shown."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.accounts import DENIED, FAILED, LOADED, Account, long, said, through, until
from tests.faults.trial import Trial


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster


# Not a token of anybody; of the shape that is taken out of every text.
SECRET = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im1hZGUifQ.eyJpc3MiOiJtYWRlLXVwIn0.bWFkZS11cA"
PLUGIN = f"""#!/bin/sh
cd "$(dirname "$0")"
echo run >> runs
give() {{
  printf '{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{'
  printf '"token":"%s","expirationTimestamp":"%s"}}}}' "$(cat token)" "$(date -u -d "$1" +%Y-%m-%dT%H:%M:%SZ)"
}}
case $(cat mode) in
  good) give '12 seconds' ;;
  past) give '1 hour ago' ;;
  fail) for number in $(seq 2000); do echo "line $number"; done >&2; echo "no session for {SECRET}" >&2; exit 1 ;;
  garbage) echo '{SECRET}' ;;
  hang) exec sleep 600 ;;
esac
"""


class Plugin:
    """A credential plugin whose behaviour is chosen while the exporter runs."""

    def __init__(self, directory: Path, token: str) -> None:
        directory.mkdir()
        self.program = directory / "login"
        self.program.write_text(PLUGIN)
        self.program.chmod(0o700)
        (directory / "token").write_text(token)
        self.be("good")

    def be(self, mode: str) -> None:
        """Behave so from now on; a run that has begun goes on as it was."""
        self.program.with_name("mode").write_text(mode)

    @property
    def runs(self) -> int:
        """How often it was run."""
        return len(self.program.with_name("runs").read_text().splitlines())


@pytest.fixture
def plugin(cluster: Cluster, tmp_path: Path) -> Plugin:
    """A plugin that gives a valid token."""
    return Plugin(tmp_path / "plugin", Account(cluster).token)


def with_plugin(cluster: Cluster, tmp_path: Path) -> Trial:
    """Prepare a trial whose exporter asks the plugin for its credentials."""
    trial = Trial(cluster, tmp_path, proxied=True, kubeconfig=tmp_path / "kubeconfig")
    user = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin/login", "interactiveMode": "Never"}
    through(trial.proxy, tmp_path / "kubeconfig", {"exec": user})
    return trial


@long
@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("fail", "failed with exit code 1: no session for <redacted>; log in again, then retry"),
        ("garbage", "did not answer with an ExecCredential: check its arguments and apiVersion"),
        ("missing", "cannot be started (No such file or directory): install it, or correct the kubeconfig"),
    ],
)
async def test_a_plugin_that_fails_for_a_while(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], plugin: Plugin, mode: str, sentence: str
) -> None:
    """One line says why, however long it lasts; it is not run without a pause, and when it works again all goes on."""
    with with_plugin(cluster, tmp_path) as trial:
        async with trial.writing():
            before = plugin.runs
            plugin.be(mode)
            away = plugin.program.with_name("away")
            if mode == "missing":
                plugin.program.rename(away)
            trial.proxy.instead(DENIED, times=1_000)
            trial.proxy.cut()
            await until(lambda: said(trial, FAILED))
            await asyncio.sleep(8)
            assert trial.exporter.get("/readyz")[0] == 200
            assert plugin.runs - before <= 6  # three streams try more often
            trial.proxy.instead(None)
            if mode == "missing":
                away.rename(plugin.program)
            plugin.be("good")
        await trial.settle(f"credentials: plugin {mode}", "watching", record)
        (line,) = said(trial, FAILED)
        assert line["error"] == f"the credential plugin '{plugin.program}' {sentence}"
        assert len(said(trial, LOADED)) == 1
        assert SECRET not in trial.exporter.log


@long
async def test_a_plugin_that_hangs_holds_up_nobody_whose_token_still_lives(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], plugin: Plugin
) -> None:
    """A plugin is run before its token runs out; where it hangs then, new watches are opened with the old token."""
    with with_plugin(cluster, tmp_path) as trial:
        async with trial.writing():
            began = time.monotonic()
            plugin.be("hang")
            await until(lambda: time.monotonic() - began > 6.5)  # half of the token's life
            trial.proxy.cut()
            await asyncio.sleep(1)
        row = await trial.settle("credentials: plugin hangs", "token still good", record, within=20.0)
        assert row.seconds < 20  # it hangs for 30
        assert said(trial, FAILED) == []  # it hangs still

        async with trial.writing(seed=2):
            await until(lambda: said(trial, FAILED), 40)
            plugin.be("good")
            trial.proxy.cut()
        await trial.settle("credentials: plugin hung", "watching", record, within=60.0)
        (line,) = said(trial, FAILED)
        assert "gave no answer within 30 s: run it by hand" in line["error"]


@long
async def test_a_plugin_whose_tokens_are_old_when_it_gives_them(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], plugin: Plugin
) -> None:
    """The server decides whether they are good; the plugin is not run for every request."""
    plugin.be("past")
    with with_plugin(cluster, tmp_path) as trial:
        async with trial.writing():
            began = time.monotonic()
            for _ in range(8):
                trial.proxy.cut()
                await asyncio.sleep(1)
        await trial.settle("credentials: plugin's token past its end", "watching", record)
        assert plugin.runs <= 2 + (time.monotonic() - began) / 5
        assert said(trial, FAILED) == []
