import asyncio
from typing import Any

import pytest

from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes, Object
from tests.kubernetes.rollback.support import Clock, alert_json, an_alert, deploy, history, policy, receiver, rule

DOWN = alert_json(action="scale_down")


def autoscale(fake: FakeKubernetes, **metadata: Any) -> None:
    fake.put(
        "horizontalpodautoscalers",
        {
            "metadata": {"name": "fraud-hpa", **metadata},
            "spec": {
                "minReplicas": 3,
                "maxReplicas": 10,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud-server"},
            },
        },
    )


def bounds(fake: FakeKubernetes) -> tuple[int, int]:
    spec = fake.get("horizontalpodautoscalers", "fraud-hpa")["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def server(fake: FakeKubernetes) -> Object:
    return fake.get("deployments", "fraud-server")


@pytest.mark.parametrize("kind", ["Deployment", "Rollout"])
async def test_replicas_are_lowered_to_the_floor_once(fake: FakeKubernetes, clock: Clock, kind: str) -> None:
    deploy(fake, "fraud:1", kind=kind)

    async with receiver(fake, clock) as one:
        assert await one.send(DOWN) == (200, ["done"])
        assert await one.send(DOWN) == (200, ["duplicate"])

    document = fake.get(f"{kind.lower()}s", "fraud-server")
    assert document["spec"]["replicas"] == 2
    [record] = history(document)
    assert (record["action"], record["from"], record["to"]) == ("scale_down", "4", "2")


async def test_at_the_floor_there_is_nothing_to_scale(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(replicas=2))

    async with receiver(fake, clock) as one:
        assert await one.send(DOWN) == (200, ["nothing_to_scale"])

    assert server(fake)["spec"]["replicas"] == 2


async def test_one_cooldown_holds_for_both_actions(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")

    async with receiver(fake, clock) as one:
        assert await one.send(alert_json(), DOWN) == (200, ["done", "cooldown"])


async def test_the_bounds_of_an_autoscaler_are_lowered_instead(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake)

    async with receiver(fake, clock) as one:
        assert await one.send(DOWN) == (200, ["done"])
        assert await one.send(DOWN) == (200, ["duplicate"])

    assert bounds(fake) == (2, 2)
    assert server(fake)["spec"]["replicas"] == 4, "the autoscaler does that"
    assert [record["state"] for record in history(server(fake))] == ["done"]


async def test_an_autoscaler_that_changed_in_between_is_read_again(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake)
    fake.before(
        rule("patch", "horizontalpodautoscalers"),
        lambda: fake.edit("horizontalpodautoscalers", "fraud-hpa", lambda o: o["spec"].update(minReplicas=1)),
    )

    async with receiver(fake, clock) as one:
        assert await one.send(DOWN) == (200, ["done"])

    assert bounds(fake) == (1, 2)


async def test_the_autoscaler_of_keda_is_left_to_keda(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake, ownerReferences=[{"kind": "ScaledObject", "name": "fraud", "controller": True}])

    async with receiver(fake, clock) as one:
        assert await one.send(DOWN) == (200, ["managed"])

    assert bounds(fake) == (3, 10)


async def test_the_autoscaler_of_another_workload_does_not_count(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake)
    fake.get("horizontalpodautoscalers", "fraud-hpa")["spec"]["scaleTargetRef"]["name"] = "other"

    async with receiver(fake, clock) as one:
        assert await one.send(DOWN) == (200, ["done"])

    assert (server(fake)["spec"]["replicas"], bounds(fake)) == (2, (3, 10))


@pytest.mark.parametrize("moment", ["before the bounds are set", "after they are set"])
async def test_killed_in_the_middle_it_is_finished_once_the_claim_ran_out(
    fake: FakeKubernetes, clock: Clock, moment: str
) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake)
    held = fake.hold(rule("patch", "horizontalpodautoscalers"), after=moment.startswith("after"))
    async with receiver(fake, clock, instance="killed") as killed:
        delivery = asyncio.create_task(killed.responder.respond(an_alert(action="scale_down")))
        await asyncio.wait_for(held.arrived.acquire(), 10)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
    fake.drop_held()
    assert [record["state"] for record in history(server(fake))] == ["claimed"]

    async with receiver(fake, clock, instance="restarted") as restarted:
        assert await restarted.send(DOWN) == (503, ["in_progress"])
        other = alert_json(action="scale_down", fingerprint="beef")
        assert await restarted.send(other) == (200, ["cooldown"]), "a claim counts as if it were done"
        clock.pass_(seconds=61)
        assert await restarted.send(DOWN) == (200, ["done"])
        assert await restarted.send(DOWN) == (200, ["duplicate"])

    assert bounds(fake) == (2, 2)
    assert len(fake.changed("horizontalpodautoscalers")) == 1
    [record] = history(server(fake))
    assert (record["state"], record["by"]) == ("done", "restarted")


async def test_what_was_claimed_is_finished_and_not_worked_out_anew(fake: FakeKubernetes, clock: Clock) -> None:
    """The autoscaler has scaled down already: half of what runs now would be less than half of what ran."""
    deploy(fake, "fraud:1")
    autoscale(fake)
    text = "dry_run: false\npolicies: [{name: a, action: scale_down, namespaces: [ml], scale: {to: 50%}}]"
    held = fake.hold(rule("patch", "horizontalpodautoscalers"), after=True)
    async with receiver(fake, clock, policy(text), instance="killed") as killed:
        delivery = asyncio.create_task(killed.responder.respond(an_alert(action="scale_down")))
        await asyncio.wait_for(held.arrived.acquire(), 10)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
    fake.drop_held()
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(replicas=2))
    clock.pass_(seconds=61)

    async with receiver(fake, clock, policy(text), instance="restarted") as restarted:
        assert await restarted.send(DOWN) == (200, ["done"])

    assert bounds(fake) == (2, 2)


async def test_two_receivers_claim_once(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake)
    held = fake.hold(rule("patch", "deployments"))
    async with receiver(fake, clock, instance="one") as one, receiver(fake, clock, instance="two") as two:
        deliveries = [asyncio.create_task(r.send(DOWN)) for r in (one, two)]
        async with asyncio.timeout(10):
            for _ in deliveries:
                await held.arrived.acquire()
        held.released.set()
        answers = await asyncio.gather(*deliveries)

    assert (200, ["done"]) in answers
    assert set(map(str, answers)) <= {str((200, ["done"])), str((200, ["duplicate"])), str((503, ["in_progress"]))}
    assert len(fake.changed("horizontalpodautoscalers")) == 1


async def test_a_failure_is_noted_and_tried_again_until_the_breaker_opens(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    autoscale(fake)
    fake.forbidden.add(("patch", "horizontalpodautoscalers"))
    async with receiver(fake, clock) as one:
        assert [await one.send(DOWN) for _ in range(3)] == [(503, ["failed"])] * 3
    [record] = history(server(fake))
    assert (record["state"], record["attempts"]) == ("failed", 3)

    async with receiver(fake, clock, instance="restarted") as restarted:
        assert await restarted.send(DOWN) == (200, ["circuit_open"]), "failures are remembered across restarts"
        fake.forbidden.clear()
        clock.pass_(minutes=16)
        assert await restarted.send(DOWN) == (200, ["done"])


async def test_a_share_is_rounded_up(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1")
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(replicas=7))
    text = "dry_run: false\npolicies: [{name: a, action: scale_down, namespaces: [ml], scale: {to: '50%'}}]"

    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send(DOWN) == (200, ["done"])

    assert server(fake)["spec"]["replicas"] == 4


@pytest.mark.parametrize(
    "mark",
    [
        {"annotations": {"argocd.argoproj.io/tracking-id": "a:autoscaling/HorizontalPodAutoscaler:ml/fraud-hpa"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
        {"managedFields": [{"manager": "argocd-controller"}]},
    ],
)
@pytest.mark.parametrize(("managed", "answer"), [("notify", "managed"), ("patch", "done")])
async def test_an_autoscaler_that_argo_cd_or_flux_tracks_is_left_to_it(
    fake: FakeKubernetes, clock: Clock, mark: dict[str, Any], managed: str, answer: str
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    autoscale(fake, **mark)
    text = f"dry_run: false\npolicies: [{{name: p, action: scale_down, namespaces: [ml], managed: {managed}}}]"
    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send(alert_json(action="scale_down")) == (200, [answer])

    assert bool(fake.changed("horizontalpodautoscalers")) is (answer == "done")
