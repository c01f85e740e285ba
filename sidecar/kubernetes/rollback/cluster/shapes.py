"""Shapes: what an object must have to be acted on, checked once where objects come in.

The API checks built-in kinds. Custom resources may lack anything, and so may the objects of a file.
"""

from typing import Any

import msgspec

from sidecar.kubernetes.rollback.cluster.protocol import (
    AUTOSCALER,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    REPLICA_SET,
    ROLLOUT,
    ClusterError,
    Kind,
    Object,
)


class Misshapen(ClusterError):
    """An object lacks what its kind has; the message says which and what."""


class _Metadata(msgspec.Struct):
    name: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: list[dict[str, Any]] | None = None
    managedFields: list[dict[str, Any]] | None = None


class _Pod(msgspec.Struct):
    containers: list[dict[str, Any]]
    initContainers: list[dict[str, Any]] | None = None


class _PodMetadata(msgspec.Struct):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Template(msgspec.Struct):
    spec: _Pod
    metadata: _PodMetadata | None = None


class _Selector(msgspec.Struct):
    matchLabels: dict[str, str] | None = None


class _TemplateSpec(msgspec.Struct):
    template: _Template
    selector: _Selector | None = None
    replicas: int = 1


class _RolloutSpec(msgspec.Struct):
    template: _Template | msgspec.UnsetType = msgspec.UNSET
    selector: _Selector | None = None
    replicas: int = 1


class _ServiceSpec(msgspec.Struct):
    predictor: dict[str, Any]


class _AutoscalerSpec(msgspec.Struct):
    scaleTargetRef: dict[str, Any]
    maxReplicas: int
    minReplicas: int = 1


class _Of(msgspec.Struct):
    metadata: _Metadata
    status: dict[str, Any] | None = None


class _Templated(_Of, kw_only=True):
    spec: _TemplateSpec


class _Rollout(_Of, kw_only=True):
    spec: _RolloutSpec


class _Service(_Of, kw_only=True):
    spec: _ServiceSpec


class _Autoscaler(_Of, kw_only=True):
    spec: _AutoscalerSpec


_SHAPES: dict[Kind, type[_Of]] = {
    DEPLOYMENT: _Templated,
    REPLICA_SET: _Templated,
    ROLLOUT: _Rollout,
    INFERENCE_SERVICE: _Service,
    AUTOSCALER: _Autoscaler,
}


def checked(kind: Kind, document: Object) -> Object:
    """Return an object that has what its kind has; raises Misshapen."""
    try:
        msgspec.convert(document, _SHAPES[kind])
    except msgspec.ValidationError as error:
        about = document.get("metadata")
        name = about.get("name") if isinstance(about, dict) else None
        raise Misshapen(f"the {kind.name} {name} is not of the form of its kind: {error}") from error
    return document
