"""Workload: what is known of the one that serves a model, as it was read from the cluster."""

from dataclasses import dataclass
from typing import Any

from sidecar.kubernetes.rollback.cluster.protocol import KindName, Object

MODEL_LABEL = "model-sidecar.io/model"
ENABLED_LABEL = "model-sidecar.io/rollback"
VERSION_LABEL = "model-sidecar.io/model-version"

_CONTROLLERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "helm-controller": "Flux",
    "kustomize-controller": "Flux",
}
"""Field managers of the controllers that put back what Git says."""

_MARKS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
}
"""Labels and annotations of the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload and what belongs to it. `object` is None where there is no cluster to read it from."""

    kind: KindName
    namespace: str
    name: str
    object: Object | None
    replica_sets: tuple[Object, ...] = ()
    autoscaler: Object | None = None
    listed: bool = False

    def __str__(self) -> str:
        """Write it as `kubectl` does."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def document(self) -> Object:
        """Return the object; only for where there is a cluster it was read from."""
        assert self.object is not None
        return self.object

    @property
    def enabled(self) -> bool:
        """Tell whether its owner agreed: by the label, or by listing it in the policy file."""
        return self.listed or labels(self.object or {}).get(ENABLED_LABEL) == "enabled"


def metadata(document: Object) -> dict[str, Any]:
    """Return the metadata of an object."""
    return document.get("metadata") or {}


def labels(document: Object) -> dict[str, str]:
    """Return the labels of an object."""
    return metadata(document).get("labels") or {}


def annotations(document: Object) -> dict[str, str]:
    """Return the annotations of an object."""
    return metadata(document).get("annotations") or {}


def controller(document: Object) -> dict[str, Any] | None:
    """Return the owner that controls an object."""
    owners = metadata(document).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def owned_by(document: Object, owner: Object) -> bool:
    """Tell whether an object is controlled by another, which its uid names."""
    reference, uid = controller(document), metadata(owner).get("uid")
    return reference is not None and uid is not None and reference.get("uid") == uid


def manager(document: Object) -> str | None:
    """Name the controller that would revert changes of an object: Argo CD, Flux, or its operator.

    The label `app.kubernetes.io/instance`, by which Argo CD tracks where it is set up so, is also what every Helm chart
    sets; there its field manager gives Argo CD away.
    """
    owner = controller(document)
    if owner is not None:
        return f"{owner.get('kind')} {owner.get('name')}"
    marks = {**labels(document), **annotations(document)}
    for mark, name in _MARKS.items():
        if mark in marks:
            return name
    for field in metadata(document).get("managedFields") or []:
        if field.get("manager") in _CONTROLLERS:
            return _CONTROLLERS[field["manager"]]
    return None


def appliers(document: Object) -> list[str]:
    """Name the field managers that own fields of an object by server-side apply, and so meet conflicts over changes."""
    fields = metadata(document).get("managedFields") or []
    return sorted({f"{f.get('manager')}" for f in fields if f.get("operation") == "Apply" and not f.get("subresource")})
