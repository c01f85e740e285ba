from typing import Any

import pytest

from sidecar.kubernetes.rollback.history import ROLLED_BACK_FROM
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes, Object
from tests.kubernetes.rollback.support import Clock, alert_json, history, receiver


def serve(fake: FakeKubernetes, predictor: Object, **status: Any) -> None:
    fake.put(
        "inferenceservices",
        {
            "metadata": {
                "name": "fraud",
                "labels": {"model-sidecar.io/model": "fraud", "model-sidecar.io/rollback": "enabled"},
                "annotations": {},
            },
            "spec": {"predictor": {"model": {"storageUri": "s3://models/fraud/2"}}},
            "status": {"components": {"predictor": predictor}, **status},
        },
    )


CANARY = {"latestReadyRevision": "fraud-00002", "latestRolledoutRevision": "fraud-00001"}
FIRST = {"latestReadyRevision": "fraud-00001", "latestRolledoutRevision": "fraud-00001"}
THROUGH = {
    "latestReadyRevision": "fraud-00002",
    "latestRolledoutRevision": "fraud-00002",
    "previousRolledoutRevision": "fraud-00001",
}


@pytest.mark.parametrize("predictor", [CANARY, THROUGH])
async def test_the_newest_revision_gets_no_traffic(fake: FakeKubernetes, clock: Clock, predictor: Object) -> None:
    serve(fake, predictor)

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        assert await one.send() == (200, ["duplicate"])

    service = fake.get("inferenceservices", "fraud")
    assert service["spec"]["predictor"]["canaryTrafficPercent"] == 0
    assert service["spec"]["predictor"]["model"] == {"storageUri": "s3://models/fraud/2"}
    [record] = history(service)
    assert (record["from"], record["to"]) == ("fraud-00002", "fraud-00001")


@pytest.mark.parametrize(
    ("predictor", "status", "outcome", "code"),
    [
        (FIRST, {}, "no_earlier_revision", 200),
        ({}, {}, "not_observed", 503),
        (CANARY, {"deploymentMode": "RawDeployment"}, "unsupported", 200),
    ],
)
async def test_without_a_revision_to_go_back_to_nothing_is_done(
    fake: FakeKubernetes, clock: Clock, predictor: Object, status: Object, outcome: str, code: int
) -> None:
    serve(fake, predictor, **status)

    async with receiver(fake, clock) as one:
        assert await one.send() == (code, [outcome])

    assert fake.log == []


async def test_no_traffic_cannot_be_less(fake: FakeKubernetes, clock: Clock) -> None:
    serve(fake, CANARY)
    fake.get("inferenceservices", "fraud")["spec"]["predictor"]["canaryTrafficPercent"] = 0

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["template_equal"])


async def test_a_revision_that_was_rolled_back_from_is_not_gone_back_to(fake: FakeKubernetes, clock: Clock) -> None:
    serve(fake, CANARY)
    fake.get("inferenceservices", "fraud")["metadata"]["annotations"][ROLLED_BACK_FROM] = "fraud-00001"

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["undo_of_undo"])


async def test_scaling_it_down_is_not_known(fake: FakeKubernetes, clock: Clock) -> None:
    serve(fake, CANARY)

    async with receiver(fake, clock) as one:
        assert await one.send(alert_json(action="scale_down")) == (200, ["unsupported"])
