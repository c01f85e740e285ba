"""What is added to a pod. The library template of the chart adds the same; the tests compare the two."""

import json
from typing import Any

from sidecar.kubernetes.inject.annotations import Wanted
from sidecar.kubernetes.inject.form import CONFIG_DIR, REFERENCE_DIR, STATE_DIR
from sidecar.kubernetes.inject.pod import CONFIG_ANNOTATION, CONTAINER
from sidecar.kubernetes.inject.settings import Settings

Json = dict[str, Any]

SOCKET_VARIABLE = "MODEL_SIDECAR_SOCKET"
SOCKET_VOLUME = CONTAINER + "-socket"
CONFIG_VOLUME = CONTAINER + "-config"
STATE_VOLUME = CONTAINER + "-state"
PORT_NAME = "sidecar-metrics"

_REFERENCE_FILE = "reference.json"
_REFERENCE_KEY = "profile.json"


def container(wanted: Wanted, settings: Settings) -> Json:
    """Return the sidecar's container."""
    user = settings.user
    mounts = [
        {"name": SOCKET_VOLUME, "mountPath": wanted.socket_dir},
        {"name": CONFIG_VOLUME, "mountPath": CONFIG_DIR, "readOnly": True},
    ]
    if settings.state.enabled:
        mounts.append({"name": STATE_VOLUME, "mountPath": STATE_DIR})
    if wanted.reference_volume:
        mounts.append({"name": wanted.reference_volume, "mountPath": REFERENCE_DIR, "readOnly": True})
    limits = {"memory": wanted.memory_limit}
    if wanted.cpu_limit:
        limits["cpu"] = wanted.cpu_limit
    made: Json = {
        "name": CONTAINER,
        "image": wanted.image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": _arguments(wanted, settings),
        "ports": [{"name": PORT_NAME, "containerPort": wanted.port, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": wanted.cpu_request, "memory": wanted.memory_request}, "limits": limits},
        # The socket is there once configuration and reference are loaded. A service mesh may keep requests of the
        # kubelet out, so this runs a command, and there is no liveness probe.
        "startupProbe": {
            "exec": {"command": ["test", "-S", f"{wanted.socket_dir}/stream"]},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 60,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": user,
            "runAsNonRoot": True,
            "runAsUser": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }
    if settings.native_sidecars:
        made["restartPolicy"] = "Always"
    return made


def _arguments(wanted: Wanted, settings: Settings) -> list[str]:
    arguments = [
        "serve",
        f"--config.file={CONFIG_DIR}/sidecar.yml",
        # Events come by the sockets; any fixed port could be one that the application wants.
        "--ingest.listen-address=127.0.0.1:0",
        f"--ingest.unix-stream={wanted.socket_dir}/stream",
        f"--ingest.unix-datagram={wanted.socket_dir}/datagram",
        f"--ingest.unix-group={settings.user}",
        f"--web.listen-address=:{wanted.port}",
    ]
    if settings.state.enabled:
        arguments.append(f"--storage.path={STATE_DIR}")
    return [*arguments, *settings.args]


def volumes(wanted: Wanted, settings: Settings) -> list[Json]:
    """Return the volumes of the sidecar."""
    if wanted.config_configmap:
        sources: list[Json] = [{"configMap": {"name": wanted.config_configmap}}]
    else:
        annotation = f"metadata.annotations['{CONFIG_ANNOTATION}']"
        item = {"path": "sidecar.yml", "fieldRef": {"apiVersion": "v1", "fieldPath": annotation}}
        sources = [{"downwardAPI": {"items": [item]}}]
        if wanted.reference_configmap:
            key = wanted.reference or _REFERENCE_KEY
            items = [{"key": key, "path": _REFERENCE_FILE}]
            sources.append({"configMap": {"name": wanted.reference_configmap, "items": items}})
    made: list[Json] = [
        {"name": SOCKET_VOLUME, "emptyDir": {"sizeLimit": "16Mi"}},
        {"name": CONFIG_VOLUME, "projected": {"sources": sources}},
    ]
    if settings.state.enabled:
        made.append({"name": STATE_VOLUME, "emptyDir": {"sizeLimit": settings.state.size_limit}})
    return made


def mount(wanted: Wanted) -> Json:
    """Return the mount of the sockets in a container of the application."""
    return {"name": SOCKET_VOLUME, "mountPath": wanted.socket_dir}


def socket(wanted: Wanted) -> str:
    """Return the target for the client library."""
    return f"unix://{wanted.socket_dir}/stream"


def configuration(wanted: Wanted) -> str:
    """Return the sidecar's configuration; JSON is YAML."""
    model: Json = {"name": wanted.model}
    if wanted.model_version:
        model["version"] = wanted.model_version
    if wanted.reference_configmap:
        model["reference"] = _REFERENCE_FILE
    elif wanted.reference_volume:
        model["reference"] = f"{REFERENCE_DIR}/{wanted.reference}"
    elif wanted.reference:
        model["reference"] = wanted.reference
    if wanted.windows:
        model["windows"] = list(wanted.windows)
    return json.dumps({"models": [model]}, separators=(",", ":"))


def scrape_annotations(wanted: Wanted) -> dict[str, str]:
    """Return the annotations that a Prometheus without the operator looks for."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(wanted.port), "prometheus.io/path": "/metrics"}
