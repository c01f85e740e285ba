"""A real Alertmanager sends to a real receiver, which speaks to the fake Kubernetes API."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.processes import TOKEN, Machine, fire
from tests.kubernetes.rollback.support import alert_json, deploy, history, images, labels, notification, rule

Ports = Callable[[], int]


@pytest.fixture
async def fake() -> AsyncIterator[FakeKubernetes]:
    kubernetes = FakeKubernetes()
    async with kubernetes.serve():
        deploy(kubernetes, "fraud:1", "fraud:2")
        yield kubernetes


@pytest.fixture
def machine(tmp_path: Path, fake: FakeKubernetes) -> Machine:
    return Machine(tmp_path, fake)


def assert_rolled_back_once(fake: FakeKubernetes) -> None:
    deployment = fake.get("deployments", "fraud-server")
    assert images(deployment) == ["fraud:1"]
    assert fake.changed("deployments") == ["template"]
    assert [record["state"] for record in history(deployment)] == ["done"]


async def test_one_alert_however_often_it_is_repeated_is_one_rollback(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port_factory: Ports
) -> None:
    port = unused_tcp_port_factory()
    async with (
        machine.receiver(port) as receiver,
        machine.alertmanager(unused_tcp_port_factory(), sends_to=port) as alertmanager,
    ):
        await fire(alertmanager, labels(), starts_at=datetime.now(UTC))

        done = await receiver.decided("done")
        assert done["reason"] == "roll back deployment/fraud-server from fraud:2, revision 2, to fraud:1, revision 1"
        await receiver.decided("duplicate")
        assert {line["logger"] for line in receiver.lines} == {"sidecar.rollback"}, "one line for each decision"
        assert await receiver.stop() == 0

    assert_rolled_back_once(fake)


@pytest.mark.parametrize("moment", ["before the patch", "after the patch"])
async def test_killed_around_the_patch_there_is_one_rollback(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port_factory: Ports, moment: str
) -> None:
    port = unused_tcp_port_factory()
    after = moment.startswith("after")
    held = fake.hold(rule("patch", "deployments"), after=after)
    async with machine.alertmanager(unused_tcp_port_factory(), sends_to=port) as alertmanager:
        async with machine.receiver(port) as killed:
            await fire(alertmanager, labels(), starts_at=datetime.now(UTC))
            await asyncio.wait_for(held.arrived.acquire(), 60)
            assert await killed.stop(signal.SIGKILL) == -signal.SIGKILL
        fake.drop_held()
        assert fake.changed("deployments") == (["template"] if after else [])

        async with machine.receiver(port) as restarted:
            if not after:
                await restarted.decided("done")
            await restarted.decided("duplicate")

    assert_rolled_back_once(fake)


async def test_while_the_api_is_down_it_is_asked_again_and_then_done(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port_factory: Ports
) -> None:
    port = unused_tcp_port_factory()
    fake.down = True
    async with (
        machine.receiver(port) as receiver,
        machine.alertmanager(unused_tcp_port_factory(), sends_to=port) as alertmanager,
    ):
        await fire(alertmanager, labels(), starts_at=datetime.now(UTC))
        for _ in range(3):
            await receiver.decided("unavailable")
        fake.down = False
        await receiver.decided("done")
        await receiver.decided("duplicate")

    assert_rolled_back_once(fake)


async def test_the_cooldown_holds_over_a_restart(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port_factory: Ports
) -> None:
    port = unused_tcp_port_factory()
    async with machine.alertmanager(unused_tcp_port_factory(), sends_to=port) as alertmanager:
        async with machine.receiver(port) as receiver:
            await fire(alertmanager, labels(), starts_at=datetime.now(UTC))
            await receiver.decided("done")
            assert await receiver.stop() == 0
        await fire(alertmanager, labels(feature="age"), starts_at=datetime.now(UTC))
        async with machine.receiver(port) as restarted:
            skipped = await restarted.decided("cooldown")
            assert skipped["feature"] == "age"

    assert_rolled_back_once(fake)


async def test_two_alertmanagers_and_two_receivers_make_one_rollback(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port_factory: Ports
) -> None:
    first, second = unused_tcp_port_factory(), unused_tcp_port_factory()
    held = fake.hold(rule("patch", "deployments"))
    async with (
        machine.receiver(first) as one,
        machine.receiver(second) as two,
        machine.alertmanager(unused_tcp_port_factory(), sends_to=first) as left,
        machine.alertmanager(unused_tcp_port_factory(), sends_to=second) as right,
    ):
        began = datetime.now(UTC)
        await asyncio.gather(fire(left, labels(), starts_at=began), fire(right, labels(), starts_at=began))
        for _ in range(2):
            await asyncio.wait_for(held.arrived.acquire(), 60)
        held.released.set()
        await asyncio.gather(one.decided("duplicate"), two.decided("duplicate"))

    assert_rolled_back_once(fake)


async def test_the_shipped_routes_reach_it(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port_factory: Ports
) -> None:
    port = unused_tcp_port_factory()
    routes = machine.shipped_routes(sends_to=port)
    async with (
        machine.receiver(port) as receiver,
        machine.alertmanager(unused_tcp_port_factory(), sends_to=port, routes=routes) as alertmanager,
    ):
        await fire(alertmanager, labels(), starts_at=datetime.now(UTC))
        await receiver.decided("done")

    assert_rolled_back_once(fake)


async def test_told_to_stop_it_ends_what_it_has_begun(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port: int
) -> None:
    held = fake.hold(rule("patch", "deployments"))
    async with machine.receiver(unused_tcp_port) as receiver, aiohttp.ClientSession() as session:
        delivery = asyncio.create_task(
            session.post(
                f"http://127.0.0.1:{unused_tcp_port}/alerts",
                data=notification(alert_json(starts_at=datetime.now(UTC))),
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
        )
        await asyncio.wait_for(held.arrived.acquire(), 60)
        receiver.handle.send_signal(signal.SIGTERM)
        await receiver.line(lambda entry: entry["msg"] == "stopping")
        held.released.set()
        assert (await delivery).status == 200
        assert await receiver.ended() == 0

    assert_rolled_back_once(fake)


async def test_a_dry_run_needs_no_cluster(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port: int, tmp_path: Path
) -> None:
    """With objects from a file it says to what it would go back; without, to which workload."""
    policies = tmp_path / "policy.yml"
    policies.write_text(
        "policies: [{name: fraud, action: rollback, namespaces: [ml]}]\n"
        "workloads: [{model: fraud, namespace: ml, name: fraud-server}]\n"
    )
    kinds = {"deployments": "Deployment", "replicasets": "ReplicaSet"}
    items = [
        {"apiVersion": "apps/v1", **document, "kind": kinds[plural]}
        for plural in kinds
        for document in fake.all(plural)
    ]
    (tmp_path / "objects.yml").write_text(json.dumps({"kind": "List", "items": items}))
    told = []
    for more in ([], [f"--kubernetes.objects={tmp_path / 'objects.yml'}"]):
        async with machine.receiver(unused_tcp_port, "--kubernetes.mode=none", *more) as receiver:
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
                alert = alert_json(starts_at=datetime.now(UTC))
                await session.post(f"http://127.0.0.1:{unused_tcp_port}/alerts", data=notification(alert))
            told.append((await receiver.decided("dry_run"))["reason"])

    assert told == [
        "would roll back deployment/fraud-server; the details are only known from the cluster",
        "would roll back deployment/fraud-server from fraud:2, revision 2, to fraud:1, revision 1",
    ]
    assert fake.requests == []


async def test_strangers_are_turned_away_and_probes_are_not(
    machine: Machine, fake: FakeKubernetes, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with machine.receiver(unused_tcp_port), aiohttp.ClientSession() as session:
        statuses = [
            (await session.post(f"{url}/alerts", data=b"{}")).status,
            (await session.get(f"{url}/metrics")).status,
            (await session.get(f"{url}/-/ready")).status,
            (await session.get(f"{url}/history", headers={"Authorization": f"Bearer {TOKEN}"})).status,
        ]

    assert statuses == [401, 401, 200, 200]
    assert fake.log == []


async def test_a_bad_policy_at_reload_changes_nothing(machine: Machine, unused_tcp_port: int) -> None:
    async with machine.receiver(unused_tcp_port) as receiver:
        path = machine.directory / "policy.yml"
        good = path.read_text()
        path.write_text("policies: []")
        receiver.handle.send_signal(signal.SIGHUP)
        told = await receiver.line(lambda entry: entry["msg"].startswith("reload failed"))
        assert told["error"] == f"{path}: policies: [] is not allowed: at least one policy"
        path.write_text(good)
        receiver.handle.send_signal(signal.SIGHUP)
        await receiver.line(lambda entry: entry["msg"] == "reloaded")
        assert await receiver.stop() == 0
