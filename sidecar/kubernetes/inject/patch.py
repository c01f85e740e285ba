"""Pod to JSON patch (RFC 6902): only what is missing is added, so that patching twice is patching once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.kubernetes.inject import additions
from sidecar.kubernetes.inject.additions import Json
from sidecar.kubernetes.inject.annotations import Wanted, wanted
from sidecar.kubernetes.inject.form import parts_of
from sidecar.kubernetes.inject.outcome import LeftAlone, Outcome
from sidecar.kubernetes.inject.pod import (
    CONFIG_ANNOTATION,
    CONTAINER,
    INJECT_LABEL,
    INJECTED_LABEL,
    MODEL_LABEL,
    Container,
    Pod,
)
from sidecar.kubernetes.inject.settings import Settings

_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Patch:
    """The patch of a pod, and warnings for its owner."""

    operations: list[Json]
    warnings: list[str]


def patch(pod: Pod, settings: Settings, *, namespace: str) -> Patch:
    """Return what makes a sidecar of the pod's own; raises LeftAlone where it is not to have one."""
    _check_wanted(pod, settings, namespace)
    asked = wanted(pod, settings)
    _check_room(pod, settings, asked)
    warnings: list[str] = []
    operations = [
        *_metadata(pod, settings, asked, warnings),
        *_volumes(pod, settings, asked),
        *_groups(pod, settings),
        *_sidecar(pod, settings, asked),
    ]
    found = False
    for i, container in enumerate(pod.spec.containers):
        if _of_application(container, asked, settings):
            found = True
            operations += _application(container, f"/spec/containers/{i}", asked, warnings)
    if not found:
        raise LeftAlone(Outcome.NO_CONTAINER, "the pod has no container of an application")
    return Patch(operations, warnings)


def _check_wanted(pod: Pod, settings: Settings, namespace: str) -> None:
    label = pod.labels().get(INJECT_LABEL)
    if namespace in settings.excluded_namespaces:
        raise LeftAlone(Outcome.EXCLUDED_NAMESPACE)
    if _MIRROR in pod.annotations():
        raise LeftAlone(Outcome.MIRROR_POD)
    if label == "false":
        raise LeftAlone(Outcome.OPTED_OUT)
    if label not in (None, "true"):
        raise LeftAlone(Outcome.BAD_ANNOTATION, f"the label {INJECT_LABEL} is true or false")
    if INJECTED_LABEL in pod.labels() and not pod.has_sidecar():
        raise LeftAlone(Outcome.BAD_ANNOTATION, f"the label {INJECTED_LABEL} is what the injector writes")


def _check_room(pod: Pod, settings: Settings, asked: Wanted) -> None:
    """Refuse pods that the sidecar would break, or that the API server would refuse with it."""
    spec = pod.spec
    if spec.host_network:
        raise LeftAlone(Outcome.HOST_NETWORK, "the pod is in the network of its node")
    on_windows = (spec.node_selector or {}).get("kubernetes.io/os") == "windows"
    if on_windows or (spec.os is not None and spec.os.name == "windows"):
        raise LeftAlone(Outcome.WINDOWS, "the pod runs on Windows")
    if not settings.native_sidecars and spec.restart_policy in ("Never", "OnFailure"):
        raise LeftAlone(
            Outcome.RUNS_TO_COMPLETION, "the pod would never complete: native sidecars need Kubernetes 1.29"
        )
    if spec.resources:
        raise LeftAlone(Outcome.POD_RESOURCES, "the pod has resources of its own, which have no room for a sidecar")
    if not pod.has_sidecar():
        _check_names(pod, settings, asked)
    for container in (*spec.containers, *(spec.init_containers or ())):
        if container.name == CONTAINER:
            continue
        if any(port.container_port == asked.port for port in container.ports or ()):
            told = f"{container.name} has port {asked.port}: choose another with model-sidecar.io/port"
            raise LeftAlone(Outcome.PORT_TAKEN, told)
    for container in spec.containers:
        if _of_application(container, asked, settings):
            _check_mounts(container, asked)


def _check_names(pod: Pod, settings: Settings, asked: Wanted) -> None:
    if any(container.name == CONTAINER for container in pod.spec.all_containers()):
        raise LeftAlone(Outcome.NAME_TAKEN, f"the pod has a container {CONTAINER}")
    ours = {volume["name"] for volume in additions.volumes(asked, settings)}
    for volume in pod.spec.volumes or ():
        if volume.name in ours:
            raise LeftAlone(Outcome.NAME_TAKEN, f"the pod has a volume {volume.name}")


def _check_mounts(container: Container, asked: Wanted) -> None:
    for mount in container.volume_mounts or ():
        parts = parts_of(mount.mount_path)
        may_be_same = parts == parts_of(asked.socket_dir) or ".." in parts
        if may_be_same and mount.name != additions.SOCKET_VOLUME:
            told = f"{container.name} has a volume at {mount.mount_path}: choose another path with "
            raise LeftAlone(Outcome.MOUNT_PATH_TAKEN, told + "model-sidecar.io/socket-dir")


def _of_application(container: Container, asked: Wanted, settings: Settings) -> bool:
    if asked.containers:
        return container.name in asked.containers
    return container.name != CONTAINER and container.name not in settings.ignored_containers


def _metadata(pod: Pod, settings: Settings, asked: Wanted, warnings: list[str]) -> list[Json]:
    labels = {INJECTED_LABEL: "true"}
    annotations: dict[str, str] = {}
    if not asked.config_configmap:
        labels[MODEL_LABEL] = asked.model
    if not asked.config_configmap:
        annotations[CONFIG_ANNOTATION] = additions.configuration(asked)
    if settings.scrape_annotations:
        scraped = additions.scrape_annotations(asked)
        own = [name for name in scraped if name in pod.annotations()]
        if not own:
            annotations |= scraped
        elif {k: pod.annotations().get(k) for k in scraped} != scraped:
            # They belong together: a mix of the pod's and the sidecar's would scrape neither.
            warnings.append(f"the pod has the annotation {own[0]} already: scrape port {asked.port} as well")
    return [
        *_put("/metadata/labels", pod.metadata.labels, labels),
        *_put("/metadata/annotations", pod.metadata.annotations, annotations),
    ]


def _volumes(pod: Pod, settings: Settings, asked: Wanted) -> list[Json]:
    there = {volume.name for volume in pod.spec.volumes or ()}
    missing = [volume for volume in additions.volumes(asked, settings) if volume["name"] not in there]
    return _append("/spec/volumes", pod.spec.volumes, missing)


def _groups(pod: Pod, settings: Settings) -> list[Json]:
    """Give every container the group of the sockets, whose mode is 0660; no volume changes owner for it."""
    context = pod.spec.security_context
    if context is None:
        return [{"op": "add", "path": "/spec/securityContext", "value": {"supplementalGroups": [settings.user]}}]
    groups = context.supplemental_groups
    missing = [] if settings.user in (groups or ()) else [settings.user]
    return _append("/spec/securityContext/supplementalGroups", groups, missing)


def _sidecar(pod: Pod, settings: Settings, asked: Wanted) -> list[Json]:
    """Add the container at the end: init containers before it may fetch the reference that it reads."""
    if any(container.name == CONTAINER for container in pod.spec.all_containers()):
        return []
    made = [additions.container(asked, settings)]
    if settings.native_sidecars:
        return _append("/spec/initContainers", pod.spec.init_containers, made)
    return _append("/spec/containers", pod.spec.containers, made)


def _application(container: Container, path: str, asked: Wanted, warnings: list[str]) -> list[Json]:
    mounts, variables = container.volume_mounts, container.env
    target = additions.socket(asked)
    new_mounts = [] if any(m.name == additions.SOCKET_VOLUME for m in mounts or ()) else [additions.mount(asked)]
    new_variables: list[Json] = []
    own = [variable for variable in variables or () if variable.name == additions.SOCKET_VARIABLE]
    if not own:
        new_variables.append({"name": additions.SOCKET_VARIABLE, "value": target})
    elif own[-1].value != target:
        warnings.append(f"{container.name} keeps its own {additions.SOCKET_VARIABLE}; the sidecar's is {target}")
    return [
        *_append(f"{path}/volumeMounts", mounts, new_mounts),
        *_append(f"{path}/env", variables, new_variables),
    ]


def _append(path: str, there: Sequence[object] | None, new: list[Json] | list[int]) -> list[Json]:
    """Append to a list, creating it if missing."""
    if not new:
        return []
    if not there:
        return [{"op": "add", "path": path, "value": new}]
    return [{"op": "add", "path": f"{path}/-", "value": value} for value in new]


def _put(path: str, there: Mapping[str, str] | None, new: Mapping[str, str]) -> list[Json]:
    """Add missing keys to a mapping, creating it if missing."""
    missing = {key: value for key, value in new.items() if key not in (there or {})}
    if not missing:
        return []
    if not there:
        return [{"op": "add", "path": path, "value": missing}]
    return [
        {"op": "add", "path": f"{path}/{key.replace('~', '~0').replace('/', '~1')}", "value": value}
        for key, value in missing.items()
    ]
