import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.kubernetes.rollback.policy import Rollback
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import Clock, an_alert, deploy, history, images, policy, receiver

SECRET = b"between you and me"


@dataclass
class Other:
    """The other side: keeps what it was sent, and answers as it is told."""

    url: str = ""
    status: int = 204
    silent: bool = False
    sent: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.sent.append((dict(request.headers), await request.read()))
        self.arrived.set()
        if self.silent:
            await self.released.wait()
        return web.Response(status=self.status, headers={"Location": "/elsewhere"} if self.status == 307 else {})

    async def lead_astray(self, request: web.Request) -> web.Response:
        return web.Response()


@pytest.fixture
async def other() -> AsyncIterator[Other]:
    side = Other()
    application = web.Application()
    application.router.add_post("/rollback/open", side.take)
    application.router.add_post("/elsewhere", side.lead_astray)
    server = TestServer(application)
    await server.start_server()
    side.url = str(server.make_url("/rollback/open"))
    yield side
    side.released.set()
    await server.close()


def handing_on(other: Other, directory: Path, *, managed: str = "notify", executor: str = "webhook") -> Rollback:
    (directory / "secret").write_bytes(SECRET + b"\n")
    text = f"""
dry_run: false
policies:
  - name: hand-on
    action: rollback
    namespaces: [ml]
    executor: {executor}
    managed: {managed}
    webhook: {{url: "{other.url}", secret_file: secret, timeout: 300ms}}
"""
    return policy(text, directory)


async def test_an_action_is_handed_on_once_and_signed(
    fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path
) -> None:
    deploy(fake, "fraud:1", "fraud:2")

    async with receiver(fake, clock, handing_on(other, tmp_path)) as one:
        assert await one.send() == (200, ["done"])
        assert await one.send() == (200, ["duplicate"])

    [(headers, body)] = other.sent
    signed = headers["X-Model-Sidecar-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    assert headers["X-Model-Sidecar-Signature"] == f"sha256={expected}"
    assert headers["Idempotency-Key"] == an_alert().key("rollback")
    assert body.startswith(b'{"name":"fraud-server","namespace":"ml","kind":"Deployment","action":"rollback"')
    assert images(fake.get("deployments", "fraud-server")) == ["fraud:2"], "the other side rolls back"
    assert [record["state"] for record in history(fake.get("deployments", "fraud-server"))] == ["done"]


@pytest.mark.parametrize("status", [400, 307, 500])
async def test_another_answer_is_a_failure_and_asked_again(
    fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path, status: int
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    other.status = status
    async with receiver(fake, clock, handing_on(other, tmp_path)) as one:
        assert await one.send() == (503, ["failed"])
        other.status = 200
        assert await one.send() == (200, ["done"])

    keys = {headers["Idempotency-Key"] for headers, _ in other.sent}
    assert (len(other.sent), len(keys)) == (2, 1)


async def test_no_answer_is_a_failure(fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    other.silent = True
    async with receiver(fake, clock, handing_on(other, tmp_path)) as one:
        assert await one.send() == (503, ["failed"])
        [told] = (await one.get("/history"))["decisions"]
        assert told["reason"] == f"{other.url} did not answer within 300ms"


async def test_with_no_answer_it_is_made_as_often_as_the_breaker_lets_it(
    fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    other.silent = True
    async with receiver(fake, clock, handing_on(other, tmp_path)) as one:
        answers = [await one.send() for _ in range(5)]

    assert answers == [*[(503, ["failed"])] * 3, *[(200, ["circuit_open"])] * 2]
    keys = {headers["Idempotency-Key"] for headers, _ in other.sent}
    assert (len(other.sent), len(keys)) == (3, 1)


async def test_nobody_there_is_a_failure_and_opens_the_breaker(
    fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path, unused_tcp_port: int
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    other.url = f"http://127.0.0.1:{unused_tcp_port}/"
    async with receiver(fake, clock, handing_on(other, tmp_path)) as one:
        answers = [await one.send() for _ in range(4)]

    assert answers == [*[(503, ["failed"])] * 3, (200, ["circuit_open"])]


async def test_killed_while_handing_on_it_is_handed_on_again_with_the_same_key(
    fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    other.silent = True
    config: Any = handing_on(other, tmp_path)
    async with receiver(fake, clock, config, instance="killed") as killed:
        delivery = asyncio.create_task(killed.responder.respond(an_alert()))
        await asyncio.wait_for(other.arrived.wait(), 10)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
    other.silent = False

    async with receiver(fake, clock, config, instance="restarted") as restarted:
        assert await restarted.send() == (503, ["in_progress"])
        clock.pass_(seconds=61)
        assert await restarted.send() == (200, ["done"])

    keys = {headers["Idempotency-Key"] for headers, _ in other.sent}
    assert (len(other.sent), len(keys)) == (2, 1)


async def test_what_argo_cd_owns_can_be_handed_on(
    fake: FakeKubernetes, clock: Clock, other: Other, tmp_path: Path
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    config = handing_on(other, tmp_path, managed="webhook", executor="workload")
    mark = {"argocd.argoproj.io/tracking-id": "a:apps/Deployment:ml/a"}
    fake.edit("deployments", "fraud-server", lambda o: o["metadata"]["annotations"].update(mark))

    async with receiver(fake, clock, config) as one:
        assert await one.send() == (200, ["done"])

    assert len(other.sent) == 1
    assert images(fake.get("deployments", "fraud-server")) == ["fraud:2"]
