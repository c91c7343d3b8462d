"""The configuration file: what it refuses, word for word, and what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config import NOISY, Changes, Config, JournalLimits, Otlp, Watch, Writers, load, parse
from exporter.config_values import duration, size
from exporter.errors import ConfigError
from exporter.kube.selection import TypeSelection


HERE = Path(__file__).parent / "config"
BAD = sorted((HERE / "bad").glob("*.yml"))
HOUR = 3600 * 10**9


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_its_message(path: Path) -> None:
    """Each file in config/bad is refused with exactly the sentence beside it, after the file's name."""
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert f"{path}: {path.with_suffix('.txt').read_text().rstrip()}" == str(refused.value)


def test_every_message_has_its_file() -> None:
    """No message is left over from a case that was removed."""
    assert {path.stem for path in BAD} == {path.stem for path in (HERE / "bad").glob("*.txt")}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is named, with the remedy."""
    path = tmp_path / "none.yml"
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert f"{path}: cannot be read (No such file or directory); give the path of a configuration file" == str(
        refused.value
    )


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A directory is no configuration file."""
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path)


def test_a_large_file_is_refused_without_being_read_as_yaml(tmp_path: Path) -> None:
    """More than 1 MiB is refused whatever is in it."""
    path = tmp_path / "large.yml"
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert f"{path}: is larger than 1 MiB; is it a configuration file?" == str(refused.value)


def test_a_deeply_nested_file_is_refused() -> None:
    """Nesting that exhausts the stack is an error of the file, not a crash."""
    with pytest.raises(ValueError, match="nested too deeply"):
        parse(b"[" * 5000)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"cluster: \xc3\x28", b"\x00"])
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    """What cannot be decoded is refused in a sentence."""
    with pytest.raises(ValueError, match="cannot be read as YAML"):
        parse(content)


def test_a_long_value_is_cut_in_the_message() -> None:
    """A message never repeats a page of text."""
    with pytest.raises(ValueError, match="is no text") as refused:
        parse(b"cluster: [" + b"a, " * 1000 + b"a]")
    assert len(str(refused.value)) < 200


def test_a_wrong_configuration_is_wrong_usage() -> None:
    """The exit code of a bad file is 2."""
    assert ConfigError.exit_code == 2


@pytest.mark.parametrize("text", ["", "7", "d", "1.5h", "-1h", "1h 30m", "30m1h", None, 7, True, "٣d"])
def test_what_is_no_duration(text: object) -> None:
    """A duration has whole numbers, units, and the larger units first."""
    with pytest.raises(ValueError, match="is no duration; write it with a unit"):
        duration(text)


@pytest.mark.parametrize("text", ["", "1", "GiB", "1 gib", "1Gi", "-1GiB", "1e3MiB", None, 7, "٣GiB"])
def test_what_is_no_size(text: object) -> None:
    """A size has a number and a binary unit."""
    with pytest.raises(ValueError, match="is no size; write it with a unit"):
        size(text)


@pytest.mark.parametrize(
    ("text", "hours"), [("7d", 168), ("36h", 36), ("30m", 0.5), ("1h30m", 1.5), ("2w", 336), ("3600s", 1)]
)
def test_durations(text: str, hours: float) -> None:
    """A duration is nanoseconds."""
    assert int(hours * HOUR) == duration(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("1GiB", 2**30), ("500MiB", 500 * 2**20), ("1.5GiB", 3 * 2**29), ("64 KiB", 2**16)]
)
def test_sizes(text: str, expected: int) -> None:
    """A size is bytes."""
    assert expected == size(text)


def test_the_example_of_the_design() -> None:
    """The documented example means what it says."""
    expected = Config(
        cluster="prod-eu-1",
        watch=Watch(
            include=("*.example.com/*", "cert-manager.io/Certificate", "v1/ConfigMap"),
            exclude=("*/*Report",),
            namespaces=("team-a",),
            label_selector="app=web",
        ),
        changes=Changes(
            writers=Writers(human=("kubectl-*",), gitops=("argocd-*",)),
            redact=("/spec/credentials/*",),
            ignore_paths=("/status/lastSeen",),
        ),
        journal=JournalLimits(retention_ns=168 * HOUR, size_bytes=2**30),
        otlp=Otlp(),
    )
    assert expected == load(HERE / "good" / "design.yml")


def test_odd_values_that_are_meant() -> None:
    """What looks odd and is correct is taken as it is."""
    config = load(HERE / "good" / "edges.yml")
    expected = (
        "123",
        ("core/Secret", "apps/Deployment", "*/[A-M]*", "gateway.networking.k8s.io/*Route"),
        (),
        ("/spec/**/token", "/metadata/annotations/example.com~1key", "/a~0b"),
        JournalLimits(retention_ns=int(1.5 * HOUR), size_bytes=3 * 2**29),
    )
    actual = (config.cluster, config.watch.include, config.watch.exclude, config.changes.redact, config.journal)
    assert expected == actual


@pytest.mark.parametrize("name", ["empty.yml", "commented.yml"])
def test_a_file_that_says_nothing_is_the_default(name: str) -> None:
    """An empty file, or one with all its lines commented out, is the same as none."""
    assert Config() == load(HERE / "good" / name)


def test_the_defaults() -> None:
    """Without a file: every custom resource but the noisy kinds, seven days, one GiB."""
    expected = (("*/*",), NOISY, 168 * HOUR, 2**30)
    config = Config()
    actual = (config.watch.include, config.watch.exclude, config.journal.retention_ns, config.journal.size_bytes)
    assert expected == actual


@pytest.mark.parametrize(
    ("group", "kind", "wanted"),
    [
        ("wgpolicyk8s.io", "PolicyReport", False),
        ("aquasecurity.github.io", "VulnerabilityReport", False),
        ("cilium.io", "CiliumEndpoint", False),
        ("cilium.io", "CiliumNetworkPolicy", True),
        ("kyverno.io", "ClusterPolicy", True),
        ("autoscaling.k8s.io", "VerticalPodAutoscaler", True),
    ],
)
def test_what_the_shipped_list_leaves_out(group: str, kind: str, *, wanted: bool) -> None:
    """Scans, endpoints and checkpoints are left out; what a person declares is not."""
    watch = Config().watch
    assert wanted == TypeSelection(watch.include, watch.exclude).wants_kind(group, kind)


def test_the_configuration_is_frozen() -> None:
    """Nobody changes the configuration while it is in force."""
    with pytest.raises(AttributeError):
        Config().cluster = "other"  # type: ignore[misc]
