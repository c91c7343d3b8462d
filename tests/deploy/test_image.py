"""The image: what its file says, and, where that is asked for, what it is once it is built and run.

Building needs root, buildah, mmdebstrap and minutes, so `make image` asks for it (TEST_IMAGE=1). No daemon and no
registry of images is needed: Debian with Python stands in for the base.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from tests.deploy.chart import ROOT, container, render
from tests.servers.process import Server, answers, free_port
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.launch import Cluster

DOCKERFILE = ROOT / "deploy/Dockerfile"
BASE = "docker.io/library/python:3.13-slim-bookworm"
ASKED = os.environ.get("TEST_IMAGE") == "1"
built_only = pytest.mark.skipif(not ASKED, reason="run `make image`: it builds the image, as root, in minutes")


def argument(name: str) -> str:
    """The default of an argument of the build."""
    found = re.search(rf"^ARG {name}=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, name
    return found[1]


def test_the_linter() -> None:
    """Hadolint has nothing to say of the Dockerfile, not even of its style."""
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed: run `make check`")
    answer = subprocess.run(
        [program, "--failure-threshold=style", DOCKERFILE], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stdout


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    """The same linter refuses a file that runs as root from an image without a tag."""
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed: run `make check`")
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /x && apt-get install curl\n", encoding="utf-8")
    command: list[str | Path] = [program, "--failure-threshold=style", bad]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert "DL3006" in answer.stdout


def test_versions_are_written_down_once() -> None:
    """The image is of the program's version, and is built with the uv that the Makefile uses."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert argument("VERSION") == project["version"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"UV_VERSION := {argument('UV_VERSION')}\n" in makefile


def test_what_is_sent_to_the_build() -> None:
    """Everything that the build copies, and nothing else, passes .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    passed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert passed == {name for line in copied for name in line.split()}


def test_nothing_needs_what_is_left_out() -> None:
    """The exporter loads none of the Kubernetes client's models and calls, which are left out of the image."""
    loads = (
        "import sys, exporter.cli, exporter.app, exporter.sandbox.demo; "
        "print([m for m in sys.modules if m.startswith('kubernetes.') and ('.models.' in m or '.api.' in m)])"
    )
    answer = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"


class Image(Struct, frozen=True):
    """A built image: its configuration, and the directory that its root is mounted at."""

    config: dict[str, Any]
    root: Path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the image from deploy/Dockerfile, without a daemon."""
    for program in ("buildah", "mmdebstrap"):
        assert shutil.which(program), f"{program} is missing: apt-get install -y buildah mmdebstrap"
    folder = tmp_path_factory.mktemp("image")
    buildah = Buildah(folder)
    debian = Path(os.environ.get("TEST_IMAGE_BASE", folder / "base.tar"))
    if not debian.exists():
        packages = "--include=python3,python3-venv,python-is-python3,ca-certificates"
        run("mmdebstrap", "--quiet", "--variant=minbase", packages, "bookworm", str(debian))
    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, str(debian), "/")
    buildah("config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", base)
    buildah("commit", "--quiet", "--rm", base, BASE)
    certificates = "/etc/ssl/certs"
    buildah(
        "bud", "--pull-never", "--network=host", f"--volume={certificates}:{certificates}:ro",
        f"--build-arg=SSL_CERT_FILE={certificates}/ca-certificates.crt", "--tag=exporter:test", f"--file={DOCKERFILE}",
        str(ROOT),
    )  # fmt: skip
    config = json.loads(buildah("inspect", "--type=image", "localhost/exporter:test"))["OCIv1"]["config"]
    made = buildah("from", "--pull-never", "localhost/exporter:test")
    yield Image(config, Path(buildah("mount", made)))
    buildah("umount", "--all")
    buildah("rm", "--all")
    shutil.rmtree(folder, ignore_errors=True)


class Buildah:
    """buildah with a store of its own."""

    def __init__(self, folder: Path) -> None:
        """Keep everything below a folder."""
        self._store = [f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}"]

    def __call__(self, *args: str) -> str:
        """Run it; give what it prints."""
        return run("buildah", *self._store, *args)


def run(*command: str) -> str:
    """Run a program that has to succeed."""
    env = os.environ | {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    answer = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=env)
    assert answer.returncode == 0, f"{command}: {answer.stderr[-4000:]}"
    return answer.stdout.strip()


def as_pod(image: Image, config: Path, *command: str) -> list[str]:
    """The command that runs another one in the image as a container of a pod; `config` is at /mnt."""
    env = dict(one.split("=", 1) for one in image.config["Env"])
    set_up = [f"CONFIG={config}", f"IMAGE_PATH={env['PATH']}", f"IMAGE_HOME={env['HOME']}"]
    shell = str(Path(__file__).with_name("as-pod.sh"))
    return [
        "/usr/bin/env",
        *set_up,
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        shell,
        str(image.root),
        *command,
    ]


@built_only
@pytest.mark.timeout(1200)
def test_what_the_image_says_of_itself(image: Image) -> None:
    """Its user is a number, its entry point is the program itself, and its labels say what it is."""
    config = image.config
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["customresource-exporter"]
    assert config["Labels"]["org.opencontainers.image.version"] == argument("VERSION")
    owners = {path.stat().st_uid for path in (image.root / "app").rglob("*")}
    assert owners == {0}, "whoever it runs as could change what it runs"
    size = sum(path.lstat().st_size for path in (image.root / "app").rglob("*") if path.is_file())
    assert size < 120e6, f"{size / 1e6:.0f} MB beside the base"


@built_only
@pytest.mark.timeout(300)
def test_it_can_change_nothing(image: Image, tmp_path: Path) -> None:
    """As uid 65532 with a read-only root it writes to /data and /tmp, and nowhere else."""
    script = "id -u; for f in / /app /etc; do touch $f/x 2>/dev/null && echo $f; done; touch /data/x /tmp/x && echo ok"
    assert run(*as_pod(image, tmp_path, "sh", "-c", script)).split() == ["65532", "ok"]


@built_only
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_helm")
def test_it_follows_a_cluster(image: Image, cluster: Cluster, tmp_path: Path) -> None:
    """With the arguments of the chart, as uid 65532 with a read-only root, the image follows a real API server."""
    tmp_path.chmod(0o755)
    kubeconfig = cluster.kubectl("config", "view", "--raw", "--flatten")
    (tmp_path / "kubeconfig").write_text(kubeconfig, encoding="utf-8")
    (tmp_path / "config.yaml").write_text("{}\n", encoding="utf-8")
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    tmp_path.parent.chmod(0o755)
    port = free_port()
    args = [
        one.replace("/etc/customresource-exporter/config", "/mnt").replace(":9838", f"127.0.0.1:{port}")
        for one in container(render())["args"]
    ]
    command = as_pod(image, tmp_path, *image.config["Entrypoint"], *args, "--kubeconfig=/mnt/kubeconfig")
    server = Server("customresource-exporter", tmp_path / "log")
    server.start(command, lambda: answers(f"http://127.0.0.1:{port}/readyz"))
    server.terminate()
    eventually(lambda: not answers(f"http://127.0.0.1:{port}/readyz"))
