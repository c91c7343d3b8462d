"""Those who declare an object, each as it really writes: with what operation, under which name, leaving which marks.

kubectl and Helm are the real programs. Argo CD, Flux and Terraform are written after them: what reaches the API server
is the request that they send. Each is one function, which declares what the scene's manifest says, whether that is new,
changed, or there already.

Sources: the documents and code of gitops-engine, fluxcd/pkg/ssa, helm-controller, terraform-provider-kubernetes.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tests.drift.truth import pump
from tests.drift.truth.scene import done
from tests.servers import build


if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.drift.truth.pump import Object
    from tests.drift.truth.scene import Scene

_DRY_RUN = {"dryRun": "All"}
_RELEASE = "pump"
_BY_HELM = {"app.kubernetes.io/managed-by": "Helm"}


class Declare(Protocol):
    """Declares the manifest of a scene; `before` is what it had declared last."""

    async def __call__(self, scene: Scene, before: Object) -> None:
        """Write."""


class Foresee(Protocol):
    """Tells what the object would be after it was declared once more. Nothing is written."""

    async def __call__(self, scene: Scene) -> Object:
        """Ask the API server."""


class Declarer(NamedTuple):
    """One who declares: how it writes, and what the API server says would come of its writing again."""

    declare: Declare
    foresee: Foresee


def _marked(manifest: Object, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Object:
    """A manifest with a tool's marks."""
    whole = deepcopy(manifest)
    whole["metadata"]["labels"] |= labels
    whole["metadata"]["annotations"] |= annotations
    return whole


def _released(namespace: str) -> dict[str, str]:
    """What Helm notes of a release of this namespace."""
    return {"meta.helm.sh/release-name": _RELEASE, "meta.helm.sh/release-namespace": namespace}


# -- kubectl --------------------------------------------------------------------------------------------------------


async def _kubectl_apply(scene: Scene, before: Object) -> None:
    del before
    await scene.kubectl("apply", "-f", "-", stdin=scene.manifest)


async def _kubectl_apply_again(scene: Scene) -> Object:
    return _read(await scene.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=scene.manifest))


async def _kubectl_server_side(scene: Scene, before: Object) -> None:
    del before
    await scene.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=scene.manifest)


async def _kubectl_server_side_again(scene: Scene) -> Object:
    return await _foreseen(scene, scene.manifest, "kubectl")


async def _nobody(scene: Scene, before: Object) -> None:
    """`create` and `replace` leave nothing that says what is meant to be there."""
    del before
    command = "create" if (await scene.wire.get(scene.path)).status == 404 else "replace"
    await scene.kubectl(command, "-f", "-", stdin=scene.manifest)


async def _nobody_again(scene: Scene) -> Object:
    return await scene.live()


# -- Helm -----------------------------------------------------------------------------------------------------------


def _of_helm(scene: Scene) -> Object:
    return _marked(scene.manifest, _BY_HELM, _released(scene.namespace))


async def _helm(scene: Scene, before: Object) -> None:
    del before
    chart = scene.directory / "chart"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: pump, version: 0.1.0}\n", encoding="utf-8")
    (chart / "templates" / "pump.yaml").write_text(json.dumps(scene.manifest), encoding="utf-8")
    await asyncio.to_thread(
        _run_helm, scene, "upgrade", "--install", "--force-conflicts", _RELEASE, str(chart), f"-n={scene.namespace}"
    )


def _run_helm(scene: Scene, *args: str) -> None:
    # Its caches and repositories would otherwise land in the user's home.
    homes = {name: str(scene.directory / name.lower()) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME")}
    answer = subprocess.run(
        [build.required("helm"), f"--kubeconfig={scene.cluster.kubeconfig}", *args],
        env=os.environ | homes | {"HELM_DATA_HOME": str(scene.directory / "helm_data_home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


async def _helm_again(scene: Scene) -> Object:
    return await _foreseen(scene, _of_helm(scene), "helm")


# -- Argo CD --------------------------------------------------------------------------------------------------------

_ARGO_CD = "argocd-controller"


def _of_argo_cd(scene: Scene, manifest: Object | None = None) -> Object:
    place = f"pumps:{pump.GROUP}/{pump.KIND}:{scene.namespace}/{pump.NAME}"
    return _marked(manifest or scene.manifest, {}, {"argocd.argoproj.io/tracking-id": place})


async def _argo_cd_client_side(scene: Scene, before: Object) -> None:
    """Argo CD runs the code of `kubectl apply` under a name of its own."""
    del before
    await scene.kubectl("apply", f"--field-manager={_ARGO_CD}", "-f", "-", stdin=_of_argo_cd(scene))


async def _argo_cd_client_side_again(scene: Scene) -> Object:
    flags = (f"--field-manager={_ARGO_CD}", "--dry-run=server", "-o", "json", "-f", "-")
    return _read(await scene.kubectl("apply", *flags, stdin=_of_argo_cd(scene)))


async def _argo_cd_server_side(scene: Scene, before: Object) -> None:
    """At first it was client-side, with another size; its annotation stays behind and says so."""
    del before
    if (await scene.wire.get(scene.path)).status == 404:
        old = _of_argo_cd(scene, pump.declared(size=1))
        await scene.kubectl("apply", f"--field-manager={_ARGO_CD}", "-f", "-", stdin=old)
        await scene.next_second()
    await _apply(scene, _of_argo_cd(scene), _ARGO_CD)


async def _argo_cd_server_side_again(scene: Scene) -> Object:
    return await _foreseen(scene, _of_argo_cd(scene), _ARGO_CD)


# -- Flux -----------------------------------------------------------------------------------------------------------

_KUSTOMIZE = "kustomize-controller"
_KUSTOMIZES = (_KUSTOMIZE, "Apply")
_HELM_CONTROLLER = "helm-controller"


def _of_kustomize(scene: Scene) -> Object:
    prefix = "kustomize.toolkit.fluxcd.io"
    return _marked(scene.manifest, {f"{prefix}/name": "pumps", f"{prefix}/namespace": "flux-system"}, {})


async def _flux_kustomize(scene: Scene, before: Object) -> None:
    """It takes over what kubectl owns before it applies, so that what a person added is pruned."""
    del before
    answer = await scene.wire.get(scene.path)
    if answer.status == 200 and (patch := _takeover(answer.body)):
        done(await scene.wire.json_patch(scene.path, patch, who=_KUSTOMIZE))
    await _apply(scene, _of_kustomize(scene), _KUSTOMIZE)


def _takeover(live: Object) -> list[Object]:
    """The patch by which kubectl's entries become its own, and last-applied goes."""
    entries = live["metadata"]["managedFields"]
    own = [entry for entry in entries if _is_kubectls(entry) or (entry["manager"], entry["operation"]) == _KUSTOMIZES]
    if not any(map(_is_kubectls, own)):
        return []
    fields: Object = {}
    for entry in own:
        fields = _union(fields, entry["fieldsV1"])
    name, operation = _KUSTOMIZES
    whole = {**own[0], "manager": name, "operation": operation, "fieldsV1": fields}
    entries = [whole, *(entry for entry in entries if entry not in own)]
    patch = [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]
    if pump.LAST_APPLIED in live["metadata"]["annotations"]:
        patch.append({"op": "remove", "path": f"/metadata/annotations/{pump.LAST_APPLIED.replace('/', '~1')}"})
    return patch


def _is_kubectls(entry: Object) -> bool:
    return str(entry["manager"]).startswith("kubectl")


def _union(one: Object, other: Object) -> Object:
    return one | {name: _union(one.get(name, {}), below) for name, below in other.items()}


async def _flux_kustomize_again(scene: Scene) -> Object:
    return await _foreseen(scene, _of_kustomize(scene), _KUSTOMIZE)


def _of_flux_helm(manifest: Object) -> Object:
    prefix = "helm.toolkit.fluxcd.io"
    labels = {**_BY_HELM, f"{prefix}/name": "pumps", f"{prefix}/namespace": "flux-system"}
    return _marked(manifest, labels, _released("flux-system"))


async def _flux_helm(scene: Scene, before: Object) -> None:
    """As Helm 3 does: an upgrade sends what differs between the two charts, whatever the live object is.

    Without an upgrade it corrects what is not as a dry run of server-side apply says.
    """
    whole = _of_flux_helm(scene.manifest)
    if (await scene.wire.get(scene.path)).status == 404:
        done(await scene.wire.post(scene.path.rpartition("/")[0], whole, who=_HELM_CONTROLLER))
        return
    if scene.manifest == before:
        patch = _difference(_declarable(await scene.live()), _declarable(await _flux_helm_again(scene)))
    else:
        patch = _difference(_of_flux_helm(before), whole)
    if patch:
        await scene.merge(patch, _HELM_CONTROLLER)


def _declarable(whole: Object) -> Object:
    """The part of an object that a manifest can hold."""
    metadata = {name: whole["metadata"].get(name, {}) for name in ("labels", "annotations")}
    return {"metadata": metadata, "spec": whole["spec"]}


def _difference(old: Any, new: Any) -> Any:
    """The merge patch (RFC 7386) that makes `new` of `old`."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {name: _difference(old.get(name), value) for name, value in new.items() if old.get(name) != value}
    return changed | {name: None for name in old if name not in new}


async def _flux_helm_again(scene: Scene) -> Object:
    return await _foreseen(scene, _of_flux_helm(scene.manifest), _HELM_CONTROLLER)


# -- Terraform ------------------------------------------------------------------------------------------------------


async def _terraform(scene: Scene, before: Object) -> None:
    del before
    await _apply(scene, scene.manifest, "Terraform")


async def _terraform_again(scene: Scene) -> Object:
    return await _foreseen(scene, scene.manifest, "Terraform")


# -- all of them ----------------------------------------------------------------------------------------------------


def _read(text: str) -> Object:
    whole: Object = json.loads(text)
    return whole


async def _apply(scene: Scene, manifest: Object, who: str) -> None:
    done(await scene.wire.apply(scene.path, manifest, who=who, force="true"))


async def _foreseen(scene: Scene, manifest: Object, who: str) -> Object:
    whole: Object = done(await scene.wire.apply(scene.path, manifest, who=who, force="true", **_DRY_RUN))
    return whole


DECLARERS = {
    "kubectl": Declarer(_kubectl_apply, _kubectl_apply_again),
    "kubectl-server-side": Declarer(_kubectl_server_side, _kubectl_server_side_again),
    "helm": Declarer(_helm, _helm_again),
    "argocd": Declarer(_argo_cd_client_side, _argo_cd_client_side_again),
    "argocd-server-side": Declarer(_argo_cd_server_side, _argo_cd_server_side_again),
    "flux-kustomize": Declarer(_flux_kustomize, _flux_kustomize_again),
    "flux-helm": Declarer(_flux_helm, _flux_helm_again),
    "nobody": Declarer(_nobody, _nobody_again),
    "terraform": Declarer(_terraform, _terraform_again),
}
