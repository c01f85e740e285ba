"""Long answers are made in slices: others are answered before they end, and all of their numbers are of one moment."""

import asyncio
import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.base.cooperative import SLICE_SECONDS, Steps, at_once, in_slices
from sidecar.http import jsontext
from sidecar.reference import build, save
from tools.process import SidecarProcess, sidecar

FEATURES = 4000

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(documents)
def test_a_document_in_steps_is_the_one_that_is_written_at_once(document: Any) -> None:
    whole = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    assert at_once(jsontext.written(document)) == whole


class Node(msgspec.Struct):
    """Anything, and perhaps something more."""

    first: Any
    second: Any = msgspec.UNSET


def with_structs(document: Any) -> Any:
    """Put structs in the place of objects."""
    if isinstance(document, dict):
        values = [with_structs(value) for value in document.values()]
        return Node(*values[:2]) if values else Node([])
    return [with_structs(item) for item in document] if isinstance(document, list) else document


@given(documents)
def test_structs_are_written_as_msgspec_writes_them(document: Any) -> None:
    document = [with_structs(document), Node(1)]
    whole = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    assert at_once(jsontext.written(document)) == whole


async def test_others_have_their_turn_between_slices_and_the_result_is_the_same() -> None:
    turns: list[int] = []

    def work() -> Steps[int]:
        for step in range(5):
            began = time.perf_counter()
            while time.perf_counter() - began < SLICE_SECONDS:
                pass
            turns.append(step)
            yield
        return 7

    async def other() -> None:
        while len(turns) < 10:
            turns.append(-1)
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    assert await in_slices(work()) == 7
    await others
    assert turns[:8] == [0, -1, 1, -1, 2, -1, 3, -1]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run a sidecar whose answers are long."""
    folder = tmp_path_factory.mktemp("wide")
    rows = np.random.default_rng(1).normal(size=(FEATURES, 300))
    save(build({f"feature_{i}": column for i, column in enumerate(rows)}, bins=10), folder / "profile.json")
    config = folder / "sidecar.yml"
    model = "{name: wide, reference: profile.json, windows: [5m, 1h, 24h]}"
    config.write_text(f"limits: {{features: {FEATURES}}}\nmodels: [{model}]\n")
    with sidecar(folder, config=config) as process:
        yield process


ERROR = b'{"error": true}'
EVENTS = [{"features": {f"feature_{i}": float(i % 7) for i in range(FEATURES)}}] * 60


@pytest.mark.parametrize("path", ["/metrics", "/drift", "/alerts"])
def test_events_are_answered_while_a_long_answer_is_made(wide: SidecarProcess, path: str) -> None:
    post(wide, json.dumps(EVENTS).encode())
    begun = threading.Event()
    asking, posting = connect(wide), connect(wide)

    def ask() -> None:
        asking.getresponse()  # which has the head of the answer, and that comes when all of it is made
        begun.set()

    post(wide, ERROR, posting)
    waiting = threading.Thread(target=ask)
    asking.request("GET", path)
    waiting.start()
    answered = 0
    while not begun.is_set():
        post(wide, ERROR, posting)
        answered += 1
    waiting.join()
    asking.close()
    posting.close()
    assert answered > 3, "the sidecar made all of the answer before it looked at anything else"


def test_the_numbers_of_a_long_scrape_are_of_one_moment(wide: SidecarProcess) -> None:
    stop = threading.Event()

    def send() -> None:
        connection = connect(wide)
        body = json.dumps(EVENTS[:2]).encode()
        while not stop.is_set():
            post(wide, body, connection)
        connection.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        for _ in range(5):
            found = samples(wide)
            rows = sum(found["model_predictions_total"]) - sum(found["model_prediction_errors_total"])
            assert set(found["model_window_samples"]) == {rows}
            every_bin = found["model_bin_observations_total"]
            assert len(every_bin) % FEATURES == 0
            assert sum(every_bin) == rows * FEATURES
    finally:
        stop.set()
        sending.join()


def connect(process: SidecarProcess) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=60)


def post(process: SidecarProcess, body: bytes, connection: http.client.HTTPConnection | None = None) -> None:
    used = connection or connect(process)
    used.request("POST", "/monitor", body)
    reply = used.getresponse()
    assert (reply.status, reply.read()[:9]) == (202, b'{"accepte')
    if connection is None:
        used.close()


def samples(process: SidecarProcess) -> dict[str, list[float]]:
    """Return the values of each metric, without a parser, which would take seconds."""
    connection = connect(process)
    connection.request("GET", "/metrics")
    found: dict[str, list[float]] = {}
    for line in connection.getresponse().read().decode().splitlines():
        found.setdefault(line.partition("{")[0], []).append(float(line.rpartition(" ")[2]) if line[0] != "#" else 0)
    connection.close()
    return found
