"""What a pod asks for: its annotations `model-sidecar.io/…` over the settings of the site, checked strictly."""

from dataclasses import dataclass

from sidecar.base.configfile import shown
from sidecar.kubernetes.inject import form
from sidecar.kubernetes.inject.outcome import LeftAlone, Outcome
from sidecar.kubernetes.inject.pod import CONFIG_ANNOTATION, PREFIX, Pod
from sidecar.kubernetes.inject.settings import Settings

DEFAULT_MODEL = "default"

OF_OTHERS = frozenset({"rollback-history", "rolled-back-from"})
"""Annotations that the receiver of rollbacks writes on workloads, which people copy into pod templates."""

_ONE_MODEL = ("model", "model-version", "reference", "reference-configmap", "reference-volume", "windows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The sidecar that a pod gets. What is not wanted is empty."""

    model: str
    model_version: str
    reference: str
    reference_configmap: str
    reference_volume: str
    windows: tuple[str, ...]
    config_configmap: str
    socket_dir: str
    image: str
    port: int
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    containers: tuple[str, ...]


def wanted(pod: Pod, settings: Settings) -> Wanted:
    """Read the annotations of a pod; raises LeftAlone with what is wrong with them."""
    given = {k.removeprefix(PREFIX): v for k, v in sorted(pod.annotations().items()) if k.startswith(PREFIX)}
    if CONFIG_ANNOTATION in pod.annotations():
        _allow(pod.has_sidecar(), "config", "it is what the injector writes")
        del given["config"]
    for name in OF_OTHERS:
        given.pop(name, None)
    for name, value in given.items():
        _allow(name in form.FORMS, name, "there is no such annotation")
        allowed = form.mistake(name, value)
        _allow(allowed is None, name, f"{shown(value)} is not allowed: {allowed}")
    for name in ("model", "model-version"):
        label = pod.labels().get(PREFIX + name, "")
        if label and "config-configmap" not in given:
            given.setdefault(name, label)
    _check_together(pod, given)
    chosen = _chosen(given, settings)
    _check_resources(chosen)
    return chosen


def _chosen(given: dict[str, str], settings: Settings) -> Wanted:
    requests, limits = settings.resources.requests, settings.resources.limits
    return Wanted(
        model=given.get("model", DEFAULT_MODEL),
        model_version=given.get("model-version", ""),
        reference=given.get("reference", ""),
        reference_configmap=given.get("reference-configmap", ""),
        reference_volume=given.get("reference-volume", ""),
        windows=_listed(given.get("windows", "")),
        config_configmap=given.get("config-configmap", ""),
        socket_dir=given.get("socket-dir", settings.socket_dir),
        image=given.get("image", settings.image),
        port=int(given.get("port", settings.port)),
        cpu_request=given.get("cpu-request", requests.cpu),
        cpu_limit=given.get("cpu-limit", limits.cpu or ""),
        memory_request=given.get("memory-request", requests.memory),
        memory_limit=given.get("memory-limit", limits.memory),
        containers=_listed(given.get("containers", "")),
    )


def _check_together(pod: Pod, given: dict[str, str]) -> None:
    """Refuse what is right by itself and wrong beside the rest."""
    if "config-configmap" in given:
        for name in _ONE_MODEL:
            _allow(name not in given, name, "the configuration of config-configmap says it")
    from_configmap, from_volume = "reference-configmap" in given, "reference-volume" in given
    reference = given.get("reference", "")
    _allow(not (from_configmap and from_volume), "reference-volume", "the reference is in reference-configmap")
    if from_configmap:
        _allow("/" not in reference, "reference", "it is the key in the ConfigMap")
    elif from_volume:
        _allow(bool(reference), "reference", "the path in reference-volume is needed")
        _allow(not reference.startswith("/"), "reference", "it is relative to reference-volume")
        volumes = {volume.name for volume in pod.spec.volumes or ()}
        _allow(given["reference-volume"] in volumes, "reference-volume", "the pod has no such volume")
    elif reference:
        _allow(
            reference.startswith("/"),
            "reference",
            "it is in reference-configmap, in reference-volume, or an absolute path in the image",
        )
    names = {container.name for container in pod.spec.containers}
    for name in _listed(given.get("containers", "")):
        _allow(name in names, "containers", f"the pod has no container {name}")


def _check_resources(chosen: Wanted) -> None:
    """Refuse requests above limits, for which the API server would refuse the pod."""
    _allow(
        form.bytes_of(chosen.memory_request) <= form.bytes_of(chosen.memory_limit),
        "memory-request",
        f"{chosen.memory_request} is above the limit, {chosen.memory_limit}",
    )
    if chosen.cpu_limit:
        _allow(
            form.millicores_of(chosen.cpu_request) <= form.millicores_of(chosen.cpu_limit),
            "cpu-request",
            f"{chosen.cpu_request} is above the limit, {chosen.cpu_limit}",
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _allow(condition: bool, name: str, otherwise: str) -> None:
    if not condition:
        raise LeftAlone(Outcome.BAD_ANNOTATION, f"{PREFIX}{name}: {otherwise}")
