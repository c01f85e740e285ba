"""Find: the workload that serves the model of an alert, and what belongs to it.

A model that the policy file lists is served by what it says; any other by the objects of the kinds in question that
carry the label `model-sidecar.io/model` with its name.
"""

import re

from sidecar.kubernetes.rollback.cluster.protocol import (
    AUTOSCALER,
    REPLICA_SET,
    WORKLOADS,
    Cluster,
    KindName,
    NotFound,
    Object,
)
from sidecar.kubernetes.rollback.cluster.shapes import checked
from sidecar.kubernetes.rollback.cluster.workload import MODEL_LABEL, Workload, metadata, owned_by
from sidecar.kubernetes.rollback.policy import Action, Listed, Rollback

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


async def find(
    cluster: Cluster | None, config: Rollback, *, model: str, namespace: str, action: Action
) -> list[Workload]:
    """Return the workloads of a model; without a cluster, those that are listed, unread. Raises ClusterError."""
    listed = [entry for entry in config.workloads if entry.model == model and entry.namespace == namespace]
    if cluster is None:
        return [_unread(entry) for entry in listed]
    found: list[tuple[KindName, Object]] = []
    if listed:
        for entry in listed:
            try:
                document = await cluster.get(WORKLOADS[entry.kind], namespace, entry.name)
                found.append((entry.kind, checked(WORKLOADS[entry.kind], document)))
            except NotFound:
                continue
    elif _LABEL_VALUE.fullmatch(model):
        for kind in config.kinds:
            objects = await cluster.list(WORKLOADS[kind], namespace, labels={MODEL_LABEL: model})
            found += [(kind, checked(WORKLOADS[kind], document)) for document in objects]
    return [
        Workload(
            kind=kind,
            namespace=namespace,
            name=metadata(document)["name"],
            object=document,
            replica_sets=await _replica_sets(cluster, kind, namespace, document),
            autoscaler=await _autoscaler(cluster, kind, namespace, document) if action == "scale_down" else None,
            listed=bool(listed),
        )
        for kind, document in found
    ]


def _unread(entry: Listed) -> Workload:
    return Workload(kind=entry.kind, namespace=entry.namespace, name=entry.name, object=None, listed=True)


async def _replica_sets(cluster: Cluster, kind: KindName, namespace: str, document: Object) -> tuple[Object, ...]:
    if kind == "InferenceService":
        return ()
    # Labels only narrow the list down: those of several workloads may fit, and `matchExpressions` is not asked for.
    selector = ((document.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    listed = await cluster.list(REPLICA_SET, namespace, labels=selector)
    return tuple(checked(REPLICA_SET, replica_set) for replica_set in listed if owned_by(replica_set, document))


async def _autoscaler(cluster: Cluster, kind: KindName, namespace: str, document: Object) -> Object | None:
    for autoscaler in await cluster.list(AUTOSCALER, namespace):
        checked(AUTOSCALER, autoscaler)
        target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == (kind, metadata(document)["name"]):
            return autoscaler
    return None
