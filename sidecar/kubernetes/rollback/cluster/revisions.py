"""Revisions: the pod templates a Deployment or Rollout has had, and which of them to go back to."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from sidecar.kubernetes.rollback.cluster.protocol import Object
from sidecar.kubernetes.rollback.cluster.workload import VERSION_LABEL, annotations, labels, metadata

SIDECAR_CONTAINER = "model-sidecar"
"""The container that runs beside the model; a new image of it makes no new model."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a controller writes the number of a revision, and the hash of its template."""

    revision: str
    template_hash: str


DEPLOYMENT_MARKS = Marks("deployment.kubernetes.io/revision", "pod-template-hash")
ROLLOUT_MARKS = Marks("rollout.argoproj.io/revision", "rollouts-pod-template-hash")


_INJECTED_METADATA = "rollout.argoproj.io/ephemeral-metadata"


class _Injected(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One template, its number, hash and when it was first rolled out. `template` has no hash in it."""

    number: int
    hash: str
    template: dict[str, Any]
    created: datetime | None

    @property
    def version(self) -> str:
        """Return what people know it by: the model version where it is labelled, and the images."""
        label, images = identity(self.template)
        names = ", ".join(image.rpartition("/")[2] for _, image in images)
        return f"{label} ({names})" if label else names


def revisions(replica_sets: tuple[Object, ...], marks: Marks) -> list[Revision]:
    """Return the revisions that the ReplicaSets of a workload hold, the oldest first."""
    found: list[Revision] = []
    for replica_set in replica_sets:
        number = annotations(replica_set).get(marks.revision, "")
        if number.isdecimal():
            found.append(
                Revision(
                    number=int(number),
                    hash=labels(replica_set).get(marks.template_hash, metadata(replica_set)["name"]),
                    template=_without_injected(bare(replica_set["spec"]["template"]), replica_set),
                    created=_moment(metadata(replica_set).get("creationTimestamp")),
                )
            )
    return sorted(found, key=lambda revision: revision.number)


def rolled_out(owner: Object, current: Revision) -> datetime | None:
    """Return when the current revision was last rolled out: after its creation, if it was a rollback."""
    conditions = (owner.get("status") or {}).get("conditions") or []
    updated = [_moment(c.get("lastUpdateTime")) for c in conditions if c.get("type") == "Progressing"]
    return max((moment for moment in (current.created, *updated) if moment is not None), default=None)


def bare(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a pod template without what a controller put in: the hash, and an empty time of creation."""
    copy = deepcopy(template)
    about = copy.get("metadata") or {}
    if about.get("creationTimestamp", "") is None:
        del about["creationTimestamp"]
    for marks in (DEPLOYMENT_MARKS, ROLLOUT_MARKS):
        (about.get("labels") or {}).pop(marks.template_hash, None)
    return copy


def _without_injected(template: dict[str, Any], replica_set: Object) -> dict[str, Any]:
    """Take off what Argo Rollouts adds to the pods of one ReplicaSet: metadata of a canary, and anti-affinity."""
    try:
        injected = msgspec.json.decode(annotations(replica_set).get(_INJECTED_METADATA, "{}"), type=_Injected)
    except msgspec.MsgspecError:
        injected = _Injected()  # not as its controller writes it: nothing is known to be injected
    about = template.get("metadata") or {}
    for field, added in (("labels", injected.labels), ("annotations", injected.annotations)):
        there = about.get(field) or {}
        for name in added:
            there.pop(name, None)
    spec = template.get("spec") or {}
    anti_affinity = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    for field, terms in anti_affinity.items():
        anti_affinity[field] = [term for term in terms if ROLLOUT_MARKS.template_hash not in str(term)]
    return template


def identity(template: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return what makes a model another one: its version, by label or annotation, and the images but the sidecar's."""
    marks = {**annotations(template), **labels(template)}
    spec = template.get("spec") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    images = sorted((c.get("name", ""), c.get("image", "")) for c in containers if c.get("name") != SIDECAR_CONTAINER)
    return marks.get(VERSION_LABEL, ""), tuple(images)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
