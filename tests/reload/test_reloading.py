"""A file that is read again: what counts as a change, what is told, and that nothing bad is ever taken over."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from exporter.config import Config
from exporter.config_source import ConfigSource, fingerprint
from exporter.errors import ConfigError, ExporterError, UsageError
from exporter.metrics.health import Health
from exporter.reloading import Reloading, Reloadings


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

FAILED = "cannot be put into force, what was before stays"


class Desk:
    """A configuration file, what is in force of it, and what was done about it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.yaml"
        self.file.write_text("cluster: a")
        self.applied: list[str] = []
        self.refusing: Exception | None = None
        self.now = 100.0
        health = Health()
        self._value = health.registry.get_sample_value
        self.source = ConfigSource(str(self.file), self.check, self.apply)
        self.reloading = Reloading(
            "the configuration", self.source,
            health.config_last_reload_successful, health.config_last_reload_success,
            look=0.01, clock=lambda: self.now,
        )  # fmt: skip

    async def check(self, config: Config) -> None:
        """Refuse, where a test wants that."""
        del config
        if self.refusing is not None:
            raise self.refusing

    async def apply(self) -> None:
        """Note what is in force now."""
        self.applied.append(self.source.config.cluster)

    @property
    def metrics(self) -> tuple[float | None, float | None]:
        """Whether the last reload was successful, and when one last was."""
        name = "customresource_exporter_config_last_reload_success"
        return self._value(f"{name}ful"), self._value(f"{name}_timestamp_seconds")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One with a good file."""
    return Desk(tmp_path)


@asynccontextmanager
async def watched(desk: Desk) -> AsyncIterator[None]:
    """Look at the file until the block ends."""
    task = asyncio.create_task(desk.reloading.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(predicate: Callable[[], bool]) -> None:
    """Let the loop work until something is so."""
    async with asyncio.timeout(20):
        while not predicate():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"cluster: [b]", "cluster: ['b'] is no text; write one value"),
        (b"{", "correct the YAML"),
        (b"\xff\xfe\x00", "cannot be read as YAML"),
        (b"x" * 2_000_000, "is larger than 1 MiB; is it a configuration file?"),
        (None, "cannot be read (No such file or directory); give the path of a configuration file"),
    ],
)
async def test_what_is_bad_is_not_taken_over(desk: Desk, content: bytes | None, sentence: str) -> None:
    """Who asks gets the sentence; the metric and the log tell; what is in force stays, and its time."""
    desk.now = 200.0
    if content is None:
        desk.file.unlink()
    else:
        desk.file.write_bytes(content)
    with capture_logs() as lines, pytest.raises(ConfigError) as bad:
        await desk.reloading.reload()
    assert str(bad.value).startswith(f"{desk.file}: ")
    assert sentence in str(bad.value)
    assert (desk.source.config.cluster, desk.applied, desk.metrics) == ("a", [], (0, 100))
    expected = {"event": FAILED, "log_level": "warning", "what": "the configuration", "error": str(bad.value)}
    assert lines == [expected]


async def test_what_cannot_be_put_into_force_is_not_taken_over(desk: Desk) -> None:
    """The file is good, and something else does not let it be."""
    desk.file.write_text("cluster: b")
    desk.refusing = UsageError("a certificate is gone; put it back")
    with pytest.raises(UsageError, match="a certificate is gone"):
        await desk.reloading.reload()
    assert (desk.source.config.cluster, desk.applied, desk.metrics[0]) == ("a", [], 0)


async def test_a_bug_is_told_as_one_and_the_looking_goes_on(desk: Desk) -> None:
    """It ends neither the program nor the task that looks."""
    desk.refusing = ZeroDivisionError()
    async with watched(desk):
        desk.file.write_text("cluster: b")
        await until(lambda: desk.metrics[0] == 0)
        with pytest.raises(ExporterError, match=r"by a bug: ZeroDivisionError at test_reloading.py:\d+; restart"):
            await desk.reloading.reload()
        desk.refusing = None
        desk.file.write_text("cluster: c")
        await until(lambda: desk.applied == ["c"])
        assert desk.metrics[0] == 1


async def test_the_same_again_is_a_success_that_changes_nothing(desk: Desk) -> None:
    """Other bytes with the same meaning, too; the time moves."""
    for number, text in enumerate(["cluster: a", "cluster: 'a' # as before"], start=1):
        desk.file.write_text(text)
        desk.now = 100.0 + number
        with capture_logs() as lines:
            await desk.reloading.reload()
        assert (desk.applied, desk.metrics) == ([], (1, 100 + number))
        assert [(line["event"], line["changed"]) for line in lines] == [("read again", False)]


async def test_a_changed_file_is_taken_over_without_being_asked_for(desk: Desk) -> None:
    """Once; and a bad one is told once, however long it stays bad."""
    with capture_logs() as lines:
        async with watched(desk):
            desk.file.write_text("cluster: b")
            await until(lambda: desk.applied == ["b"])
            desk.file.write_text("cluster: {")
            await until(lambda: desk.metrics[0] == 0)
            await asyncio.sleep(0.1)
            desk.file.write_text("cluster: b")
            await until(lambda: desk.metrics[0] == 1)
            await asyncio.sleep(0.1)
    assert desk.applied == ["b"]
    assert [line["event"] for line in lines] == ["read again", FAILED, "read again"]


async def test_half_a_file_is_not_taken_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another look finds to be otherwise was still being written: an empty file would select everything."""
    contents = iter([b"", b"cluster", b"cluster: b", b"cluster: b"])
    look = desk.source.fingerprint

    def written_on() -> bytes:
        with suppress(StopIteration):
            desk.file.write_bytes(next(contents))
        return look()

    monkeypatch.setattr(desk.source, "fingerprint", written_on)
    with capture_logs() as lines:
        async with watched(desk):
            await until(lambda: bool(desk.applied))
    assert desk.applied == ["b"]
    assert [line["event"] for line in lines] == ["read again"]


def test_a_file_that_is_bad_at_the_start_is_an_error(tmp_path: Path) -> None:
    """Then there is nothing that could stay in force."""
    desk = Desk(tmp_path)
    with pytest.raises(ConfigError):
        ConfigSource(f"{desk.file}.none", desk.check, desk.apply)


async def test_without_a_file_there_is_nothing_to_read_again(tmp_path: Path) -> None:
    """The configuration is the one without a file, and stays."""
    desk = Desk(tmp_path)
    source = ConfigSource(None, desk.check, desk.apply)
    assert source.config == Config()
    assert not await source.take()
    assert source.fingerprint() == source.taken


async def test_one_that_is_bad_does_not_keep_the_others(tmp_path: Path) -> None:
    """All are read; the error has the sentences of all that are bad; a signal is told nothing, and goes on."""
    desks = []
    for name in "abc":
        (tmp_path / name).mkdir()
        desks.append(Desk(tmp_path / name))
    desks[0].file.write_text("bad: 1")
    desks[1].file.write_text("cluster: b")
    desks[2].file.unlink()
    reloadings = Reloadings(*(desk.reloading for desk in desks))
    with pytest.raises(ExporterError) as bad:
        await reloadings.reload()
    assert [str(desk.file) in str(bad.value) for desk in desks] == [True, False, True]
    assert desks[1].applied == ["b"]
    async with reloadings.watching():
        desks[1].file.write_text("cluster: c")
        reloadings.ask()
        await until(lambda: desks[1].applied == ["b", "c"])


def test_a_fingerprint_tells_contents_apart_and_nothing_else(tmp_path: Path) -> None:
    """Another content, a file that is gone, and content that moved from one file to the next are others."""
    one, two = tmp_path / "one", tmp_path / "two"
    seen = set()
    for first, second in ((b"a", b"b"), (b"ab", b""), (b"", b"ab"), (b"b", b"a")):
        one.write_bytes(first)
        two.write_bytes(second)
        seen.add(fingerprint(one, two))
    two.unlink()
    seen.add(fingerprint(one, two))
    assert len(seen) == 5
    one.write_bytes(b"b")
    assert fingerprint(one, two) in seen
