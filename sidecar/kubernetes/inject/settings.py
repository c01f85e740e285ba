"""Settings of the injector: what holds for every pod that says nothing else."""

from pathlib import Path
from typing import Literal

import msgspec

from sidecar import __version__
from sidecar.base.configfile import ConfigError, convert_yaml, read_text, shown
from sidecar.kubernetes.inject import form


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Requests(_Struct, frozen=True):
    """What is set aside for the sidecar."""

    cpu: str = "50m"
    memory: str = "96Mi"


class Limits(_Struct, frozen=True):
    """What the sidecar may use at most. Without a limit of CPU it is never throttled."""

    memory: str = "256Mi"
    cpu: str | None = None


class Resources(_Struct, frozen=True):
    """Requests and limits of the sidecar."""

    requests: Requests = Requests()
    limits: Limits = Limits()


class State(_Struct, frozen=True):
    """Whether counts survive a restart of the sidecar's container, in a volume of the pod.

    A pod whose volume grows past its limit is evicted, model and all. At the limit of 1,000 features a model, with
    a reference being learned, the files reach about half of the default.
    """

    enabled: bool = True
    size_limit: str = "1Gi"


class Settings(_Struct, frozen=True):
    """Everything the file says."""

    image: str = f"ghcr.io/model-sidecar/model-sidecar:{__version__}"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    native_sidecars: bool = True
    args: tuple[str, ...] = ()
    port: int = 9108
    socket_dir: str = "/run/model-sidecar"
    user: int = 65532
    resources: Resources = Resources()
    state: State = State()
    scrape_annotations: bool = True
    excluded_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    ignored_containers: tuple[str, ...] = ("istio-proxy", "linkerd-proxy", "vault-agent", "daprd")


def load(path: Path | None) -> Settings:
    """Read and check a file of settings, or return the defaults; raises ConfigError."""
    return Settings() if path is None else parse(read_text(path), path)


def parse(text: str, path: Path) -> Settings:
    """Read and check the text of a file of settings; `path` names it in errors."""
    settings = convert_yaml(text, path, Settings)
    requests, limits = settings.resources.requests, settings.resources.limits
    checked: list[tuple[str, object, str | None]] = [
        ("image", settings.image, form.mistake("image", settings.image)),
        ("port", settings.port, form.mistake("port", str(settings.port))),
        ("socket_dir", settings.socket_dir, form.mistake("socket-dir", settings.socket_dir)),
        ("user", settings.user, None if 1 <= settings.user < 2**31 else "a number of a user other than root"),
        ("resources.requests.cpu", requests.cpu, form.mistake("cpu-request", requests.cpu)),
        ("resources.requests.memory", requests.memory, form.mistake("memory-request", requests.memory)),
        ("resources.limits.memory", limits.memory, form.mistake("memory-limit", limits.memory)),
        ("resources.limits.cpu", limits.cpu, limits.cpu and form.mistake("cpu-limit", limits.cpu)),
        ("state.size_limit", settings.state.size_limit, form.mistake("memory-limit", settings.state.size_limit)),
    ]
    for key, value, allowed in checked:
        if allowed:
            raise ConfigError(f"{path}: {key}: {shown(value)} is not allowed: {allowed}")
    if form.bytes_of(requests.memory) > form.bytes_of(limits.memory):
        raise ConfigError(f"{path}: resources.requests.memory: {requests.memory!r} is above the limit")
    if limits.cpu and form.millicores_of(requests.cpu) > form.millicores_of(limits.cpu):
        raise ConfigError(f"{path}: resources.requests.cpu: {requests.cpu!r} is above the limit")
    return settings
