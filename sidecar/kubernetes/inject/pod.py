"""What is read of a pod; all else in it is passed by."""

from typing import Any

import msgspec

PREFIX = "model-sidecar.io/"
CONTAINER = "model-sidecar"
INJECT_LABEL = PREFIX + "inject"
INJECTED_LABEL = PREFIX + "injected"
MODEL_LABEL = PREFIX + "model"
CONFIG_ANNOTATION = PREFIX + "config"


class _Read(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Owner(_Read, frozen=True):
    """What made the pod: a ReplicaSet, a Job and so on."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None

    def __str__(self) -> str:
        """Write it as `kubectl` does."""
        return f"{self.kind.lower()}/{self.name}"


class Metadata(_Read, frozen=True):
    """Names, owners, labels and annotations. A pod of a controller has no name yet, only what it will begin with."""

    name: str | None = None
    generate_name: str | None = None
    owner_references: tuple[Owner, ...] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Named(_Read, frozen=True):
    """Anything with a name."""

    name: str


class EnvVar(_Read, frozen=True):
    """A variable of a container; `value` is None where it comes from elsewhere."""

    name: str
    value: str | None = None


class Port(_Read, frozen=True):
    """A port that a container declares."""

    container_port: int


class Mount(_Read, frozen=True):
    """Where a volume is in a container."""

    name: str
    mount_path: str


class Container(_Read, frozen=True):
    """A container or init container."""

    name: str
    env: tuple[EnvVar, ...] | None = None
    ports: tuple[Port, ...] | None = None
    volume_mounts: tuple[Mount, ...] | None = None


class SecurityContext(_Read, frozen=True):
    """Groups that all containers of a pod have."""

    supplemental_groups: tuple[int, ...] | None = None


class Spec(_Read, frozen=True):
    """The specification of a pod."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Named, ...] | None = None
    volumes: tuple[Named, ...] | None = None
    security_context: SecurityContext | None = None
    host_network: bool | None = None
    restart_policy: str | None = None
    node_selector: dict[str, str] | None = None
    os: Named | None = None
    resources: Any = None

    def all_containers(self) -> tuple[Container | Named, ...]:
        """Return containers of every kind."""
        return (*self.containers, *(self.init_containers or ()), *(self.ephemeral_containers or ()))


class Pod(_Read, frozen=True):
    """A pod that is about to be created."""

    spec: Spec
    metadata: Metadata = Metadata()

    def labels(self) -> dict[str, str]:
        """Return the labels."""
        return self.metadata.labels or {}

    def annotations(self) -> dict[str, str]:
        """Return the annotations."""
        return self.metadata.annotations or {}

    def owner(self) -> Owner | None:
        """Return what controls the pod."""
        return next((owner for owner in self.metadata.owner_references or () if owner.controller), None)

    def has_sidecar(self) -> bool:
        """Tell whether an injector has been here before."""
        return self.labels().get(INJECTED_LABEL) == "true"
