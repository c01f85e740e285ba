import asyncio

from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes, Object
from tests.kubernetes.rollback.support import (
    NOON,
    Clock,
    alert_json,
    an_alert,
    deploy,
    history,
    images,
    receiver,
    rule,
    template,
)


def rollout(fake: FakeKubernetes) -> Object:
    return fake.get("rollouts", "fraud-server")


async def test_an_update_under_way_is_aborted_and_undone(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    assert rollout(fake)["status"]["stableRS"] != rollout(fake)["status"]["currentPodHash"]

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        assert await one.send() == (200, ["duplicate"])

    patches = [(r.resource, r.subresource) for r in fake.requests if r.verb == "patch"]
    assert patches == [("rollouts", "status"), ("rollouts", "")]
    assert images(rollout(fake)) == ["fraud:1"]
    [record] = history(rollout(fake))
    assert record["to"] == rollout(fake)["status"]["stableRS"]


async def test_an_update_that_is_through_is_undone_without_an_abort(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    fake.edit("rollouts", "fraud-server", lambda o: o["status"].update(stableRS=o["status"]["currentPodHash"]))

    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    assert [r.subresource for r in fake.requests if r.verb == "patch"] == [""]
    assert images(rollout(fake)) == ["fraud:1"]


async def test_killed_between_abort_and_undo_it_is_undone_at_the_next_delivery(
    fake: FakeKubernetes, clock: Clock
) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    held = fake.hold(lambda r: (r.verb, r.resource, r.subresource) == ("patch", "rollouts", ""))
    async with receiver(fake, clock) as killed:
        delivery = asyncio.create_task(killed.responder.respond(an_alert()))
        await asyncio.wait_for(held.arrived.acquire(), 10)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
    fake.drop_held()
    assert rollout(fake)["status"]["abort"] is True
    assert history(rollout(fake)) == []

    async with receiver(fake, clock, instance="restarted") as restarted:
        assert await restarted.send() == (200, ["done"])

    assert images(rollout(fake)) == ["fraud:1"]
    aborts = [r for r in fake.requests if r.subresource == "status"]
    assert len(aborts) == 1, "it is not aborted again"


async def test_a_new_model_that_came_after_the_abort_is_left_alone(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")

    def release() -> None:
        clock.pass_(minutes=1)
        fake.edit("rollouts", "fraud-server", lambda o: o["spec"].update(template=template("fraud:3")))

    fake.before(lambda r: (r.verb, r.resource, r.subresource) == ("patch", "rollouts", ""), release)
    async with receiver(fake, clock) as one:
        assert await one.send(alert_json(starts_at=NOON)) == (200, ["newer_than_alert"])

    assert images(rollout(fake)) == ["fraud:3"]


async def test_a_change_that_the_controller_has_not_seen_is_waited_for(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    fake.controllers = False
    fake.edit("rollouts", "fraud-server", lambda o: o["spec"].update(template=template("fraud:3")))

    async with receiver(fake, clock) as one:
        assert await one.send() == (503, ["not_observed"])


async def test_what_argo_adds_to_the_pods_of_a_replica_set_is_not_put_back(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    own = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "fraud"}}}
    hashed = [{"key": "rollouts-pod-template-hash", "operator": "NotIn", "values": ["x"]}]
    injected = {"topologyKey": "host", "labelSelector": {"matchExpressions": hashed}}

    def inject(o: Object) -> None:
        o["metadata"]["annotations"]["rollout.argoproj.io/ephemeral-metadata"] = '{"labels":{"track":"stable"}}'
        o["spec"]["template"]["metadata"]["labels"]["track"] = "stable"
        terms = {"requiredDuringSchedulingIgnoredDuringExecution": [own, injected]}
        o["spec"]["template"]["spec"]["affinity"] = {"podAntiAffinity": terms}

    for replica_set in fake.all("replicasets"):
        fake.edit("replicasets", replica_set["metadata"]["name"], inject)
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])

    put_back = rollout(fake)["spec"]["template"]
    assert put_back["metadata"]["labels"] == {"app": "fraud"}
    [terms] = put_back["spec"]["affinity"]["podAntiAffinity"].values()
    assert terms == [own]


async def test_two_receivers_undo_once(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    held = fake.hold(rule("patch", "rollouts"))
    async with receiver(fake, clock, instance="one") as one, receiver(fake, clock, instance="two") as two:
        deliveries = [asyncio.create_task(r.send()) for r in (one, two)]
        async with asyncio.timeout(10):
            for _ in deliveries:
                await held.arrived.acquire()
        held.released.set()
        answers = await asyncio.gather(*deliveries)

    assert sorted(answers) == [(200, ["done"]), (200, ["duplicate"])]
    assert fake.changed("rollouts") == ["template"]


async def test_a_template_elsewhere_and_a_pause_are_refused(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    async with receiver(fake, clock) as one:
        fake.edit("rollouts", "fraud-server", lambda o: o["spec"].update(paused=True))
        assert await one.send() == (200, ["paused"])
        fake.edit("rollouts", "fraud-server", lambda o: o["spec"].pop("template"))
        assert await one.send() == (200, ["unsupported"])
