"""Run the receiver of rollbacks as a dry run, on made-up objects: a Deployment with a new model and the one before."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tools.process import started

NAMESPACE = "demo"
WORKLOAD = "late-flights"

POLICY = f"""\
# Only says what it would do: dry_run is on unless a policy switches it off.
policies:
  - {{name: flights, action: rollback, namespaces: [{NAMESPACE}]}}
"""


@contextmanager
def receiver(directory: Path, *, model: str, token: str) -> Iterator[str]:
    """Run the receiver until the block ends, and yield its URL; `token` is the bearer token it asks for.

    The objects are those of a Deployment that serves `model`: version 2013-02 for an hour, 2013-01 before it.
    """
    (directory / "policy.yml").write_text(POLICY)
    (directory / "objects.yml").write_text(yaml.safe_dump_all(objects(model)))
    (directory / "receiver-token").write_text(token)
    (directory / "web.yml").write_text("bearer_token_file: receiver-token\n")
    command = [
        *(sys.executable, "-m", "sidecar", "rollback", "--web.listen-address=127.0.0.1:0"),
        f"--config.file={directory / 'policy.yml'}",
        f"--web.config.file={directory / 'web.yml'}",
        "--kubernetes.mode=none",
        f"--kubernetes.objects={directory / 'objects.yml'}",
    ]
    with started(command, directory / "rollback.log", listeners=1) as (_, [address]):
        yield f"http://{address}"


def objects(model: str) -> list[dict[str, Any]]:
    """Return a Deployment and its two ReplicaSets, as `kubectl get -o yaml` writes them."""
    now = datetime.now(UTC)
    versions = {"2013-01": now - timedelta(days=30), "2013-02": now - timedelta(hours=1)}
    deployment = _object("Deployment", WORKLOAD, versions["2013-01"])
    deployment["metadata"] |= {
        "uid": "1",
        "generation": 2,
        "labels": {"model-sidecar.io/model": model, "model-sidecar.io/rollback": "enabled"},
    }
    deployment["spec"] = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": WORKLOAD}},
        "template": _template("2013-02"),
    }
    deployment["status"] = {"observedGeneration": 2}
    return [deployment, *(_replica_set(i + 1, version, at) for i, (version, at) in enumerate(versions.items()))]


def _replica_set(revision: int, version: str, created: datetime) -> dict[str, Any]:
    template_hash = f"hash{revision}"
    result = _object("ReplicaSet", f"{WORKLOAD}-{template_hash}", created)
    result["metadata"] |= {
        "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "labels": {"app": WORKLOAD, "pod-template-hash": template_hash},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKLOAD, "uid": "1", "controller": True}
        ],
    }
    template = _template(version)
    template["metadata"]["labels"]["pod-template-hash"] = template_hash
    result["spec"] = {"template": template}
    return result


def _template(version: str) -> dict[str, Any]:
    labels = {"app": WORKLOAD, "model-sidecar.io/model-version": version}
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "server", "image": f"registry.test/late-flights:{version}"}]},
    }


def _object(kind: str, name: str, created: datetime) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "resourceVersion": "1",
        "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata}
