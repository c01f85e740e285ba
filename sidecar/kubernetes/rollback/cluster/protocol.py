"""Cluster: the few requests that are made of the Kubernetes API, as a protocol, and how they fail.

Objects are what the API speaks, nested dictionaries, so that nothing of them is lost on the way: a field that this
version does not know stays in the pod template that is put back.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

Object = dict[str, Any]
Document = dict[str, Any]
Operations = list[dict[str, Any]]

ATTEMPTS = 5
"""How often an object is read and decided on again after a concurrent change."""

KindName = Literal["Deployment", "Rollout", "InferenceService"]
"""Kinds of workload that are acted on."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object: group (empty for the core), version, name and plural."""

    group: str
    version: str
    name: str
    plural: str

    @property
    def api_version(self) -> str:
        """Return `group/version`, as `apiVersion` has it."""
        return f"{self.group}/{self.version}" if self.group else self.version


DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets")
ROLLOUT = Kind("argoproj.io", "v1alpha1", "Rollout", "rollouts")
INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")
AUTOSCALER = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
EVENT = Kind("", "v1", "Event", "events")

KINDS: tuple[Kind, ...] = (DEPLOYMENT, REPLICA_SET, ROLLOUT, INFERENCE_SERVICE, AUTOSCALER, EVENT)

WORKLOADS: dict[KindName, Kind] = {
    "Deployment": DEPLOYMENT,
    "Rollout": ROLLOUT,
    "InferenceService": INFERENCE_SERVICE,
}


class ClusterError(Exception):
    """A request failed; the message says which and why."""


class Unavailable(ClusterError):
    """The API did not answer, or not sensibly: the same request may succeed later."""


class Conflict(ClusterError):
    """The object is not as it was when it was read, or is there already."""


class NotFound(ClusterError):
    """There is no such object."""


class Refused(ClusterError):
    """The API understood and refused: no permission, or an object that is not valid."""


class Cluster(Protocol):
    """Read and change objects. Every method raises ClusterError."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return an object; raises NotFound."""
        ...

    async def list(self, kind: Kind, namespace: str, *, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects of a namespace that have all the labels; none where the kind is not installed."""
        ...

    async def json_patch(self, kind: Kind, namespace: str, name: str, operations: Operations) -> Object:
        """Apply a JSON patch and return the object; raises Conflict where it names another resourceVersion."""
        ...

    async def merge_patch(
        self, kind: Kind, namespace: str, name: str, document: Document, *, status: bool = False
    ) -> Object:
        """Apply a merge patch, to the status subresource if asked; raises Conflict as `json_patch`."""
        ...

    async def create(self, kind: Kind, namespace: str, document: Document) -> Object:
        """Create an object, whose metadata names the namespace too; raises Conflict where it is there already."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...
