"""Following directories of manifests: what is said of them, who is judged again, and that nothing ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter import declaring
from exporter.changes.redact import Redactor
from exporter.declared.directories import Directories
from exporter.declared.manifests import Kind
from exporter.declaring import Declaring
from exporter.drift.settings import Directory
from exporter.metrics.health import Health
from tests.waiting import eventually


if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from exporter.declared.declarations import Declarations
    from exporter.drift.tools import Place

WEB = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: web, namespace: team-a}\nspec: {a: 1}\n"
PLACE = ("example.com", "Widget", "team-a", "web")


class Followed:
    """A directory with one manifest, and what is made of it."""

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        self.file = path / "web.yaml"
        self.file.write_text(WEB)
        self.health = Health()
        self.asked: list[Place] = []
        self.taken: list[Declarations] = []
        directory = Directory(path=str(path), exclusive=exclusive)
        self.directories = Directories((directory,), Redactor(b"k"), lambda *_: Kind())
        self.declaring = Declaring(self.directories, self.taken.append, self.asked.extend, self.health)

    def value(self, name: str, **labels: str) -> float | None:
        """Give one of the exporter's own metrics."""
        return self.health.registry.get_sample_value(f"customresource_exporter_{name}", labels)

    async def look(self) -> list[Place]:
        """Look twice, since what is changed in place is read once it rests; who is to be judged again."""
        self.asked.clear()
        for _ in range(2):
            await self.declaring.look()
        return list(self.asked)


async def test_what_is_as_it_was_has_nobody_judged(tmp_path: Path) -> None:
    """A look at a directory that rests tells nobody anything."""
    followed = Followed(tmp_path)
    await followed.look()
    taken = len(followed.taken)

    assert (await followed.look(), len(followed.taken)) == ([], taken)


async def test_what_is_declared_otherwise_is_judged_again(tmp_path: Path) -> None:
    """What comes, changes and goes, each once; how many are declared is a metric."""
    followed = Followed(tmp_path)
    assert (await followed.look(), followed.value("drift_declared_objects")) == ([PLACE], 1)
    followed.file.write_text(WEB.replace("a: 1", "a: 22"))
    assert await followed.look() == [PLACE]
    (tmp_path / "more.yaml").write_text(WEB.replace("web", "other"))
    followed.file.unlink()

    assert sorted(await followed.look()) == [(*PLACE[:3], "other"), PLACE]
    assert followed.value("drift_declared_objects") == 1


async def test_where_a_directory_holds_all_of_a_type_the_whole_type_is_judged(tmp_path: Path) -> None:
    """With the type comes the question which of its objects are orphans."""
    followed = Followed(tmp_path, exclusive=True)

    assert ("example.com", "Widget", "", "") in await followed.look()


async def test_what_cannot_be_read_is_counted_and_keeps_what_it_declared(tmp_path: Path) -> None:
    """Until it can be read again."""
    followed = Followed(tmp_path)
    await followed.look()
    followed.file.write_text("a: [")
    assert await followed.look() == []
    assert followed.value("drift_declared_objects") == 1
    assert followed.value("drift_declared_problems", kind="yaml") == 1
    followed.file.write_text(WEB)
    await followed.look()

    assert followed.value("drift_declared_problems", kind="yaml") is None


async def test_when_more_is_known_of_a_kind_everything_is_read_anew(tmp_path: Path) -> None:
    """A manifest that did not change may mean something else then."""
    followed = Followed(tmp_path)
    kinds = [Kind(), Kind(namespaced=False)]
    followed.directories = Directories((Directory(path=str(tmp_path)),), Redactor(b"k"), lambda *_: kinds[0])
    followed.declaring = Declaring(followed.directories, followed.taken.append, followed.asked.extend, followed.health)
    await followed.look()
    del kinds[0]
    assert await followed.look() == []
    followed.declaring.reread()

    assert ("example.com", "Widget", "", "web") in await followed.look()


async def test_a_bug_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted, and the next look may fare better."""
    monkeypatch.setattr(declaring, "_LOOK_SECONDS", 0.01)
    followed = Followed(tmp_path)
    real, failures = followed.directories.poll, [ZeroDivisionError("a bug")] * 2

    def fails(now: str) -> object:
        if failures:
            raise failures.pop()
        return real(now)  # type: ignore[arg-type]

    followed.directories.poll = fails  # type: ignore[assignment, method-assign]
    assert followed.value("evaluation_errors_total", keeper="declared") == 0  # so that the first is a growth
    task = asyncio.create_task(followed.declaring.run())
    await asyncio.to_thread(eventually, lambda: followed.asked == [PLACE])
    task.cancel()

    assert followed.value("evaluation_errors_total", keeper="declared") == 2
