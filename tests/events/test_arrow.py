"""Arrow IPC streams as bodies of `POST /monitor`."""

import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.events import forms
from sidecar.events.arrow import packed_columns
from sidecar.events.batch import PREDICTION, Key, Schema
from sidecar.events.decode import Decoder
from sidecar.events.refusals import TooMany, Unreadable
from tests.plugins.serving import post, samples, value, wait_until
from tools.process import SidecarProcess, sidecar

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
SCHEMA = Schema(model="m", numeric=(Key("input", "amount"),), categorical=(Key("input", "shop"), PREDICTION))
ROWS: list[dict[str, Any]] = [
    {"amount": 1.5, "shop": "a", "prediction": "x", "probability": 0.5, "latency_ms": 3.0, "error": False},
    {"amount": None, "shop": "b", "prediction": "y", "probability": None, "latency_ms": None, "error": True},
    {"amount": -2.0, "shop": None, "prediction": "x", "probability": 1.0, "latency_ms": 0.0, "error": None},
]


def stream(*batches: pa.RecordBatch, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def batch(rows: Sequence[dict[str, Any]] = ROWS, *, coded: Sequence[str] = (), **types: pa.DataType) -> pa.RecordBatch:
    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    columns |= {name: columns[name].dictionary_encode() for name in coded}
    return pa.record_batch(columns)


def decoder(*models: Schema, events: int = 100) -> Decoder:
    return Decoder(models or [SCHEMA], events_per_body=events, values_per_body=10**6, string_length=5, features=10)


def counted(body: bytes, *models: Schema) -> list[Any]:
    decoded = decoder(*models).decode(body, forms.ARROW)
    assert decoded.refusals.total == 0, decoded.refusals
    found = decoded.batch
    assert found is not None
    numbers = [[None if v != v else v for v in column] for column in found.numeric.tolist()]
    texts = [list(column) for column in found.categorical]
    return [found.events, found.errors, found.latency_seconds.tolist(), numbers, texts, found.unknown]


EXPECTED = [3, 1, [0.003, 0.0], [[1.5, None, -2.0]], [["a", "b", None], ["x", "y", "x"]], 0]


@pytest.mark.parametrize(
    "content",
    [
        stream(batch()),
        stream(batch(coded=["shop", "prediction"])),
        stream(*[batch().slice(i, 1) for i in range(3)]),
        stream(*[batch(ROWS, coded=["shop"]).slice(i, 1) for i in range(3)]),
        stream(batch(amount=pa.float32(), shop=pa.large_string(), prediction=pa.string_view())),
    ],
    ids=["plain", "dictionaries", "three batches", "three batches of dictionaries", "other widths"],
)
def test_columns_are_those_of_the_stream(content: bytes) -> None:
    assert counted(content) == EXPECTED


def test_dictionaries_may_differ_between_batches_and_hold_null() -> None:
    first = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ["a", "b"])
    second = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ["a", "b", "c", None][2:])
    amounts = pa.array([1, 2])
    whole = stream(*[pa.record_batch({"amount": amounts, "shop": shop}) for shop in (first, second)])
    assert counted(whole)[4][0] == ["a", "b", "c", None]


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-100, 100), st.none() | st.sampled_from("abc")), min_size=1, max_size=40
    ),
    st.sampled_from([pa.int8(), pa.int64(), pa.float32(), pa.float64()]),
    st.booleans(),
    st.integers(0, 40),
)
def test_null_is_missing_wherever_it_is_and_however_batches_are_cut(
    rows: list[tuple[int | None, str | None]], numbers: pa.DataType, nested: bool, cut: int
) -> None:
    amounts, shops = (list(column) for column in zip(*rows, strict=True))
    columns = [pa.array(amounts, numbers), pa.array(shops, pa.string())]
    if nested:  # the fields of a struct that is null are null, too
        whole = pa.StructArray.from_arrays(
            columns, ["amount", "shop"], mask=pa.array([i == cut for i in range(len(rows))])
        )
        made = pa.record_batch({"features": whole})
        amounts = [None if i == cut else amount for i, amount in enumerate(amounts)]
        shops = [None if i == cut else shop for i, shop in enumerate(shops)]
    else:
        made = pa.record_batch(columns, names=["amount", "shop"])
    schema = Schema(model="m", numeric=(Key("input", "amount"),), categorical=(Key("input", "shop"),))
    found = counted(stream(made.slice(0, cut), made.slice(cut)), schema)
    assert (found[0], found[3], found[4]) == (len(rows), [amounts], [shops])


def test_features_may_be_a_struct_where_a_name_is_taken() -> None:
    schema = Schema(model="m", numeric=(Key("input", "error"),))
    features = pa.array([{"error": 1.0}, None, {"error": 3.0}])
    body = stream(pa.record_batch({"features": features, "error": [False, True, False]}))
    assert counted(body, schema) == [3, 1, [], [[1.0, None, 3.0]], [], 0]


def test_ids_are_kept_where_the_model_has_labels() -> None:
    kept = Schema(model="m", categorical=(PREDICTION,), ids=True)
    ids = pa.array(["o-1", None, "o-3"]).dictionary_encode()
    found = decoder(kept).decode(stream(pa.record_batch({"id": ids, "prediction": ["x", "y", "z"]})), forms.ARROW)
    assert (found.accepted, found.refusals.total) == (3, 0)
    assert found.batch is not None
    assert list(found.batch.identified.ids) == ["o-1", "o-3"]
    assert list(found.batch.identified.predictions) == ["x", "z"]


def test_the_model_is_in_the_metadata() -> None:
    other = Schema(model="other", numeric=(Key("input", "amount"),))
    named = batch([{"amount": 1.0}]).replace_schema_metadata({"model": "other"})
    found = decoder(SCHEMA, other).decode(stream(named), forms.ARROW)
    assert found.batch is not None
    assert found.batch.schema.model == "other"
    unnamed = decoder(SCHEMA, other).decode(stream(batch([{"amount": 1.0}])), forms.ARROW)
    assert [(r.path, r.kind) for r in unnamed.refusals.first] == [("$.model", "unknown_model")]


def test_unlisted_columns_of_any_type_are_ignored_and_counted() -> None:
    rows: list[dict[str, Any]] = [{"amount": 1.0, "when": [1, 2], "note": b"\xff"}] * 2
    decoded = decoder().decode(stream(batch(rows)), forms.ARROW)
    assert decoded.accepted == 2


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ([ROWS[0], ROWS[1] | {"probability": 2.0}], "$.probability"),
        ([ROWS[0], ROWS[1] | {"latency_ms": -1.0}], "$.latency_ms"),
        ([ROWS[0], ROWS[1] | {"shop": "too long"}], "$.features.shop"),
    ],
)
def test_a_bad_row_is_refused_by_its_path_and_the_others_are_counted(rows: list[dict[str, Any]], path: str) -> None:
    decoded = decoder().decode(stream(batch(rows)), forms.ARROW)
    assert (decoded.accepted, decoded.refusals.total) == (1, 1)
    assert [(r.index, r.path) for r in decoded.refusals.first] == [(1, path)]


def test_a_column_of_the_wrong_type_is_refused_by_its_path() -> None:
    decoded = decoder().decode(stream(batch([ROWS[0] | {"amount": "1"}])), forms.ARROW)
    assert [r.path for r in decoded.refusals.first] == ["$.features.amount"]
    assert decoded.accepted == 0


def test_more_rows_than_a_body_may_have_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooMany, match=r"^the body holds more than 2 events$"):
        decoder(events=2).decode(stream(batch()), forms.ARROW)
    assert decoder(events=3).decode(stream(batch()), forms.ARROW).accepted == 3
    empty = stream(pa.record_batch([pa.nulls(10**6)], names=["amount"]))  # takes no bytes
    tracemalloc.start()
    try:
        with pytest.raises(TooMany, match=r"^the body holds more than 100 events$"):
            decoder().decode(empty, forms.ARROW)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("coded", [[], ["shop"]])
def test_compressed_buffers_are_refused(compression: str, coded: list[str]) -> None:
    with pytest.raises(Unreadable, match="compressed buffers are not taken"):
        decoder().decode(stream(batch(coded=coded), compression=compression), forms.ARROW)


GOOD = stream(batch(coded=["shop"]))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, len(GOOD)))
@example(0, 0, len(GOOD))
@example(len(GOOD) // 2, 255, len(GOOD) // 2)
def test_a_broken_stream_is_events_or_our_own_error(at: int, byte: int, length: int) -> None:
    broken = bytearray(GOOD)
    broken[at] = byte
    with suppress(Unreadable, TooMany):
        decoded = decoder().decode(bytes(broken[:length]), forms.ARROW)
        assert decoded.accepted + decoded.refusals.total <= 100
        counted = 0 if decoded.batch is None else decoded.batch.events
        assert counted == decoded.accepted


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_our_own_error(content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^no Arrow stream: ."):
        packed_columns(content, events=10, values=100)


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.record_batch([pa.array([1.0]), pa.array([2.0])], names=["amount", "amount"])
    with pytest.raises(Unreadable, match="two columns are named 'amount'"):
        decoder().decode(stream(twice), forms.ARROW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrow")


@pytest.fixture(scope="module")
def process(folder: Path) -> Iterator[SidecarProcess]:
    with sidecar(folder, options=[f"--ingest.unix-datagram={folder / 'd'}"]) as running:
        yield running


def test_a_sidecar_takes_streams_over_http_and_datagrams_and_learns_from_them(
    process: SidecarProcess, folder: Path
) -> None:
    reply = post(process.url, stream(batch(coded=["shop"])), MEDIA_TYPE)
    assert (reply.status, reply.json()) == (202, {"accepted": 3, "rejected": 0})
    reply = post(process.url, b"ARROW1\0\0", MEDIA_TYPE)
    assert reply.status == 400
    assert "no Arrow stream" in reply.json()["error"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.connect(str(folder / "d"))
        sending.send(stream(batch()))
    wait_until(lambda: value(samples(process.url), "model_sidecar_events_total", transport="unix_datagram") == 3)


def test_without_pyarrow_the_answer_says_which_extra_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError('not installed')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path.cwd())]))
    with sidecar(tmp_path) as running:
        reply = post(running.url, GOOD, MEDIA_TYPE)
        assert reply.status == 415
        assert reply.json() == {"error": "Arrow streams need the extra `arrow`: pip install 'model-sidecar[arrow]'"}
        refused = {"reason": "unreadable", "transport": "http"}
        assert value(samples(running.url), "model_sidecar_events_rejected_total", **refused) == 1


def test_pandas_is_not_loaded_for_a_stream(tmp_path: Path) -> None:
    """It is installed here, and pyarrow would load it in many places: for half of the memory and most of the wait."""
    (tmp_path / "stream").write_bytes(stream(batch(coded=["shop"]), batch(ROWS[:2], coded=["shop"])))
    read = f"open({str(tmp_path / 'stream')!r}, 'rb').read()"
    code = f"from sidecar.events import arrow; arrow.packed_columns({read}, events=9, values=99)"
    script = f"{code}; import sys; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_pyarrow_is_not_loaded_before_it_is_needed() -> None:
    command = [sys.executable, "-c", "import sidecar.serve.app, sys; sys.exit('pyarrow' in sys.modules)"]
    assert subprocess.run(command, check=False).returncode == 0
