import json
from pathlib import Path

import pytest

from sidecar.base.configfile import ConfigError
from sidecar.kubernetes.rollback.cluster.manifests import Manifests
from sidecar.kubernetes.rollback.cluster.protocol import DEPLOYMENT, EVENT, REPLICA_SET, Cluster, NotFound, Refused
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import deploy


def dump(path: Path) -> Cluster:
    """Write what `kubectl get deployments,replicasets -o yaml` does: a list, here in JSON, which is YAML."""
    fake = FakeKubernetes()
    deploy(fake, "fraud:1", "fraud:2")
    for replica_set in fake.objects.values():
        replica_set.setdefault("apiVersion", "apps/v1")
        replica_set.setdefault("kind", "ReplicaSet")
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(fake.objects.values())}))
    return Manifests(path)


async def test_objects_are_found_by_kind_namespace_name_and_labels(tmp_path: Path) -> None:
    cluster = dump(tmp_path / "objects.yml")

    assert (await cluster.get(DEPLOYMENT, "ml", "fraud-server"))["kind"] == "Deployment"
    assert len(await cluster.list(REPLICA_SET, "ml", labels={"app": "fraud"})) == 2
    assert await cluster.list(REPLICA_SET, "other") == []
    assert await cluster.list(REPLICA_SET, "ml", labels={"app": "other"}) == []
    with pytest.raises(NotFound):
        await cluster.get(DEPLOYMENT, "ml", "other")


async def test_nothing_can_be_written(tmp_path: Path) -> None:
    cluster = dump(tmp_path / "objects.yml")

    with pytest.raises(Refused):
        await cluster.json_patch(DEPLOYMENT, "ml", "fraud-server", [])
    with pytest.raises(Refused):
        await cluster.merge_patch(DEPLOYMENT, "ml", "fraud-server", {})
    with pytest.raises(Refused):
        await cluster.create(EVENT, "ml", {})
    await cluster.close()


async def test_a_time_that_is_not_quoted_is_read_as_the_api_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "objects.yml"
    path.write_text(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, creationTimestamp: 2026-11-23T12:00:00Z}}"
    )

    [found] = await Manifests(path).list(DEPLOYMENT, "default")

    assert found["metadata"]["creationTimestamp"] == "2026-11-23T12:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("a: 1", "document 1: it is not a Kubernetes object"),
        ("---\n---\n[]", "document 2: it is not a Kubernetes object"),
        ("{kind: Deployment, apiVersion: apps/v1}", "document 1: the Deployment lacks apiVersion or metadata.name"),
    ],
)
def test_a_file_of_something_else_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "objects.yml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        Manifests(path)
