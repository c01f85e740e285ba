import itertools
from datetime import timedelta
from typing import Any

import pytest

from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes, Object
from tests.kubernetes.rollback.support import (
    NOON,
    Clock,
    alert_json,
    deploy,
    history,
    images,
    policy,
    receiver,
    rule,
    template,
)

Alerts = list[dict[str, Any]]


def release(fake: FakeKubernetes, image: str) -> None:
    fake.edit("deployments", "fraud-server", lambda o: o["spec"].update(template=template(image)))


def now_running(fake: FakeKubernetes) -> str:
    return images(fake.get("deployments", "fraud-server"))[0]


FIRING, RESOLVED, OTHER = alert_json(), alert_json(status="resolved"), alert_json(fingerprint="beef", feature="age")


@pytest.mark.parametrize("order", list(itertools.permutations([FIRING, FIRING, RESOLVED, OTHER])))
async def test_whatever_the_order_of_deliveries_there_is_one_action(
    fake: FakeKubernetes, clock: Clock, order: tuple[dict[str, Any], ...]
) -> None:
    deploy(fake, "fraud:1", "fraud:2")

    async with receiver(fake, clock, instance="one") as one, receiver(fake, clock, instance="two") as two:
        for alert, to in zip(order, itertools.cycle([one, two]), strict=False):
            status, _ = await to.send(alert)
            assert status == 200

    assert fake.changed("deployments") == ["template"]
    assert len(history(fake.get("deployments", "fraud-server"))) == 1


async def test_a_group_of_alerts_makes_one_action_and_tells_of_each(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")

    async with receiver(fake, clock) as one:
        assert await one.send(FIRING, OTHER, RESOLVED) == (200, ["done", "cooldown", "resolved"])


async def test_the_cooldown_and_the_key_survive_a_restart(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        assert await one.send(FIRING) == (200, ["done"])
    clock.pass_(minutes=29)
    release(fake, "fraud:3")

    async with receiver(fake, clock) as restarted:
        assert await restarted.send(FIRING, OTHER) == (200, ["duplicate", "cooldown"])

    assert now_running(fake) == "fraud:3"


async def test_after_the_cooldown_a_new_alert_about_a_new_model_counts(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        clock.pass_(minutes=40)
        release(fake, "fraud:3")
        clock.pass_(minutes=1)

        assert await one.send(alert_json(starts_at=clock.now)) == (200, ["done"])

    assert now_running(fake) == "fraud:1", "not fraud:2, which was rolled back from"


async def test_an_undo_is_never_undone(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:0", "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        assert now_running(fake) == "fraud:1"
        for _ in range(5):
            clock.pass_(hours=2)
            assert await one.send(alert_json(starts_at=clock.now)) == (200, ["undo_of_undo"])
            last = (await one.get("/history"))["decisions"][0]
            assert last["reason"].startswith("this receiver has gone back to fraud:1 from fraud:2; ")

    assert now_running(fake) == "fraud:1"


async def test_what_was_gone_back_to_stays_even_if_the_bad_revision_is_no_longer_kept(
    fake: FakeKubernetes, clock: Clock
) -> None:
    deploy(fake, "fraud:0", "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        bad = next(o for o in fake.all("replicasets") if images(o) == ["fraud:2"])
        del fake.objects["replicasets", "ml", bad["metadata"]["name"]]
        clock.pass_(hours=2)

        assert await one.send(alert_json(starts_at=clock.now)) == (200, ["undo_of_undo"])

    assert now_running(fake) == "fraud:1"


async def test_two_bad_models_do_not_take_turns(fake: FakeKubernetes, clock: Clock) -> None:
    """Somebody insists on the bad model each time; what is gone back to is never what was rolled back from."""
    deploy(fake, "fraud:1", "fraud:2")
    fake.now = clock
    async with receiver(fake, clock) as one:
        for turn in range(3):
            clock.pass_(hours=9)
            assert await one.send(alert_json(starts_at=clock.now)) == (200, ["done"]), turn
            assert now_running(fake) == "fraud:1"
            clock.pass_(hours=9)
            release(fake, "fraud:2")
    marks = fake.get("deployments", "fraud-server")["metadata"]["annotations"]["model-sidecar.io/rolled-back-from"]
    assert marks.count(",") == 0, "the one bad template is remembered once"


async def test_with_only_bad_models_to_go_back_to_nothing_is_done(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.now = clock
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        clock.pass_(hours=1)
        release(fake, "fraud:3")
        first = next(o for o in fake.all("replicasets") if "fraud:1" in images(o)[0])
        del fake.objects["replicasets", "ml", first["metadata"]["name"]]
        clock.pass_(hours=1)

        assert await one.send(alert_json(starts_at=clock.now)) == (200, ["undo_of_undo"])

    assert now_running(fake) == "fraud:3"


async def test_history_survives_kubectl_rollout_undo(fake: FakeKubernetes, clock: Clock) -> None:
    """`kubectl rollout undo` puts back the annotations of the ReplicaSet too, which know nothing of the rollback."""
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        bad = next(o for o in fake.all("replicasets") if "fraud:2" in images(o)[0])

        def undo(document: Object) -> None:
            document["spec"]["template"] = template("fraud:2")
            document["metadata"]["annotations"] = bad["metadata"]["annotations"]

        fake.edit("deployments", "fraud-server", undo)
        assert history(fake.get("deployments", "fraud-server")) == []

        assert await one.send() == (200, ["duplicate"])
        assert await one.send(OTHER) == (200, ["cooldown"])

    assert now_running(fake) == "fraud:2", "what a person decided stays"


async def test_the_day_has_its_limit(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.now = clock
    text = "dry_run: false\npolicies: [{name: a, action: rollback, namespaces: [ml], cooldown: 1m, max_per_day: 2}]"
    outcomes = []
    async with receiver(fake, clock, policy(text)) as one:
        for number in range(3, 6):
            outcomes += (await one.send(alert_json(starts_at=clock.now)))[1]
            clock.pass_(hours=1)
            release(fake, f"fraud:{number}")
            clock.pass_(hours=1)
        clock.pass_(hours=20)
        outcomes += (await one.send(alert_json(starts_at=clock.now)))[1]

    assert outcomes == ["done", "done", "daily_limit", "done"]


async def test_quiet_hours_are_in_the_zone_of_the_file(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    text = """
dry_run: false
timezone: Asia/Tokyo
policies: [{name: a, action: rollback, namespaces: [ml], quiet_hours: [{from: "20:00", to: "22:00", days: [mon]}]}]
"""
    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send() == (200, ["quiet_hours"])
        clock.pass_(hours=1)
        assert await one.send() == (200, ["done"])


async def test_an_api_that_is_down_is_asked_again_and_then_it_is_done(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        fake.down = True
        for _ in range(10):
            assert await one.send() == (503, ["unavailable"])
        fake.down = False
        assert await one.send() == (200, ["done"])
        assert await one.send() == (200, ["duplicate"])


async def test_an_answer_that_is_lost_does_not_make_a_second_action(fake: FakeKubernetes, clock: Clock) -> None:
    """The patch is carried out, but the receiver never hears of it."""
    deploy(fake, "fraud:1", "fraud:2")
    held = fake.hold(rule("patch", "deployments"), after=True)
    async with receiver(fake, clock, timeout_seconds=0.3) as one:
        assert await one.send() == (503, ["unavailable"])
        held.released.set()
        assert await one.send() == (200, ["duplicate"])

    assert fake.changed("deployments") == ["template"]


async def test_the_circuit_breaker_leaves_a_workload_alone_after_failures(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.forbidden.add(("patch", "deployments"))
    async with receiver(fake, clock) as one:
        assert [await one.send() for _ in range(3)] == [(503, ["failed"])] * 3
        assert await one.send() == (200, ["circuit_open"])
        fake.forbidden.clear()
        clock.pass_(minutes=14)
        assert await one.send() == (200, ["circuit_open"])
        clock.pass_(minutes=2)
        assert await one.send() == (200, ["done"])


async def test_no_permission_to_list_fails_and_says_which(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.forbidden.add(("list", "rollouts"))
    async with receiver(fake, clock) as one:
        assert await one.send() == (503, ["failed"])
        [decision] = (await one.get("/history"))["decisions"]
        assert decision["reason"] == "list rollouts ml: 403: rollouts is forbidden: cannot list"


async def test_kinds_that_are_not_installed_have_no_workloads(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.missing |= {"rollouts", "inferenceservices"}
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])


async def test_events_that_cannot_be_written_change_nothing(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    fake.forbidden.add(("create", "events"))
    async with receiver(fake, clock) as one:
        assert await one.send() == (200, ["done"])
        assert "model_rollback_event_failures_total 1" in await one.scrape()


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"action": "scale_up"}, "no_policy"),
        ({"action": ""}, "no_policy"),
        ({"namespace": "kube-system"}, "namespace_not_allowed"),
        ({"namespace": ""}, "namespace_not_allowed"),
        ({"model": "other"}, "no_workload"),
        ({"model": "fraud,model-sidecar.io/rollback=enabled"}, "no_workload"),
        ({"model": ""}, "no_workload"),
    ],
)
async def test_an_alert_that_does_not_fit_does_nothing(
    fake: FakeKubernetes, clock: Clock, changed: dict[str, Any], outcome: str
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        assert await one.send(alert_json(**changed)) == (200, [outcome])

    assert fake.log == []


async def test_history_tells_of_decisions_and_of_workloads(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        await one.send(FIRING, OTHER)
    async with receiver(fake, clock, instance="restarted") as restarted:
        document = await restarted.get("/history")

        assert document["decisions"] == []
        [told] = document["workloads"]
        assert (told["kind"], told["name"], told["records"][0]["state"]) == ("Deployment", "fraud-server", "done")

        fake.down = True
        assert "the API is down" in (await restarted.get("/history"))["error"]


async def test_a_notification_that_takes_too_long_is_finished_at_the_next_delivery(
    fake: FakeKubernetes, clock: Clock
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    ticks = itertools.chain([0.0, 0.0, 30.0], itertools.repeat(30.0))
    async with receiver(fake, clock, ticks=lambda: next(ticks)) as one:
        assert await one.send(FIRING, OTHER) == (503, ["done", "deferred"])
        assert await one.send(FIRING, OTHER) == (200, ["duplicate", "cooldown"])


async def test_a_claim_of_the_future_still_counts_for_the_cooldown(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        await one.send()
    behind = Clock(NOON - timedelta(minutes=3))

    async with receiver(fake, behind) as other:
        assert await other.send(OTHER) == (200, ["cooldown"])


@pytest.mark.parametrize(
    ("setting", "hours", "outcome"),
    [
        ("", 21, "done"),
        ("", 23, "no_recent_rollout"),
        ("only_after_rollout: 1h", 0, "no_recent_rollout"),
        ("only_after_rollout: 3h", 0, "done"),
        ("only_after_rollout: off", 2000, "done"),
        ('only_after_rollout: "off"', 2000, "done"),
    ],
)
async def test_a_model_that_has_served_for_long_is_not_rolled_back(
    fake: FakeKubernetes, clock: Clock, setting: str, hours: int, outcome: str
) -> None:
    deploy(fake, "fraud:1", "fraud:2")  # two hours ago
    clock.pass_(hours=hours)
    text = f"dry_run: false\npolicies:\n  - name: p\n    action: rollback\n    namespaces: [ml]\n    {setting}\n"
    async with receiver(fake, clock, policy(text)) as one:
        assert await one.send(alert_json(starts_at=clock.now)) == (200, [outcome])
        scraped = await one.scrape()

    assert f'model_rollback_decisions_total{{action="rollback",outcome="{outcome}"}} 1' in scraped
    assert now_running(fake) == ("fraud:1" if outcome == "done" else "fraud:2")
