"""Pods as tests need them, and what a patch makes of them."""

import copy
from typing import Any, TypeVar

import jsonpatch
import msgspec
from hypothesis import strategies as st

from sidecar.kubernetes.inject.patch import Patch, patch
from sidecar.kubernetes.inject.pod import Pod
from sidecar.kubernetes.inject.settings import Settings

Json = dict[str, Any]
T = TypeVar("T")

PREFIX = "model-sidecar.io/"


def pod(*containers: Json, **spec: Any) -> Json:
    """Return a pod that asks for a sidecar."""
    own = list(containers) or [{"name": "server", "image": "fraud:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "fraud-0", "labels": {f"{PREFIX}inject": "true"}},
        "spec": {"containers": own, **spec},
    }


def annotated(document: Json, **annotations: str) -> Json:
    """Return a pod with annotations; `model_version` is `model-sidecar.io/model-version`."""
    changed = copy.deepcopy(document)
    added = {f"{PREFIX}{name.replace('_', '-')}": value for name, value in annotations.items()}
    changed["metadata"]["annotations"] = {**(changed["metadata"].get("annotations") or {}), **added}
    return changed


def patch_of(document: Json, settings: Settings | None = None, *, namespace: str = "models") -> Patch:
    """Return the patch of a pod; raises LeftAlone."""
    return patch(msgspec.convert(document, Pod), settings or Settings(), namespace=namespace)


def patched(document: Json, settings: Settings | None = None) -> Json:
    """Return the pod after its patch; raises LeftAlone."""
    return applied(document, patch_of(document, settings).operations)


def applied(document: Json, operations: list[Json]) -> Json:
    """Apply a patch by the rules of RFC 6902."""
    result: Json = jsonpatch.JsonPatch(copy.deepcopy(operations)).apply(copy.deepcopy(document))
    return result


def sidecar_of(document: Json) -> Json:
    """Return the sidecar's container."""
    spec = document["spec"]
    every = [*(spec.get("initContainers") or []), *spec["containers"]]
    [found] = [container for container in every if container["name"] == "model-sidecar"]
    return dict(found)


NAMES = st.sampled_from(["server", "worker", "log", "feature-store", "istio-proxy", "daprd"])
VOLUMES = st.sampled_from(["models", "cache", "data"])
GOOD = {
    "model": "fraud",
    "model-version": "2",
    "reference": "fraud.profile.json",
    "reference-configmap": "fraud-profile",
    "reference-volume": "models",
    "windows": "5m,1h",
    "config-configmap": "whole",
    "socket-dir": "/run/x",
    "image": "r.test/x:1",
    "port": "9200",
    "cpu-request": "300m",
    "cpu-limit": "1",
    "memory-request": "32Mi",
    "memory-limit": "2Gi",
    "containers": "server",
    "rollback-history": "[]",
}
ODD = [
    "fraud",
    "2",
    "/models/p.json",
    "a/b",
    "5m",
    "60s,1m",
    "10m",
    "1Ki",
    "server,worker",
    "../etc",
    "/etc/model-sidecar",
    "/etc/model-sidecar/x",
    "/var/lib/model-sidecar",
    "/var/lib/model-sidecar-2",
    "",
    "\u00c4",
    'a"b',
]
SAME_PATH = [
    "/run/model-sidecar",
    "/run/model-sidecar/",
    "//run/model-sidecar",
    "/run//model-sidecar",
    "/run/./model-sidecar/.",
    "/run/x/../model-sidecar",
    "run/model-sidecar",
]
"""Ways to write the path of the sockets."""

ANNOTATIONS = st.dictionaries(st.sampled_from(list(GOOD)), st.booleans(), max_size=3).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {f"{PREFIX}{name}": st.just(GOOD[name]) if good else st.sampled_from(ODD) for name, good in chosen.items()}
    )
)


def _maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.one_of(st.none(), strategy)


def _seldom(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 11)) == 11


@st.composite
def containers(draw: st.DrawFn, name: str) -> Json:
    """Draw a container; its lists are absent, empty or filled."""
    made: Json = {"name": name, "image": "app:1"}
    if (mounts := draw(_maybe(st.lists(VOLUMES, max_size=2, unique=True)))) is not None:
        paths = [draw(st.sampled_from(SAME_PATH)) if _seldom(draw) else "/data", "/tmp"]
        made["volumeMounts"] = [{"name": v, "mountPath": p} for v, p in zip(mounts, paths, strict=False)]
    if (env := draw(_maybe(st.sampled_from([[], ["A"], ["A", "MODEL_SIDECAR_SOCKET"]])))) is not None:
        made["env"] = [{"name": variable, "value": "x"} for variable in env]
    if (ports := draw(_maybe(st.lists(st.just(8080), max_size=1)))) is not None:
        made["ports"] = [{"containerPort": 9108 if _seldom(draw) else port} for port in ports]
    return made


@st.composite
def pods(draw: st.DrawFn) -> Json:
    """Draw a pod as the API server could send it."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    if _seldom(draw):
        names.append("model-sidecar")
    cut = draw(st.integers(1, len(names)))
    spec: Json = {"containers": [draw(containers(name)) for name in names[:cut]]}
    if draw(st.booleans()) or names[cut:]:
        spec["initContainers"] = [draw(containers(name)) for name in names[cut:]]
    volumes = draw(_maybe(st.lists(VOLUMES, max_size=3, unique=True)))
    if volumes is not None:
        if _seldom(draw):
            volumes.append("model-sidecar-socket")
        spec["volumes"] = [{"name": name, "emptyDir": {}} for name in volumes]
    if draw(st.booleans()):
        groups = draw(
            st.sampled_from([{}, {"fsGroup": 7}, {"supplementalGroups": [1]}, {"supplementalGroups": [65532]}])
        )
        spec["securityContext"] = groups
    optional: list[tuple[str, Any, Any]] = [
        ("hostNetwork", False, True),
        ("restartPolicy", "Always", "Never"),
        ("os", {"name": "linux"}, {"name": "windows"}),
        ("nodeSelector", {"kubernetes.io/os": "linux"}, {"kubernetes.io/os": "windows"}),
        ("resources", {}, {"limits": {"cpu": "4"}}),
    ]
    for key, usual, odd in optional:
        if draw(st.booleans()):
            spec[key] = odd if _seldom(draw) else usual
    metadata: Json = {"name": "p"}
    keys = st.sampled_from([f"{PREFIX}inject", f"{PREFIX}model", "app"])
    labels = draw(st.dictionaries(keys, st.just("true"), max_size=2))
    if _seldom(draw):
        labels[f"{PREFIX}{draw(st.sampled_from(['inject', 'injected']))}"] = "false"
    if draw(st.booleans()) or labels:
        metadata["labels"] = labels
    annotations = draw(_maybe(ANNOTATIONS))
    if annotations is not None:
        if _seldom(draw):
            annotations |= {f"{PREFIX}{draw(st.sampled_from(['widnows', 'config']))}": "x"}
        if draw(st.booleans()):
            annotations |= {f"prometheus.io/{draw(st.sampled_from(['scrape', 'port', 'path']))}": "8080"}
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
