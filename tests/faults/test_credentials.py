"""Tokens that are rotated, revoked, or away for a while as objects are written, and rights: nothing is lost by it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.accounts import (
    DEGRADED,
    DENIED,
    FAILED,
    FOLLOWED,
    LOADED,
    NO_LIST,
    REFUSED,
    Account,
    first_of_each,
    long,
    said,
    through,
    until,
)
from tests.faults.trial import Trial
from tests.integration.widgets import total


if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.table import Row
    from tests.servers.launch import Cluster


async def test_a_token_that_is_rotated_and_a_file_that_is_empty_for_a_while(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """A watch that is refused goes on with what the file holds by then; while it holds nothing, one line says so."""
    first, second = Account(cluster), Account(cluster)
    token = tmp_path / "token"
    token.write_text(first.token)
    trial = Trial(cluster, tmp_path, proxied=True, kubeconfig=tmp_path / "kubeconfig")
    through(trial.proxy, tmp_path / "kubeconfig", {"tokenFile": str(token)})
    with trial:
        async with trial.writing():
            await asyncio.to_thread(first.allow)
            token.write_text(second.token)
            trial.proxy.instead(DENIED, times=3, when=first_of_each())
            trial.proxy.cut()
            await asyncio.sleep(1)  # it writes meanwhile
        await trial.settle("credentials: token rotated", "watching", record)
        assert said(trial, FAILED) == []

        async with trial.writing(seed=2):
            token.write_text("")
            trial.proxy.instead(DENIED, times=1_000)
            trial.proxy.cut()
            await until(lambda: said(trial, FAILED))
            await asyncio.sleep(1)  # it tries more than once
            trial.proxy.instead(None)
            assert trial.exporter.get("/readyz")[0] == 200
            token.write_text(second.token)
        await trial.settle("credentials: token file empty", "watching", record)
        assert [one["error"] for one in said(trial, FAILED)] == [
            f"the token file {token} is empty: write a token into it"
        ]
        assert total(trial.exporter, DEGRADED) == 0


@long
@pytest.mark.parametrize("trouble", ["missing", "unreadable"])
async def test_a_token_file_that_is_away_while_it_is_read_again(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None], trouble: str
) -> None:
    """The file is read again every minute; where that fails the token at hand goes on, for every new request."""
    token = tmp_path / "token"
    token.write_text(Account(cluster).token)
    trial = Trial(cluster, tmp_path, proxied=True, kubeconfig=tmp_path / "kubeconfig")
    through(trial.proxy, tmp_path / "kubeconfig", {"tokenFile": str(token)})
    with trial:
        began = time.monotonic()
        kept = token.read_text()
        token.unlink()
        if trouble == "unreadable":
            token.mkdir()  # which holds for root, too
        await until(lambda: time.monotonic() - began > 61, 70)
        async with trial.writing():
            trial.proxy.cut()
            await until(lambda: said(trial, FAILED))
            await asyncio.sleep(2)
        await trial.settle(f"credentials: token file {trouble}", "watching", record)
        assert len(said(trial, FAILED)) == 1
        assert str(token) in said(trial, FAILED)[0]["error"]
        if trouble == "unreadable":
            token.rmdir()
        token.write_text(kept)
        trial.proxy.cut()
        await until(lambda: said(trial, LOADED), 60)


@long
async def test_a_token_that_is_revoked(cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]) -> None:
    """An open watch outlives its token; a new one is refused, which is told once, until the file is right again."""
    first, second = Account(cluster), Account(cluster)
    token = tmp_path / "token"
    token.write_text(first.token)
    trial = Trial(cluster, tmp_path, proxied=True, kubeconfig=tmp_path / "kubeconfig")
    through(trial.proxy, tmp_path / "kubeconfig", {"tokenFile": str(token)})
    with trial:
        async with trial.writing(per_second=20):
            await asyncio.to_thread(first.dismiss)
            await asyncio.sleep(12)  # the server's cache forgets it
        await trial.settle("credentials: token revoked", "watch open", record)
        assert total(trial.exporter, DEGRADED) == 0

        async with trial.writing(per_second=20, seed=2):
            trial.proxy.cut()
            await until(lambda: total(trial.exporter, DEGRADED) == 2)
            await asyncio.sleep(10)
            assert trial.exporter.get("/readyz")[0] == 200
            token.write_text(second.token)
        await trial.settle("credentials: 401 until the file is right", "watching", record, within=120)
        refused = said(trial, REFUSED)
        assert sorted(line["type"].partition(".")[0] for line in refused) == ["soak0s", "soak1s"]
        assert all("401 Unauthorized" in line["reason"] for line in refused)
        assert total(trial.exporter, DEGRADED) == 0


@long
async def test_a_401_between_two_pages_of_a_list(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """The page is asked for again with the new token: the list is whole, and nobody is told of a deletion."""
    token = tmp_path / "token"
    token.write_text(Account(cluster).token)
    trial = Trial(cluster, tmp_path, proxied=True, kubeconfig=tmp_path / "kubeconfig", types=1, objects=1_200)
    through(trial.proxy, tmp_path / "kubeconfig", {"tokenFile": str(token)})
    trial.proxy.instead(NO_LIST, times=1_000, when=lambda asked: "sendInitialEvents" in asked.query)
    trial.proxy.instead(DENIED, times=1, when=lambda asked: "continue" in asked.query)
    with trial:
        pages = [one.query for one in trial.proxy.asked if "limit" in one.query and "soak" in one.path]
        # An audit, of which the first may come at any moment, begins from the first page again.
        own = [["limit"], *[["continue", "limit"]] * 3]
        assert [sorted(query) for query in pages][:5] in (own, [*own, ["limit"]])
        async with trial.writing():
            await asyncio.sleep(2)
        await trial.settle("credentials: 401", "between pages", record)


@long
async def test_a_right_that_is_taken_away_and_given_back(
    cluster: Cluster, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    """That type waits alone, while the others are followed; with its right back it goes on from where it was."""
    trial = Trial(cluster, tmp_path, proxied=True, kubeconfig=tmp_path / "kubeconfig")
    account = Account(cluster)
    through(trial.proxy, tmp_path / "kubeconfig", {"token": account.token})
    with trial:
        group = trial.load.group
        async with trial.writing(per_second=30):
            await asyncio.to_thread(account.allow, "apiextensions.k8s.io/*", f"{group}/soak0s")
            trial.proxy.cut()
            await until(lambda: said(trial, REFUSED))
            await asyncio.sleep(4)
            assert total(trial.exporter, DEGRADED, customresource_kind="Soak0") == 0
            assert total(trial.exporter, DEGRADED, customresource_kind="Soak1") == 1
            assert trial.exporter.get("/readyz")[0] == 200
            assert "Soak0" in {one["kind"] for one in trial.exporter.changes("--since=2s")}
            await asyncio.to_thread(account.allow, "*/*")
        await trial.settle("credentials: right taken and given back", "watching", record)
        assert [line["type"].partition(".")[0] for line in said(trial, REFUSED)] == ["soak1s"]
        assert len(said(trial, FOLLOWED)) == 1
        assert total(trial.exporter, DEGRADED) == 0
