"""Workloads in one namespace whose selectors overlap: none takes the ReplicaSets of another for its own."""

from datetime import timedelta
from typing import Any

import pytest

from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import NOON, Clock, alert_json, history, images, receiver, template, workload

EXPRESSIONS = [{"key": "app", "operator": "In", "values": ["fraud", "churn"]}]


def roll_out(fake: FakeKubernetes, name: str, model: str, selector: dict[str, Any], labels: dict[str, str]) -> None:
    """Roll out two images of a model, four and three hours ago."""
    templates = [template(f"{model}:{i}") for i in (1, 2)]
    for made in templates:
        made["metadata"]["labels"] = labels
    fake.now = lambda: NOON - timedelta(hours=4)
    document = workload(name=name, selector=selector, template=templates[0])
    document["metadata"]["labels"]["model-sidecar.io/model"] = model
    fake.put("deployments", document)
    fake.now = lambda: NOON - timedelta(hours=3)
    fake.edit("deployments", name, lambda o: o["spec"].update(template=templates[1]))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"matchLabels": {"app": "fraud"}}, {"matchLabels": {"app": "fraud", "track": "canary"}}),
        ({"matchExpressions": EXPRESSIONS}, {"matchExpressions": EXPRESSIONS}),
        ({"matchExpressions": EXPRESSIONS}, {"matchLabels": {"app": "fraud"}, "matchExpressions": EXPRESSIONS}),
    ],
)
@pytest.mark.parametrize("damaged", [False, True])
async def test_the_history_of_a_neighbour_is_not_ones_own(
    fake: FakeKubernetes, clock: Clock, outer: dict[str, Any], inner: dict[str, Any], damaged: bool
) -> None:
    labels = {"app": "fraud", "track": "canary"}
    roll_out(fake, "fraud-server", "fraud", outer, labels)
    roll_out(fake, "churn-server", "churn", inner, labels)
    fake.now = clock

    async with receiver(fake, clock) as one:
        assert await one.send(alert_json(model="churn")) == (200, ["done"])
        if damaged:
            for replica_set in fake.all("replicasets"):
                if replica_set["metadata"]["name"].startswith("churn"):
                    note = {"model-sidecar.io/rollback-history": "[{"}
                    fake.edit(
                        "replicasets",
                        replica_set["metadata"]["name"],
                        lambda o, note=note: o["metadata"]["annotations"].update(note),  # type: ignore[misc]
                    )
        assert await one.send(alert_json(fingerprint="beef")) == (200, ["done"])

    for name, model in (("fraud-server", "fraud"), ("churn-server", "churn")):
        deployment = fake.get("deployments", name)
        assert images(deployment) == [f"{model}:1"]
        assert len(history(deployment)) == 1, "no record is copied across"
