from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from lightkube import KubeConfig
from lightkube.config.models import Cluster, User

from sidecar.base.configfile import ConfigError
from sidecar.kubernetes.rollback.cluster.api import Kubernetes, configuration
from sidecar.kubernetes.rollback.cluster.protocol import DEPLOYMENT, Conflict, NotFound, Refused, Unavailable

Counted = list[tuple[str, str, str]]


@asynccontextmanager
async def answering(response: web.Response) -> AsyncIterator[tuple[Kubernetes, Counted]]:
    """Connect to a server that answers everything the same."""

    async def answer(request: web.Request) -> web.Response:
        if "Content-Type" not in response.headers:
            del response.headers["Content-Type"]
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(application)
    await server.start_server()
    counted: Counted = []
    config = KubeConfig.from_one(cluster=Cluster(server=str(server.make_url(""))), user=User(token="t0ken"))
    client = Kubernetes(config, timeout_seconds=2, observe=lambda *what: counted.append(what))
    yield client, counted
    await client.close()
    await server.close()


@pytest.mark.parametrize(
    ("status", "failure", "result"),
    [
        (401, Refused, "refused"),
        (403, Refused, "refused"),
        (404, NotFound, "not_found"),
        (409, Conflict, "conflict"),
        (415, Refused, "refused"),
        (422, Refused, "refused"),
        (429, Unavailable, "unavailable"),
        (500, Unavailable, "unavailable"),
        (503, Unavailable, "unavailable"),
    ],
)
async def test_answers_mean_what_to_do_about_them(status: int, failure: type[Exception], result: str) -> None:
    answer = web.json_response({"kind": "Status", "message": "because", "code": status}, status=status)
    async with answering(answer) as (client, counted):
        with pytest.raises(failure, match=rf"^get deployments ml/fraud: {status}: because$"):
            await client.get(DEPLOYMENT, "ml", "fraud")

    assert counted == [("get", "deployments", result)]


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=502, text="<html>bad gateway", content_type="text/html"),
        web.Response(status=503, body=b""),
        web.Response(status=503, body=b"{", content_type="application/json"),
        web.Response(status=200, text="<html>log in", content_type="text/html"),
    ],
)
async def test_a_proxy_in_between_is_not_the_api(answer: web.Response) -> None:
    async with answering(answer) as (client, _):
        with pytest.raises(Unavailable):
            await client.get(DEPLOYMENT, "ml", "fraud")
        with pytest.raises(Unavailable):
            await client.list(DEPLOYMENT, "ml")


async def test_nobody_there_is_unavailable(unused_tcp_port: int) -> None:
    server = Cluster(server=f"http://127.0.0.1:{unused_tcp_port}")
    config = KubeConfig.from_one(cluster=server, user=User(token="t0ken"))
    client = Kubernetes(config, timeout_seconds=1, observe=lambda *_: None)

    with pytest.raises(Unavailable, match=r"^get deployments ml/fraud: "):
        await client.get(DEPLOYMENT, "ml", "fraud")
    await client.close()


def test_a_kubeconfig_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config"
    with pytest.raises(ConfigError, match="it is not a kubeconfig file"):
        configuration(path, None)
    path.write_text("a: 1")
    with pytest.raises(ConfigError, match="it is not a kubeconfig file"):
        configuration(path, None)


def test_a_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("{clusters: [], contexts: [], users: []}")

    with pytest.raises(ConfigError, match="no access to Kubernetes: Context 'prod' not found"):
        Kubernetes(configuration(path, "prod"), timeout_seconds=1, observe=lambda *_: None)
