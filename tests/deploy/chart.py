"""The chart as its users have it: rendered, refused or linted by the real Helm.

Must never read a template: what counts is what comes out.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from tests.servers import build


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy/helm/customresource-exporter"
NAME = "customresource-exporter"
CI = sorted(CHART.glob("ci/*.yaml"))

Object = dict[str, Any]


def render(
    values: Mapping[str, Any] | Path | None = None, *, release: str = NAME, namespace: str = NAME
) -> list[Object]:
    """The objects that an installation with these values has."""
    key = values if isinstance(values, Path) else msgspec.json.encode(values).decode()
    return [one for one in yaml.safe_load_all(_rendered(key, release, namespace)) if one]


@cache
def _rendered(values: Path | str, release: str, namespace: str) -> str:
    """What Helm prints, asked once: the chart does not change while the tests run."""
    given = values if isinstance(values, Path) else msgspec.json.decode(values)
    answer = helm("template", release, str(CHART), f"--namespace={namespace}", values=given)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def refusal(values: Mapping[str, Any]) -> str:
    """What Helm says to values that it refuses."""
    answer = helm("template", NAME, str(CHART), f"--namespace={NAME}", values=values)
    assert answer.returncode != 0, "nothing was refused"
    return answer.stderr


def helm(*args: str, values: Mapping[str, Any] | Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real Helm; values come from a file, or from a mapping over stdin."""
    given = ["--values", str(values) if isinstance(values, Path) else "-"] if values is not None else []
    text = "" if values is None or isinstance(values, Path) else msgspec.json.encode(values).decode()
    return subprocess.run(
        [build.required("helm"), *args, *given], input=text, capture_output=True, text=True, timeout=60, check=False
    )


def one(objects: Iterable[Object], kind: str, name: str = "") -> Object:
    """The only object of a kind, or that of a name."""
    found = [each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def kinds(objects: Iterable[Object]) -> set[str]:
    """Which kinds there are."""
    return {each["kind"] for each in objects}


def workload(objects: Iterable[Object]) -> Object:
    """The StatefulSet or Deployment."""
    (found,) = [each for each in objects if each["kind"] in ("StatefulSet", "Deployment")]
    return found


def pod(objects: Iterable[Object]) -> Object:
    """The spec of the pod."""
    spec: Object = workload(objects)["spec"]["template"]["spec"]
    return spec


def container(objects: Iterable[Object]) -> Object:
    """The exporter's container."""
    (found,) = [each for each in pod(objects)["containers"] if each["name"] == "exporter"]
    return dict(found)
