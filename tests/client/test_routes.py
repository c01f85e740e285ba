"""The application's own routes are measured, whatever prefix it is reached by."""

import logging
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest
from model_sidecar_client.routes import Routes, asgi_paths, wsgi_paths

from tests.client.routed import starlette, werkzeug
from tests.client.servers import served
from tests.client.support import Listening
from tests.client.test_measurement import Recorded
from tests.client.test_middleware import wsgi
from tests.plugins.serving import samples, value

FAILURE = (None, True)
"""An error without features."""

LOGGED = ({"amount": 1.0}, True)


@pytest.fixture
def client() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.close()


async def asgi(app: Any, path: str, root_path: str, query: bytes = b"", *, status: int = 500) -> None:
    statuses = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": "GET", "headers": [], "query_string": query}
    await app(scope | {"path": path, "root_path": root_path}, receive, send)
    assert statuses == [status]


def errors(client: Recorded) -> list[Any]:
    return [(event[0], event[4]) for event in client.events]


PLACES = [
    ("/predict", "", True),
    ("/v1/predict", "", True),
    ("/fraud/predict", "/fraud", True),
    ("/fraud/v1/predict", "/fraud", True),
    ("/predict", "/fraud", True),  # of a server that gives the path without the prefix
    ("/health", "", False),
    ("/fraud/v1/health", "/fraud", False),
]


@pytest.mark.parametrize(("path", "root_path", "chosen"), PLACES)
async def test_a_failure_of_a_chosen_route_is_an_error_below_any_root_path(
    client: Recorded, path: str, root_path: str, chosen: bool
) -> None:
    await asgi(starlette(client, around=True), path, root_path)
    assert errors(client) == [FAILURE] * chosen


@pytest.mark.parametrize(("path", "root_path", "chosen"), PLACES)
def test_a_failure_of_a_chosen_route_is_an_error_below_any_script_name(
    client: Recorded, path: str, root_path: str, chosen: bool
) -> None:
    name = root_path.rstrip("/")
    wsgi(werkzeug(client, around=True), path.removeprefix(name), script_name=name)
    assert errors(client) == [FAILURE] * chosen


@pytest.mark.parametrize("name", ["", "/fraud"])
async def test_an_application_that_is_mounted_is_measured_by_its_own_routes(client: Recorded, name: str) -> None:
    await asgi(starlette(client, around=False), f"{name}/v1/predict", name)
    wsgi(werkzeug(client, around=False), "/v1/predict", script_name=name)
    assert errors(client) == [FAILURE] * 2


async def test_what_is_logged_outside_the_routes_counts_whole(client: Recorded) -> None:
    await asgi(starlette(client, around=True), "/health", "", b"logs")
    wsgi(werkzeug(client, around=True), "/health", query="logs")
    assert errors(client) == [LOGGED] * 2
    assert all(latency >= 0 for latency in client.latencies)


async def test_routes_that_no_request_matched_are_a_problem(client: Recorded) -> None:
    app = starlette(client, around=True)
    assert client.problems() == []
    await asgi(app, "/v2/predict", "", status=404)
    assert client.problems() == ["no request of 1 matched the routes /predict; the last was for /v2/predict"]
    await asgi(app, "/predict", "")
    assert client.problems() == []


def test_routes_that_hundred_requests_did_not_match_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    routes = Routes(["/predict"])
    with caplog.at_level(logging.WARNING):
        for _ in range(300):
            routes.match(["/other"])
    assert caplog.messages == ["no request of 100 matched the routes /predict; the last was for /other"]


@pytest.mark.parametrize(
    ("path", "root_path", "paths"),
    [
        ("/a", "", ["/a"]),
        ("/a/b", "/a", ["/a/b", "/b"]),
        ("/a", "/a", ["/a", "/"]),
        ("/ab", "/a", ["/ab"]),
        ("/a", "/", ["/a"]),
    ],
)
def test_paths_of_a_request(path: str, root_path: str, paths: list[str]) -> None:
    assert [*asgi_paths({"path": path, "root_path": root_path})] == paths
    assert [*asgi_paths({"path": "/a"})] == ["/a"]
    assert [*wsgi_paths({"SCRIPT_NAME": "/x", "PATH_INFO": path})] == [path, f"/x{path}"]
    assert [*wsgi_paths({"SCRIPT_NAME": "", "PATH_INFO": ""})] == ["/", "/"]


SERVERS = {
    "uvicorn": ("uvicorn --uds {socket} --root-path /fraud tests.client.routed:asgi", ""),
    "hypercorn": ("hypercorn --bind unix:{socket} --root-path /fraud tests.client.routed:asgi", "/fraud"),
    "gunicorn": ("gunicorn --bind unix:{socket} tests.client.routed:wsgi", "/fraud"),
    "uwsgi": (
        "uwsgi --http-socket {socket} --master --die-on-term --need-app --manage-script-name"
        " --mount /fraud=tests.client.routed:wsgi",
        "/fraud",
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_errors_below_a_prefix_are_counted_by_real_servers(up: Listening, tmp_path: Path, server: str) -> None:
    command, prefix = SERVERS[server]

    def counted_errors() -> float:
        return value(samples(up.process.url), "model_prediction_errors_total")

    before = counted_errors()
    environment = {"SCRIPT_NAME": "/fraud"} if server == "gunicorn" else {}
    with served(tmp_path, command.split(), up.targets["http"], **environment) as running:
        for path in ("/predict", "/v1/predict", "/health", "/v1/health"):
            assert running.get(prefix + path) == 500, running.log
        running.end(SIGTERM)
        assert counted_errors() - before == 2, running.log
