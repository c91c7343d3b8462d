"""Builds the test servers from their pinned Go modules, once per version, into the user's cache.

`python -m tests.servers.build [--compat] [names…]` builds what is missing and says where it is; `find` only looks.
Must never install anything outside the cache, change a go.mod or go.sum, or leave half a program under its final name.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import toolchain
from tests.servers.toolchain import BuildError, Toolchain


if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
FLAGS = ("-trimpath", "-buildvcs=false")
# What the envtest convention promises under KUBEBUILDER_ASSETS, and what some distributions of it add.
ASSETS = ("kube-apiserver", "etcd", "kubectl")
OPTIONAL_ASSETS = ("kube-controller-manager",)


@dataclass(frozen=True, slots=True)
class Module:
    """One directory with a go.mod; `path` is the module in it whose version its programs are known by."""

    directory: str
    path: str

    @property
    def root(self) -> Path:
        """The directory that holds go.mod."""
        return HERE / self.directory

    @property
    def version(self) -> str:
        """The version that go.mod requires, so that it is written down once."""
        text = (self.root / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"^(?:require )?\s*{re.escape(self.path)} v(\S+)", text, re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.root / 'go.mod'} does not require {self.path}")
        return found[1]

    @property
    def ldflags(self) -> str:
        """What the linker is told: no debug tables and, for Kubernetes, the version that /version answers."""
        if self.path != "k8s.io/kubernetes":
            return "-s -w"
        major, minor, _ = self.version.split(".", 2)
        package = "k8s.io/component-base/version"
        stamps = {"gitVersion": f"v{self.version}", "gitMajor": major, "gitMinor": minor}
        return " ".join(["-s -w", *(f"-X {package}.{name}={value}" for name, value in stamps.items())])

    def key(self, go: Toolchain) -> str:
        """A name for everything that decides what the binaries are: sources, pinned versions, toolchain, flags."""
        digest = hashlib.sha256()
        settings = sorted(toolchain.ENVIRONMENT.items())
        digest.update(repr((go.version, FLAGS, self.ldflags, settings)).encode())
        for path in sorted([self.root / "go.mod", self.root / "go.sum", *self.root.glob("*.go")]):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return f"{self.directory}-{digest.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Program:
    """One program that can be built: its module, the package that holds its `main`, and what is kept beside it."""

    name: str
    module: Module
    package: str
    folder: str = ""  # of the module, such as its CRDs; copied under its last name

    @property
    def title(self) -> str:
        """What people call it, with its version."""
        return f"{self.name} {self.module.version}"

    def file(self, go: Toolchain) -> Path:
        """Where it is, or will be, in the cache."""
        return toolchain.cache_directory() / "servers" / self.module.key(go) / self.name


def _kubernetes(directory: str) -> list[Program]:
    module = Module(directory, "k8s.io/kubernetes")
    names = ("kube-apiserver", "kube-controller-manager", "kubectl")
    return [Program(name, module, f"{module.path}/cmd/{name}") for name in names]


_COMMON = [
    Program("etcd", Module("etcd", "go.etcd.io/etcd/server/v3"), "go.etcd.io/etcd/server/v3"),
    Program("etcdutl", Module("etcdutl", "go.etcd.io/etcd/etcdutl/v3"), "go.etcd.io/etcd/etcdutl/v3"),
    Program("collector", Module("collector", "go.opentelemetry.io/collector/otelcol"), "."),
    Program(
        "promtool",
        Module("prometheus", "github.com/prometheus/prometheus"),
        "github.com/prometheus/prometheus/cmd/promtool",
    ),
    Program(
        "cert-manager",
        Module("cert-manager", "github.com/cert-manager/cert-manager"),
        "github.com/cert-manager/cert-manager/cmd/controller",
        "deploy/crds",
    ),
    Program("helm", Module("helm", "helm.sh/helm/v4"), "helm.sh/helm/v4/cmd/helm"),
    Program(
        "jaeger",
        Module("jaeger", "github.com/jaegertracing/jaeger"),
        "github.com/jaegertracing/jaeger/cmd/all-in-one",
    ),
]
PROGRAMS = {program.name: program for program in [*_kubernetes("kubernetes"), *_COMMON]}
COMPAT_PROGRAMS = {program.name: program for program in [*_kubernetes("kubernetes-1.34"), *_COMMON]}
# What `make test` does without, and takes minutes: built only where it is asked for by name.
_BY_NAME = [
    # Measured by the benchmarks.
    Program(
        "kube-state-metrics",
        Module("kube-state-metrics", "k8s.io/kube-state-metrics/v2"),
        "k8s.io/kube-state-metrics/v2",
    ),
    # Of the whole stack, which `make e2e` and `make try` start.
    Program(
        "prometheus",
        Module("prometheus", "github.com/prometheus/prometheus"),
        "github.com/prometheus/prometheus/cmd/prometheus",
    ),
    Program(
        "alertmanager",
        Module("alertmanager", "github.com/prometheus/alertmanager"),
        "github.com/prometheus/alertmanager/cmd/alertmanager",
    ),
    Program("loki", Module("loki", "github.com/grafana/loki/v3"), "github.com/grafana/loki/v3/cmd/loki"),
]


def find(name: str, *, compat: bool = False) -> Path | None:
    """The program if it is there already; None where it would have to be built first."""
    asset = _asset(name, compat=compat)
    file = asset or _program(name, compat=compat).file(toolchain.chosen())
    return file if file.exists() else None


def required(name: str, *, compat: bool = False) -> Path:
    """The program, which has to be there; nothing is built in the middle of a test."""
    file = find(name, compat=compat)
    if file is None:
        target = "make servers" if not compat else "make test-compat"
        raise BuildError(f"{name} is not built (or not in KUBEBUILDER_ASSETS): run `{target}`")
    return file


def ensure(names: Iterable[str] = (), *, compat: bool = False) -> dict[str, Path]:
    """The programs by name (all of them where none is named), built first where they are missing."""
    files = {}
    for name in names or PROGRAMS:
        asset = _asset(name, compat=compat)
        if asset is not None and not asset.exists():
            raise BuildError(
                f"KUBEBUILDER_ASSETS is set, but {asset} does not exist: "
                f"set it to a complete envtest directory, or unset it to build {name} here"
            )
        files[name] = asset or _built(_program(name, compat=compat))
    return files


def _program(name: str, *, compat: bool) -> Program:
    programs = (COMPAT_PROGRAMS if compat else PROGRAMS) | {program.name: program for program in _BY_NAME}
    if name not in programs:
        raise BuildError(f"no test server is called {name!r}; there are {', '.join(programs)}")
    return programs[name]


def _asset(name: str, *, compat: bool) -> Path | None:
    """Where KUBEBUILDER_ASSETS says the program is. Not asked for `compat`, which means one certain version."""
    directory = os.environ.get("KUBEBUILDER_ASSETS")
    if not directory or compat:
        return None
    file = Path(directory).resolve() / name
    return file if name in ASSETS or (name in OPTIONAL_ASSETS and file.exists()) else None


def _built(program: Program) -> Path:
    file = program.file(toolchain.chosen())
    if file.exists():
        return file
    go = toolchain.installed()
    with toolchain.exclusively(file, program.title):
        if not file.exists():
            _build(program, go, file)
    return file


def _build(program: Program, go: Toolchain, file: Path) -> None:
    """Build under a temporary name and rename, so that an interrupted build leaves nothing that looks finished."""
    with tempfile.TemporaryDirectory(prefix=f".{program.name}.", dir=file.parent) as directory:
        output = Path(directory) / program.name
        flags = [*FLAGS, "-ldflags", program.module.ldflags, "-o", str(output)]
        toolchain.run(
            [str(go.program), "build", *flags, program.package],
            f"building {program.title} (first time: minutes)",
            environment=go.environment,
            directory=program.module.root,
        )
        if program.folder:
            _copy_folder(program, go, file.parent)
        output.rename(file)


def _copy_folder(program: Program, go: Toolchain, target: Path) -> None:
    """Copy what a program needs of its module out of Go's cache, so that nothing asks Go when it is started."""
    answer = subprocess.run(
        [go.program, "list", "-m", "-f", "{{.Dir}}", program.module.path],
        cwd=program.module.root,
        env=os.environ | dict(go.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    source = Path(answer.stdout.strip()) / program.folder
    if answer.returncode != 0 or not source.is_dir():
        raise BuildError(f"{source} of {program.title} is not there: {answer.stderr.strip() or 'the module lacks it'}")
    shutil.copytree(source, target / source.name, copy_function=shutil.copyfile, dirs_exist_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Build what is named, everything by default, and print one line of name and path for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.build", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"one of {', '.join(PROGRAMS)}; by default all of these; "
        f"or one of {', '.join(program.name for program in _BY_NAME)}",
    )
    parser.add_argument("--compat", action="store_true", help="the oldest supported Kubernetes instead of the newest")
    options = parser.parse_args(arguments)
    try:
        files = ensure(options.names, compat=options.compat)
    except BuildError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    for name, file in files.items():
        print(f"{name}\t{file}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
