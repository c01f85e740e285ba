"""Real processes of `model-sidecar serve`, and requests to them."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.reference import Profile, build, save
from tools.process import SidecarProcess, sidecar

TIMEOUT_SECONDS = 30

JSON = "application/json"
NDJSON = "application/x-ndjson"
MSGPACK = "application/x-msgpack"

Start = Callable[..., SidecarProcess]


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    url: str,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request on a connection of its own; an iterable of bytes is sent in chunks."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.msg, response.read())


def get(url: str, path: str, **headers: str) -> Reply:
    """GET a path; `accept_encoding="gzip"` is the header `accept-encoding`."""
    return request(url, "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def post(url: str, body: Any, content_type: str | None = JSON) -> Reply:
    """POST to `/monitor`; what is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(url, "POST", "/monitor", content, {} if content_type is None else {"Content-Type": content_type})


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(url: str) -> Samples:
    """Return every sample of `/metrics` but those of the process, by name and sorted labels."""
    return parsed(get(url, "/metrics").text)


def parsed(text: str) -> Samples:
    """Return every sample of an exposition but those of the process, by name and sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def value(of: Samples, name: str, **labels: str) -> float:
    """Return the one sample of this name that has these labels, and any others; raises if there is not exactly one."""
    wanted = set(labels.items())
    [found] = [v for (n, pairs), v in of.items() if n == name and wanted <= set(pairs)]
    return found


@cache
def fraud_columns(rows: int = 1000) -> dict[str, list[Any]]:
    """Return a numeric feature, a categorical one and both outputs, the same at every call."""
    return {
        "amount": [float(i % 100) for i in range(rows)],
        "merchant": [("visa", "amex", "discover")[i % 7 % 3] for i in range(rows)],
        "prediction": [("legitimate", "fraud")[i % 10 == 0] for i in range(rows)],
        "probability": [(i % 50) / 50 for i in range(rows)],
    }


def fraud_profile(rows: int = 1000) -> Profile:
    """Return the reference of these columns."""
    return build(
        fraud_columns(rows),
        prediction="prediction",
        probability="probability",
        model="fraud",
        model_version="7",
        source="fraud.csv",
        created=datetime(2026, 11, 2, tzinfo=UTC),
    )


def fraud_config(directory: Path, extra: str = "") -> Path:
    """Write the reference and a configuration of one model that uses it."""
    save(fraud_profile(), directory / "fraud.profile.json")
    config = directory / "sidecar.yml"
    config.write_text(f"models:\n  - name: fraud\n    reference: fraud.profile.json\n{extra}", encoding="utf-8")
    return config


def event(**changes: Any) -> dict[str, Any]:
    """Return an event of the fraud model."""
    return {
        "features": {"amount": 12.5, "merchant": "visa"},
        "prediction": "legitimate",
        "probability": 0.12,
        "latency_ms": 12.5,
    } | changes


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start sidecars, which end with the test: `start(config=…, web=1, options=[…])`."""
    with ExitStack() as stack:

        def started(config: Path | None = None, *, web: int = 0, options: Sequence[str] = ()) -> SidecarProcess:
            return stack.enter_context(sidecar(tmp_path, config=config, web=web, options=options))

        yield started


@pytest.fixture(scope="module")
def fraud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """Run one sidecar for all tests of a module, with the fraud reference and small limits."""
    directory = tmp_path_factory.mktemp("fraud")
    limits = "limits: {body_bytes: 64KiB, events_per_body: 1000, string_length: 100}\n"
    with sidecar(directory, config=fraud_config(directory, limits), web=1) as process:
        yield process


def changes(before: Samples, after: Samples) -> dict[tuple[str, str], float]:
    """Return by how much every sample changed, by name and `reason`."""
    assert before.keys() == after.keys()
    return {
        (name, dict(labels).get("reason", "")): now - before[name, labels]
        for (name, labels), now in after.items()
        if now != before[name, labels]
    }


def rejected(of: Samples) -> float:
    """Return the number of rejected events, whatever the reason."""
    return sum(v for (name, _), v in of.items() if name == "model_sidecar_events_rejected_total")


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """Connect to a server, for what a library would not send."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_SECONDS) as connection:
        yield connection


@contextmanager
def head_sent(url: str, *, content_length: int, encoding: str | None = None) -> Iterator[socket.socket]:
    """Begin a POST to `/monitor`; the server says `100 Continue` when it waits for the body."""
    lines = ["POST /monitor HTTP/1.1", "Host: localhost", f"Content-Length: {content_length}", "Expect: 100-continue"]
    if encoding:
        lines.append(f"Content-Encoding: {encoding}")
    with connected(url) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield connection


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again until the condition holds; fails when it takes too long."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.02)
