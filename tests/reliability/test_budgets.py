"""What a small body may become is bounded: in every form it is refused before it takes memory or holds the loop."""

import http.client
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from sidecar.reference import build, save
from tests.plugins.serving import JSON, MSGPACK, NDJSON, Reply, Start, post, samples, value
from tools.process import SidecarProcess

ARROW = "application/vnd.apache.arrow.stream"
FEATURES = 1000
MEBIBYTE = 2**20
MOST_ABOVE_REST = 200 * MEBIBYTE
LONGEST_STALL_SECONDS = 2.0
"""A second is what is aimed at; two busy cores take their share of it."""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A reference of 1,000 numeric features."""
    folder = tmp_path_factory.mktemp("wide")
    random = np.random.default_rng(3)
    columns = {f"f{i}": random.normal(size=50) for i in range(FEATURES)}
    save(build(columns, model="wide", created=datetime(2026, 11, 1, tzinfo=UTC)), folder / "wide.profile.json")
    (folder / "sidecar.yml").write_text("models: [{name: wide, reference: wide.profile.json}]\n")
    return {"config": folder / "sidecar.yml"}


@dataclass
class Stalls:
    """The longest time that another connection waited for an answer."""

    longest: float = 0.0


@contextmanager
def watched(process: SidecarProcess) -> Iterator[Stalls]:
    """Ask for /-/healthy over and over on a connection of its own."""
    stalls, done = Stalls(), threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=120)
        while not done.is_set():
            since = time.monotonic()
            connection.request("GET", "/-/healthy")
            connection.getresponse().read()
            stalls.longest = max(stalls.longest, time.monotonic() - since)
            time.sleep(0.002)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield stalls
    finally:
        done.set()
        thread.join()


def resident(process: SidecarProcess, field: str) -> int:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def stream(batch: pa.RecordBatch, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def nulls(columns: int, rows: int) -> bytes:
    return stream(pa.record_batch({f"f{i}": pa.nulls(rows) for i in range(columns)}))


def one_long_text(rows: int) -> bytes:
    """A dictionary of a text of 1 MB and a null: as texts of their own the rows would take gigabytes."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 1_000_000, None]))
    return stream(pa.record_batch({"f0": pa.array(np.zeros(rows)), "unlisted": texts}))


def one_long_value(value: object, rows: int) -> bytes:
    """A dictionary of one long value that is no text: expanded, each row would take as much as all of the body."""
    values = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))
    return stream(pa.record_batch({"f0": pa.array(np.zeros(rows)), "unlisted": values}))


ROWS = 5_000
COLUMNS = {"f0": ["x"] + [1.0] * (ROWS - 1)}
BODIES: dict[str, tuple[bytes, str, int]] = {
    "a bad feature and 10,000 unknown names": (
        json.dumps({"columns": {"features": COLUMNS | {f"u{i}": [1] for i in range(10_000)}}}).encode(),
        JSON,
        413,
    ),
    "the same in MessagePack": (
        msgspec.msgpack.encode({"columns": {"features": COLUMNS | {f"u{i}": [1] for i in range(10_000)}}}),
        MSGPACK,
        413,
    ),
    "a bad value in rows of 1,000 columns": (
        json.dumps({"columns": {"features": COLUMNS}}).encode(),
        JSON,
        413,
    ),
    "100,000 events without features, as lines": (b'{"features":{}}\n' * 100_000, NDJSON, 413),
    "100,000 events without features, in an array": (
        b"[" + b",".join([b'{"features":{}}'] * 100_000) + b"]",
        JSON,
        413,
    ),
    "100,000 latencies in columns": (
        json.dumps({"columns": {"features": {}, "latency_ms": [1] * 100_000}}).encode(),
        JSON,
        413,
    ),
    "4,900 events without features, as lines": (b'{"features":{}}\n' * 4_900, NDJSON, 202),
    "100,000 latencies in a buffer": (
        msgspec.msgpack.encode({"columns": {"features": {}, "latency_ms": np.ones(100_000).tobytes()}}),
        MSGPACK,
        413,
    ),
    "lines of bad events": (b'{"features":{"f0":"x"}}\n' * 4_900, NDJSON, 422),
    "Arrow, 100 null columns": (nulls(100, 100_000), ARROW, 413),
    "Arrow, 1,000 null columns": (nulls(1_000, 100_000), ARROW, 413),
    "Arrow, null columns within the budget": (nulls(1_000, 4_900), ARROW, 202),
    "Arrow, a null in a dictionary of a long text": (one_long_text(4_900), ARROW, 202),
    "Arrow, a dictionary of long bytes": (one_long_value(b"x" * 100_000, 4_900), ARROW, 202),
    "Arrow, a dictionary of long lists": (one_long_value([0.0] * 12_500, 4_900), ARROW, 202),
    "Arrow, compressed": (
        stream(pa.record_batch({"f0": pa.array(np.zeros(50_000))}), compression="zstd"),
        ARROW,
        400,
    ),
    "Arrow, compressed as before version 1.0": (
        stream(
            pa.record_batch({"f0": pa.array(np.zeros(50_000))}),
            compression="zstd",
            metadata_version=pa.ipc.MetadataVersion.V4,
        ),
        ARROW,
        400,
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_at_the_limits_is_answered_soon_and_leaves_little(
    name: str, start: Start, wide: dict[str, Any], tmp_path: Path
) -> None:
    body, media_type, status = BODIES[name]
    process = start(wide["config"], options=[f"--storage.path={tmp_path}/kept"])
    assert post(process.url, {"features": {"f0": 1.0}}).status == 202
    if media_type == ARROW:  # the import of pyarrow is not what is measured
        assert post(process.url, stream(pa.record_batch({"f0": pa.array([1.0])})), ARROW).status == 202
    rest, before = resident(process, "VmRSS"), value(samples(process.url), "model_predictions_total")
    with watched(process) as stalls:
        reply: Reply = post(process.url, body, media_type)
    assert reply.status == status, reply.text[:500]
    if status == 413:
        assert reply.json()["error"].endswith("values, its events times their columns: send fewer events in one")
        assert value(samples(process.url), "model_predictions_total") == before
    assert resident(process, "VmHWM") - rest < MOST_ABOVE_REST
    assert stalls.longest < LONGEST_STALL_SECONDS


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.date32(), pa.duration("s"), pa.decimal128(9, 2), pa.list_(pa.int32())], ids=str
)
def test_arrow_columns_of_other_types_are_ignored_where_unlisted_and_refused_by_name_where_listed(
    kind: pa.DataType, start: Start, wide: dict[str, Any]
) -> None:
    """Times may be far outside of what Python can hold."""
    process = start(wide["config"])
    if pa.types.is_list(kind) or pa.types.is_decimal(kind):
        odd = pa.nulls(2, kind)
    else:
        far = pa.array([2**31 - 1, -(2**31)], pa.int32())
        odd = far.view(kind) if pa.types.is_date32(kind) else (far.cast(pa.int64()).view(pa.int64()).view(kind))
    unlisted = stream(pa.record_batch({"f0": pa.array([1.0, 2.0]), "when": odd}))
    assert post(process.url, unlisted, ARROW).json() == {"accepted": 2, "rejected": 0}
    listed = post(process.url, stream(pa.record_batch({"f0": pa.array([1.0, 2.0]), "f1": odd})), ARROW)
    assert listed.status == 422
    assert listed.json()["errors"][0]["path"] == "$.columns.features.f1"
    assert listed.json()["errors"][0]["reason"] == f"expected numbers, text, booleans or nulls, not {kind}"
    assert "level=error" not in process.log.read_text()
