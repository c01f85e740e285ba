import asyncio
from datetime import timedelta

import pytest

from sidecar.kubernetes.rollback.history import HISTORY
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import (
    NOON,
    Clock,
    alert_json,
    deploy,
    history,
    images,
    notification,
    policy,
    receiver,
    rule,
    template,
    workload,
)

WITHOUT_ZONE = (
    '[{"key":"k","action":"rollback","policy":"p","alert":"a","at":"2026-11-23T12:00:00","state":"done",'
    '"from":"a","to":"b","by":"one"}]'
)


async def test_a_deployment_goes_back_to_the_model_before(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    bad = fake.get("deployments", "fraud-server")["metadata"]["annotations"]["deployment.kubernetes.io/revision"]

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    deployment = fake.get("deployments", "fraud-server")
    assert bad == "2"
    assert images(deployment) == ["fraud:1"]
    assert fake.changed("deployments") == ["template"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert "pod-template-hash" not in labels
    assert len(fake.all("replicasets")) == 2, "the old ReplicaSet is used again"
    [record] = history(deployment)
    assert record["state"] == "done"
    assert record["by"] == "one"
    assert deployment["metadata"]["annotations"]["model-sidecar.io/rolled-back-from"] == record["from"]
    cause = deployment["metadata"]["annotations"]["kubernetes.io/change-cause"]
    assert cause.startswith("model-sidecar: roll back deployment/fraud-server from fraud:2, revision 2, to fraud:1")
    [event] = fake.all("events")
    assert (event["reason"], event["involvedObject"]["name"]) == ("ModelRolledBack", "fraud-server")


async def test_fields_that_this_version_does_not_know_are_put_back_too(fake: FakeKubernetes, clock: Clock) -> None:
    old = template("fraud:1")
    old["spec"]["fieldOfTheFuture"] = {"deep": [1, None]}
    fake.now = lambda: NOON - timedelta(hours=2)
    fake.put("deployments", workload(template=old))
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template("fraud:2")))

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    assert fake.get("deployments", "fraud-server")["spec"]["template"] == old


async def test_revisions_of_the_same_model_are_passed_over(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.now = lambda: NOON - timedelta(minutes=90)
    for note in ("restarted", "restarted again"):
        fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template("fraud:2", extra=note)))  # noqa: B023

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    assert images(fake.get("deployments", "fraud-server")) == ["fraud:1"]


async def test_a_new_model_version_in_the_same_image_is_another_model(fake: FakeKubernetes, clock: Clock) -> None:
    fake.now = lambda: NOON - timedelta(hours=2)
    fake.put("deployments", workload(template=template(version="2026-10")))
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template(version="2026-11")))

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    labels = fake.get("deployments", "fraud-server")["spec"]["template"]["metadata"]["labels"]
    assert labels["model-sidecar.io/model-version"] == "2026-10"


async def test_a_new_sidecar_is_not_another_model(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    fake.now = lambda: NOON - timedelta(hours=1)
    newer = template("fraud:1")
    newer["spec"]["containers"][1]["image"] = "sidecar:2"
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=newer))

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["template_equal"])

    assert fake.changed("deployments") == ["template"], "only the new sidecar's"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda o: o["spec"].update(paused=True), "paused"),
        (lambda o: o["metadata"]["labels"].pop("model-sidecar.io/rollback"), "not_enabled"),
        (lambda o: o["metadata"]["labels"].update({"model-sidecar.io/model": "other"}), "no_workload"),
        (lambda o: o["metadata"].update(deletionTimestamp="2026-11-23T11:59:00Z"), "no_workload"),
        (lambda o: o["metadata"]["annotations"].update({"argocd.argoproj.io/tracking-id": "a:b"}), "managed"),
        (lambda o: o["metadata"]["labels"].update({"kustomize.toolkit.fluxcd.io/name": "apps"}), "managed"),
        (lambda o: o["metadata"].update(managedFields=[{"manager": "argocd-controller"}]), "managed"),
        (lambda o: o["metadata"].update(ownerReferences=[{"kind": "Fraud", "controller": True}]), "managed"),
        (lambda o: o["metadata"]["annotations"].update({HISTORY: "[{"}), "unreadable_history"),
        (lambda o: o["metadata"]["annotations"].update({HISTORY: WITHOUT_ZONE}), "unreadable_history"),
    ],
)
async def test_what_forbids_a_rollback_is_told_and_nothing_is_changed(
    fake: FakeKubernetes, clock: Clock, change: object, outcome: str
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.edit("deployments", "fraud-server", change)  # type: ignore[arg-type]
    fake.log.clear()

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, [outcome])
        assert await one.send() == (200, [outcome])

    assert fake.log == []
    told = [event["metadata"]["name"].rpartition(".")[2] for event in fake.all("events")]
    assert told in ([], [outcome.replace("_", "-")]), "at most one Event, however often it is delivered"


async def test_the_first_revision_has_nothing_before_it(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["no_earlier_revision"])


async def test_a_change_that_is_not_yet_rolled_out_is_asked_for_again(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.controllers = False
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template("fraud:1")))

    async with receiver(fake, clock) as one:
        assert await one.send() == (503, ["not_observed"])
        fake.controllers = True
        fake.roll_out("deployments", "fraud-server")

    assert images(fake.get("deployments", "fraud-server")) == ["fraud:1"]
    assert fake.changed("deployments") == ["template"], "only the person's"


async def test_a_model_deployed_after_the_alert_began_is_left_alone(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    clock.pass_(minutes=5)
    fake.now = clock
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template("fraud:3-the-fix")))
    clock.pass_(minutes=5)

    async with receiver(fake, clock) as one:
        assert await one.send(alert_json(starts_at=NOON)) == (200, ["newer_than_alert"])


async def test_two_workloads_of_one_model_are_ambiguous(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    deploy(fake, "fraud:1", name="fraud-canary")

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["ambiguous_workload"])


async def test_a_listed_workload_needs_no_labels(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", name="legacy")
    fake.edit("deployments", "legacy", lambda o: o["metadata"].update(labels={}))
    text = """
dry_run: false
policies: [{name: fraud, action: rollback, namespaces: [ml]}]
workloads: [{model: fraud, namespace: ml, name: legacy}]
"""
    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send(alert_json(namespace="")) == (200, ["done"])

    assert images(fake.get("deployments", "legacy")) == ["fraud:1"]


async def test_a_policy_may_allow_to_patch_what_argo_cd_owns(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    mark = {"argocd.argoproj.io/tracking-id": "a:apps/Deployment:ml/a"}
    fake.edit("deployments", "fraud-server", lambda o: o["metadata"]["annotations"].update(mark))
    text = "dry_run: false\npolicies: [{name: fraud, action: rollback, namespaces: [ml], managed: patch}]"

    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send() == (200, ["done"])


async def test_a_dry_run_says_what_it_would_do_and_writes_nothing(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    text = "kinds: [Deployment]\npolicies: [{name: fraud, action: rollback, namespaces: [ml]}]"

    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send() == (200, ["dry_run"])
        [decision] = (await one.get("/history"))["decisions"]

    assert decision["reason"] == (
        "would roll back deployment/fraud-server from fraud:2, revision 2, to fraud:1, revision 1"
    )
    assert {request.verb for request in fake.requests} == {"list"}


async def test_a_dry_run_writes_no_event_either(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(paused=True))
    text = "policies: [{name: fraud, action: rollback, namespaces: [ml]}]"

    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send() == (200, ["paused"])

    assert {request.verb for request in fake.requests} == {"list"}


async def test_a_change_between_reading_and_patching_is_read_and_decided_again(
    fake: FakeKubernetes, clock: Clock
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.before(
        rule("patch", "deployments"),
        lambda: fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(replicas=9)),
    )

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    deployment = fake.get("deployments", "fraud-server")
    assert images(deployment) == ["fraud:1"]
    assert deployment["spec"]["replicas"] == 9, "the change in between is kept"
    assert [r.verb for r in fake.requests if r.resource == "deployments"] == ["list", "patch", "list", "patch"]


async def test_a_person_who_was_faster_is_not_overruled(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.before(
        rule("patch", "deployments"),
        lambda: fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template("fraud:1"))),
    )

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["undo_of_undo"])

    assert len(fake.changed("deployments")) == 1, "only the person's"


async def test_one_that_always_changes_is_given_up_for_now(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    for number in range(10, 15):
        fake.before(
            rule("patch", "deployments"),
            lambda n=number: fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(replicas=n)),  # type: ignore[misc]
        )

    async with receiver(fake, clock) as one:
        assert await one.send() == (503, ["conflict"])
        assert await one.send() == (200, ["done"])


async def test_two_receivers_that_decide_at_once_act_once(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    held = fake.hold(rule("patch", "deployments"))

    async with receiver(fake, clock, instance="one") as one, receiver(fake, clock, instance="two") as two:
        deliveries = [asyncio.create_task(r.send()) for r in (one, two, one, two)]
        async with asyncio.timeout(10):
            for _ in deliveries:
                await held.arrived.acquire()
        held.released.set()
        answers = await asyncio.gather(*deliveries)

    assert sorted(answers) == [(200, ["done"]), *[(200, ["duplicate"])] * 3]
    assert fake.changed("deployments") == ["template"]
    assert len(history(fake.get("deployments", "fraud-server"))) == 1


@pytest.mark.parametrize(("operation", "told"), [("Apply", True), ("Update", False)])
async def test_what_server_side_apply_will_meet_is_told(
    fake: FakeKubernetes, clock: Clock, operation: str, told: bool
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    entry = {"manager": "helm", "operation": operation, "fieldsV1": {"f:spec": {"f:template": {}}}}
    fake.edit("deployments", "fraud-server", lambda o: o["metadata"].update(managedFields=[entry]))

    async with receiver(fake, clock) as one:
        _, document = await one.post(notification())

    [decision] = document["alerts"]
    sentence = "the next server-side apply by helm conflicts with this change: correct it there, use --force-conflicts"
    assert decision["outcome"] == "done"
    assert (sentence in decision["reason"]) is told
    [event] = fake.all("events")
    assert (sentence in event["message"]) is told
    managers = [f["manager"] for f in fake.get("deployments", "fraud-server")["metadata"]["managedFields"]]
    assert managers == ["helm", "model-sidecar"]
