"""Callers: what one event adds to a request of the application, by the way it is sent."""

import http.client
import json
import socket
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from model_sidecar_client import Client

from bench.figures import Figures
from bench.work import connect, running_sidecar

FEATURES = {f"feature_{i:03d}": i / 7 for i in range(5)}
CALLS = 1500
PAUSE_SECONDS = 0.0005


def main(figures: Figures) -> None:
    """Print median and p99 of each way, with a short pause before each call, as between requests."""
    print("callers: µs that one event adds to the caller, 5 features, a sidecar that is up")
    print(f"{'':<38}{'median':>9}{'p99':>9}")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "datagram"
        with running_sidecar(5, options=[f"--ingest.unix-datagram={path}"]) as process:
            client = Client(process.url)
            connection = connect(process.url)
            sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sending.connect(str(path))
            ways: dict[str, tuple[str, Callable[[], object]]] = {
                "log": ("model_sidecar_client, log()", lambda: client.log(FEATURES, latency_ms=12.5)),
                "datagram": ("a datagram", lambda: sending.send(_encoded())),
                "http_client": ("http.client, connection kept", lambda: _post(connection)),
            }
            ways |= _with_requests(f"{process.url}/monitor")
            for key, (text, call) in ways.items():
                median, high = _taken(call)
                figures[f"callers.{key}.median_us"], figures[f"callers.{key}.p99_us"] = median, high
                print(f"  {text:<36}{median:>9.1f}{high:>9.1f}", flush=True)
            client.close()
            connection.close()
            sending.close()


def _encoded() -> bytes:
    return json.dumps({"features": FEATURES, "latency_ms": 12.5}).encode()


def _post(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/monitor", _encoded(), {"Content-Type": "application/json"})
    connection.getresponse().read()


def _with_requests(url: str) -> dict[str, tuple[str, Callable[[], object]]]:
    if find_spec("requests") is None:
        print("  requests is not installed: pip install 'model-sidecar[bench]'")
        return {}
    import requests

    session, event = requests.Session(), {"features": FEATURES, "latency_ms": 12.5}
    return {
        "requests_session": ("requests, a session", lambda: session.post(url, json=event, timeout=10)),
        "requests": ("requests.post", lambda: requests.post(url, json=event, timeout=10)),
    }


def _taken(call: Callable[[], object]) -> tuple[float, float]:
    """Return median and p99 of a call, in µs."""
    taken = []
    for _ in range(CALLS):
        time.sleep(PAUSE_SECONDS)
        began = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - began) / 1000)
    taken.sort()
    return taken[CALLS // 2], taken[int(CALLS * 0.99)]
