"""Defaults that the Kubernetes API fills into pod templates of built-in kinds, and not of custom resources."""

from typing import Any

Object = dict[str, Any]

_SPEC = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def fill_in(plural: str, spec: Object) -> None:
    """Fill in the defaults of a Deployment or ReplicaSet."""
    if plural == "deployments":
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
        for name, value in {"revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}.items():
            spec.setdefault(name, value)
    if plural in ("deployments", "replicasets"):
        spec.setdefault("replicas", 1)
        if "template" in spec:
            _template(spec["template"])


def _template(template: Object) -> None:
    template["metadata"].setdefault("creationTimestamp", None)
    spec = template["spec"]
    for name, value in _SPEC.items():
        spec.setdefault(name, value)
    spec.setdefault("securityContext", {})
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        for name, value in _CONTAINER.items():
            container.setdefault(name, value)
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        container.setdefault("imagePullPolicy", "IfNotPresent" if tag not in ("", "latest") else "Always")
        container.setdefault("resources", {})
        for port in container.get("ports", ()):
            port.setdefault("protocol", "TCP")
        for probe in _PROBES:
            if probe in container:
                container[probe] = {**_PROBE, **container[probe]}
    for volume in spec.get("volumes", ()):
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)
