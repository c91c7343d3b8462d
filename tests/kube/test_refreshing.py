"""When credentials are loaded again, and what is used while that fails or takes its time."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from exporter.backoff import Backoff
from exporter.errors import ClusterError
from exporter.kube import auth
from exporter.kube.auth import AuthRefresher
from exporter.kube.credentials import Credentials


OLD = Credentials(
    authorization="Bearer old", server="https://one", tls=None, authority=b"", server_name=None, proxy=None,
    reload_at=0.0, ends_at=math.inf, material=(),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pause outlast any test, however slowly that goes on."""
    monkeypatch.setattr(auth, "_AGAIN", Backoff(first=30.0))


class Source:
    """Gives credentials that are never due, unless it is told to fail or to take its time."""

    def __init__(self) -> None:
        """Count."""
        self.asked = 0
        self.fails = False
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def load(self, _: Credentials) -> Credentials:
        """Load."""
        self.asked += 1
        await self.hangs.wait()
        if self.fails:
            raise ClusterError("no more")
        return replace(OLD, authorization=f"Bearer {self.asked}", reload_at=math.inf)


async def test_credentials_that_are_due_go_on_while_new_ones_cannot_be_loaded() -> None:
    """The old ones may still do: they are used, the trouble is told once, and its end too."""
    source = Source()
    source.fails = True
    refresher = AuthRefresher(OLD, source.load)
    with capture_logs() as lines:
        for _ in range(5):
            assert await refresher.fresh() is OLD
        expected = 1  # not for every request
        assert expected == source.asked
        source.fails = False
        await refresher.force_refresh()
    assert (await refresher.fresh()).authorization == "Bearer 2"
    assert [line["event"] for line in lines] == [
        "new credentials cannot be loaded, trying again",
        "new credentials were loaded",
    ]


async def test_nobody_waits_for_a_source_that_hangs_while_the_old_ones_may_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for a moment, then goes with what there is; the load goes on beside it."""
    monkeypatch.setattr(auth, "_PATIENCE", 0.01)
    source = Source()
    source.hangs.clear()
    refresher = AuthRefresher(OLD, source.load)
    assert await refresher.fresh() is OLD
    assert await refresher.fresh() is OLD
    source.hangs.set()
    await refresher.force_refresh()
    assert refresher.credentials.authorization == "Bearer 1"


async def test_credentials_that_have_run_out_are_not_used() -> None:
    """Where it is known that they are worth nothing, the sentence of what is wrong goes to whoever asks."""
    source = Source()
    source.fails = True
    refresher = AuthRefresher(replace(OLD, ends_at=time.monotonic()), source.load)
    for _ in range(3):
        with pytest.raises(ClusterError, match="no more"):
            await refresher.fresh()
    expected = 1
    assert expected == source.asked


async def test_a_server_that_refuses_everything_does_not_wear_the_source_out() -> None:
    """The first refusal loads at once, and so does a second; then there are pauses."""
    source = Source()
    refresher = AuthRefresher(OLD, source.load)
    for _ in range(20):
        await refresher.force_refresh(refresher.credentials)
    expected = 2
    assert expected >= source.asked


async def test_a_refusal_while_nothing_can_be_loaded_is_the_trouble_itself() -> None:
    """Who was refused is told why there are no new credentials, and the source is left alone for a moment."""
    source = Source()
    source.fails = True
    refresher = AuthRefresher(OLD, source.load)
    for _ in range(3):
        with pytest.raises(ClusterError, match="no more"):
            await refresher.force_refresh(OLD)
    expected = 1
    assert expected == source.asked
