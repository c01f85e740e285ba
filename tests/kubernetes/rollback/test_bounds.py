"""Bounds of the receiver: bytes, seconds, and turns for others, whatever is sent and however the API answers."""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from lightkube import KubeConfig
from lightkube.config.models import Cluster, User

from sidecar.kubernetes.rollback.cluster.api import Kubernetes
from sidecar.kubernetes.rollback.cluster.protocol import REPLICA_SET, Refused, Unavailable
from sidecar.kubernetes.rollback.web import body as bodies
from sidecar.kubernetes.rollback.web import receiver as receivers
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import NOON, Clock, Running, alert_json, deploy, notification, receiver, rule

PACKED = gzip.compress(notification())


async def send(one: Running, body: bytes, coding: str) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Encoding": coding}
    async with one.session.post(f"{one.url}/alerts", data=body, headers=headers) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("body", "coding", "status", "error"),
    [
        (PACKED, "gzip", 200, None),
        (PACKED, "GZIP", 200, None),
        (zlib.compress(notification()), "deflate", 200, None),
        (gzip.compress(notification()[:50]) + gzip.compress(notification()[50:]), "gzip", 200, None),
        (notification(), "identity", 200, None),
        (PACKED[: len(PACKED) // 2], "gzip", 400, "the body is not what Content-Encoding says: it ends too early"),
        (PACKED[:-1], "gzip", 400, "the body is not what Content-Encoding says: it ends too early"),
        (b"", "gzip", 400, "the body is not what Content-Encoding says: it ends too early"),
        (notification(), "gzip", 400, "the body is not what Content-Encoding says: "),
        (PACKED + b"more", "gzip", 400, "the body is not what Content-Encoding says: "),
        (gzip.compress(b" " * (bodies.BODY_BYTES + 1)), "gzip", 413, "the body is larger than 4194304 bytes"),
        (notification(), "br", 415, "the Content-Encoding 'br' is not gzip, deflate or identity"),
        (PACKED, "gzip, gzip", 415, "the Content-Encoding 'gzip, gzip' is not gzip"),
    ],
)
async def test_content_codings(
    fake: FakeKubernetes,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    body: bytes,
    coding: str,
    status: int,
    error: str | None,
) -> None:
    async with receiver(fake, clock) as one:
        answered, document = await send(one, body, coding)
        text = await one.scrape()

    assert answered == status
    assert f'model_rollback_notifications_total{{code="{status}"}} 1' in text
    if error is not None:
        assert document["error"].startswith(error)
        assert "notification refused" in [record.getMessage() for record in caplog.records]


async def test_a_body_too_large_is_logged(fake: FakeKubernetes, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    async with receiver(fake, clock) as one:
        assert (await one.post(b" " * (bodies.BODY_BYTES + 1)))[0] == 413

    assert "notification refused" in [record.getMessage() for record in caplog.records]


async def test_the_only_alert_malformed_is_counted_and_logged(
    fake: FakeKubernetes, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver(fake, clock) as one:
        status, document = await one.post(json.dumps({"alerts": [{"labels": 1}]}).encode())
        text = await one.scrape()

    assert (status, document["error"]) == (400, "no alert can be used: alerts[0]: `labels` is not an object of strings")
    assert "model_rollback_malformed_alerts_total 1" in text
    assert "alert not readable" in [record.getMessage() for record in caplog.records]


async def test_a_body_that_drips_is_given_up(
    fake: FakeKubernetes, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.2)
    never = asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    async with receiver(fake, clock) as one, one.session.post(f"{one.url}/alerts", data=drip()) as response:
        assert response.status == 408
        assert (await response.json())["error"] == "the body did not arrive within 0.2 seconds"


async def test_bodies_share_a_bound_and_give_it_back(
    fake: FakeKubernetes, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    monkeypatch.setattr(bodies, "HELD_BYTES", 2 * len(notification()) - 1)
    held = fake.hold(rule("list", "deployments"))
    async with receiver(fake, clock) as one:
        first = asyncio.create_task(one.send())
        await asyncio.wait_for(held.arrived.acquire(), 10)
        status, document = await one.post(notification())
        assert (status, "send it again" in document["error"]) == (503, True)
        held.released.set()
        assert await first == (200, ["done"])
        assert await one.send() == (200, ["duplicate"])


async def test_long_labels_are_refused_and_not_logged_whole(
    fake: FakeKubernetes, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver(fake, clock) as one:
        status, document = await one.post(notification(alert_json(), alert_json(note="x" * 1_000_000)))

    assert (status, document["malformed"]) == (200, ["alerts[1]: `labels` are longer than 16384 characters"])
    assert all(len(str(record.__dict__)) < 10_000 for record in caplog.records)


async def test_probes_have_their_turn_beside_many_alerts(fake: FakeKubernetes, clock: Clock) -> None:
    """Counted in alerts, not in seconds: others are answered when some alerts are decided on and others are not."""
    number = 3000
    alerts = [alert_json(fingerprint=f"{i}", action="none") for i in range(number)]
    async with receiver(fake, clock) as one:
        delivery = asyncio.create_task(one.post(notification(*alerts)))
        async with asyncio.timeout(20):
            while not (decided := _decided(await one.scrape())):
                assert not delivery.done()
            async with one.session.get(f"{one.url}/-/healthy") as response:
                assert response.status == 200
            status, _ = await delivery
        assert (status, _decided(await one.scrape())) == (200, number)
    assert 0 < decided < number


def _decided(text: str) -> int:
    found = re.search(r'decisions_total\{action="none",outcome="no_policy"\} (\d+)', text)
    assert found, text
    return int(found[1])


async def test_an_alert_is_given_up_at_the_deadline_of_the_notification(
    fake: FakeKubernetes, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    monkeypatch.setattr(receivers, "DEADLINE_SECONDS", 0.3)
    held = fake.hold(rule("list", "deployments"))
    async with receiver(fake, clock) as one:
        assert await one.send() == (503, ["deferred"])
        held.released.set()
        assert await one.send() == (200, ["done"])


async def test_when_an_alert_begins_is_told_right(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        first = datetime(1, 1, 1, tzinfo=UTC)
        assert await one.send(alert_json(starts_at=first)) == (200, ["newer_than_alert"])
        assert await one.send(alert_json(starts_at=datetime(2099, 1, 1, tzinfo=UTC))) == (200, ["begins_later"])
        later, earlier = (await one.get("/history"))["decisions"]
        clock.pass_(minutes=-4)
        assert await one.send(alert_json(starts_at=NOON)) == (200, ["done"]), "clocks differ by minutes"

    assert earlier["starts_at"] == "0001-01-01T00:00:00Z"
    assert later["reason"] == "it begins at 2099-01-01T00:00:00Z, which is yet to come: compare the clocks"


@asynccontextmanager
async def api(handler: Any) -> AsyncIterator[Kubernetes]:
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    server = TestServer(application)
    await server.start_server()
    config = KubeConfig.from_one(cluster=Cluster(server=str(server.make_url(""))), user=User(token="t0ken"))
    client = Kubernetes(config, timeout_seconds=0.5, observe=lambda *_: None)
    try:
        yield client
    finally:
        await client.close()
        await server.close()


async def test_an_api_that_drips_is_unavailable() -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    async with api(drip) as client:
        with pytest.raises(Unavailable, match=r"no whole answer within 0\.5 seconds"):
            await asyncio.wait_for(client.list(REPLICA_SET, "ml"), 10)


async def test_an_api_that_pages_without_end_is_given_up() -> None:
    async def page(request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.json_response({"kind": "List", "metadata": {"continue": "more"}, "items": []})

    async with api(page) as client:
        with pytest.raises(Unavailable, match=r"no whole answer within 0\.5 seconds"):
            await asyncio.wait_for(client.list(REPLICA_SET, "ml"), 10)


async def test_a_list_has_a_bound() -> None:
    async def page(request: web.Request) -> web.Response:
        items = [{"metadata": {"name": f"{i}"}} for i in range(10_001)]
        return web.json_response({"kind": "List", "metadata": {}, "items": items})

    async with api(page) as client:
        with pytest.raises(Refused, match="list replicasets ml: there are more than 10000"):
            await client.list(REPLICA_SET, "ml")


@pytest.mark.parametrize("spec", [None, {}, [], "x", {"template": None}, {"template": {"spec": {}}}, {"replicas": "x"}])
@pytest.mark.parametrize("action", ["rollback", "scale_down"])
@pytest.mark.parametrize(("plural", "kind"), [("rollouts", "Rollout"), ("inferenceservices", "InferenceService")])
async def test_an_object_without_what_its_kind_has_is_an_outcome(
    fake: FakeKubernetes, clock: Clock, plural: str, kind: str, action: str, spec: Any
) -> None:
    fake.controllers = False
    about = {"name": "x", "labels": {"model-sidecar.io/model": "fraud", "model-sidecar.io/rollback": "enabled"}}
    fake.put(plural, {"kind": kind, "metadata": about})
    fake.objects[plural, "ml", "x"]["spec"] = spec
    async with receiver(fake, clock) as one:
        status, [outcome] = await one.send(alert_json(action=action))

    assert (status, outcome) in {(200, "unsupported"), (200, "nothing_to_scale")}
