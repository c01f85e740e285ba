"""What is kept is what was counted, to the bit, wherever the process ends."""

import asyncio
import json
import socket
import sys
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.base.duration import Duration
from sidecar.config import Config, DriftConfig, LabelsConfig, LatencyConfig, Learn, ModelConfig
from sidecar.events import forms
from sidecar.events.refusals import Unreadable
from sidecar.reference import build
from sidecar.serve.ingest.datagram import DatagramListener
from sidecar.storage.directory import StorageError
from tests.plugins.memory import IN_MEMORY
from tests.storage.support import (
    CONFIG,
    CREATED,
    FRAUD,
    LEARNING,
    PROFILE,
    PROFILES,
    RNG,
    WINDOWS,
    Kept,
    Time,
    body,
    churn,
    fraud,
)

OTHER = build({"amount": RNG.normal(0, 1, 1000)}, model="fraud", created=CREATED)


events = st.one_of(
    st.builds(
        fraud,
        st.sampled_from([None, 50.0, 100.0, 1e6, "bad"]),
        st.sampled_from([None, "visa", "new", True]),
        latency_ms=st.one_of(st.none(), st.floats(0, 1e4)),
        id=st.none() | st.integers(0, 60) | st.just(""),
        prediction=st.sampled_from(["fraud", "fine", None]),
        probability=st.none() | st.floats(0, 1),
    ),
    st.builds(churn, st.integers(0, 99), latency_ms=st.floats(0, 1e4)),
    st.just({"model": "fraud", "features": {"amount": 1.0, "unlisted": 3}}),
    st.just({"model": "churn", "features": {"age": 7, "nested": {"a": 1}}}),
    st.just({"model": "nobody", "features": {}}),
)


labels = st.fixed_dictionaries(
    {"id": st.integers(0, 60) | st.none(), "label": st.sampled_from(["fraud", "fine", "new"])},
    optional={"model": st.sampled_from(["fraud", "churn", "nobody"])},
)


columns = st.builds(
    lambda ages: {"model": "churn", "columns": {"features": {"age": ages}, "latency_ms": [0.1] * len(ages)}},
    st.lists(st.integers(0, 99), min_size=1, max_size=60),
)


steps = st.one_of(
    st.tuples(st.just("json"), st.lists(events, min_size=1, max_size=70)),
    st.tuples(st.just("ndjson"), st.lists(events, min_size=1, max_size=5)),
    st.tuples(st.just("msgpack"), columns),
    st.tuples(st.just("codes"), st.lists(st.sampled_from(["basic", "pro", "new"]), min_size=1, max_size=20)),
    st.tuples(st.just("arrow"), columns),
    st.tuples(st.just("texts"), st.lists(events, min_size=1, max_size=5)),
    st.tuples(st.just("labels"), st.lists(labels, min_size=1, max_size=30)),
    st.tuples(st.just("look"), st.just(None)),
    st.tuples(st.just("unreadable"), st.just(None)),
    st.tuples(st.just("drop"), st.integers(1, 5)),
    st.tuples(st.just("flush"), st.just(None)),
    st.tuples(st.just("checkpoint"), st.just(None)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 0.9, 7.0, 70.0, 1000.0])),
    st.tuples(st.just("stall"), st.sampled_from([0.2, 0.4, 0.9, 7.0])),
    st.tuples(st.just("set the time of day"), st.sampled_from([-4000.0, -0.7, 0.7, 2.5, 4000.0])),
    st.tuples(
        st.just("reload"), st.sampled_from(["same", "windows", "without churn", "other reference", "other labels"])
    ),
)


def arrow_stream(document: dict[str, Any]) -> bytes:
    """Return the columns of a document, of numbers all, as a stream."""
    named = document["columns"]["features"] | {"latency_ms": document["columns"]["latency_ms"]}
    batch = pa.record_batch(named).replace_schema_metadata({"model": document["model"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def reload(kept: Kept, change: str) -> None:
    config, profiles = kept.config, dict(kept.profiles)
    if change == "windows":
        config = replace(config, models=(replace(FRAUD, windows=(Duration("30s"),)), LEARNING))
    elif change == "without churn":
        config = Config(models=(FRAUD,))
    elif change == "other labels":
        config = replace(config, models=(replace(FRAUD, labels=LabelsConfig(most=9)), LEARNING))
    elif change == "other reference":
        profiles["fraud"] = OTHER
    kept.config, kept.profiles = config, {model.name: profiles.get(model.name) for model in config.models}
    kept.monitor.reconfigure(kept.config, kept.profiles, now=kept.clock())


def do(kept: Kept, step: str, what: Any) -> None:
    lines = b"\n".join(json.dumps(event).encode() for event in what) if step in ("ndjson", "texts") else b""
    match step:
        case "json":
            with suppress(Unreadable):
                kept.submit(body(*what))
        case "ndjson":
            with suppress(Unreadable):
                kept.submit(lines, forms.NDJSON)
        case "msgpack":
            kept.submit(msgspec.msgpack.encode(what), forms.MSGPACK)
        case "codes":
            plans = {"values": what, "codes": np.arange(len(what), dtype="<i4").tobytes()}
            coded = {"features": {"age": [7.0] * len(what), "plan": plans}}
            kept.submit(msgspec.msgpack.encode({"model": "churn", "columns": coded}), forms.MSGPACK)
        case "arrow":
            kept.submit(arrow_stream(what), forms.ARROW)
        case "texts":
            kept.monitor.submit_texts([*lines.split(b"\n"), b"{"], transport="http", now=kept.clock())
        case "labels":
            content = json.dumps(what).encode()
            kept.monitor.submit_labels(content, forms.JSON, transport="http", now=kept.clock())
        case "look":  # which is not kept, and must change nothing
            found = kept.monitor.models["fraud"].labels
            assert found is not None
            found.read(now=kept.clock())
        case "unreadable":
            with pytest.raises(Unreadable):
                kept.submit(b"{")
            with pytest.raises(Unreadable):
                kept.monitor.submit_labels(b"{", forms.JSON, transport="http", now=kept.clock())
        case "drop":
            kept.monitor.drop("http", "overload", what)
        case "flush":
            kept.monitor.flush(now=kept.clock())
        case "checkpoint":
            kept.store.checkpoint_now()
        case "pass":
            kept.monitor.flush(now=kept.clock())  # as every half second
            kept.time.pass_(what)
        case "stall":
            kept.time.pass_(what)
        case "set the time of day":
            kept.time.wall += what
            kept.monitor.set_time_of_day(kept.clock.time_of_day(), now=kept.clock())
        case "reload":
            reload(kept, what)


@given(st.lists(steps, max_size=25))
@example([("json", [fraud()]), ("set the time of day", 4000.0), ("json", [fraud()]), ("flush", None)])
def test_what_was_counted_comes_back_to_the_bit(steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory(dir=IN_MEMORY) as name:
        kept = Kept(Path(name, "a"), Time())
        for step in steps:
            do(kept, *step)
        again = kept.killed(Path(name, "b"))
        assert again.everything() == kept.everything()
        assert (again.state.problem, sum(again.state.set_aside.values())) == (None, 0)
        assert sum(again.state.resets.values()) == 0
        kept.abandon()
        again.abandon()


def test_datagrams_that_end_their_line_come_back_as_they_were_counted(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    listener = DatagramListener(kept.monitor, kept.clock, tmp_path / "socket", group=None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        for datagram in (b'{"features": {}, "model": "fraud"}\n', b'{"model": "churn"}\n', b'{"features": 7}\n'):
            client.sendto(datagram, str(tmp_path / "socket"))
    with closing(asyncio.new_event_loop()) as loop:
        listener.stop(loop)  # which takes what has come
    again = kept.killed(tmp_path / "b")
    assert again.monitor.rejected == kept.monitor.rejected
    assert again.monitor.rejected["unix_datagram", "invalid"] == 1
    assert again.monitor.events == kept.monitor.events == {"http": 0, "unix_datagram": 1}


def test_a_store_that_was_closed_goes_on_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(*[fraud()] * 300, *[churn(i) for i in range(99)]))
    expected = kept.everything()
    for name in "bcd":
        kept = kept.killed(tmp_path / name)
        assert kept.everything() == expected
    kept.submit(body(churn(50)))
    [model] = [m for m in kept.monitor.models.values() if m.name == "churn"]
    kept.monitor.flush(now=kept.clock())
    assert model.comparison is not None
    learned = model.comparison.profile
    model = kept.killed(tmp_path / "e").monitor.models["churn"]
    assert model.comparison is not None
    assert model.comparison.profile == learned


def test_a_body_that_cannot_be_read_any_more_is_told_and_what_came_after_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A sidecar with the extra for Arrow was killed, and one without it goes on."""
    kept = Kept(tmp_path / "a", Time())
    columns = {"features": {"amount": [1.0, 2.0]}, "latency_ms": [1.0, 1.0]}
    assert kept.submit(arrow_stream({"model": "fraud", "columns": columns}), forms.ARROW) == 2
    kept.submit(body(fraud()))
    assert kept.killed(tmp_path / "b").monitor.events == {"http": 3}
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    again = kept.killed(tmp_path / "c")
    assert again.monitor.events == {"http": 1}
    assert again.monitor.rejected["http", "unreadable"] == 1
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "what it holds is lost" in told.getMessage()
    assert "pip install 'model-sidecar[arrow]'" in str(vars(told)["fields"]["error"])


def test_counts_go_on_only_where_they_mean_the_same(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(*(fraud(id=i, prediction="fraud") for i in range(10)), *[churn(i) for i in range(50)]))

    def resets(name: str, fraud: ModelConfig = FRAUD, churn: ModelConfig = LEARNING, **options: Any) -> Any:
        again = kept.killed(tmp_path / name, config=Config(models=(fraud, churn)), **options)
        models = again.monitor.models
        comparison, learner = models["fraud"].comparison, models["churn"].learner
        assert comparison is not None
        assert learner is not None
        counts = (models["fraud"].traffic.events, int(comparison.observations().sum()), learner.rows)
        return counts, {part: number for part, number in again.state.resets.items() if number}

    assert resets("b") == ((10, 20, 50), {})
    assert resets("c", replace(FRAUD, drift=DriftConfig(min_samples=5))) == ((10, 20, 50), {})
    assert resets("d", replace(FRAUD, latency=LatencyConfig(buckets=(1.0,)))) == ((0, 20, 50), {"traffic": 1})
    assert resets("e", profiles={"fraud": OTHER, "churn": None}) == ((10, 0, 50), {"comparison": 1})
    assert resets("f", replace(FRAUD, windows=WINDOWS[:1])) == (
        (0, 0, 50),
        {"traffic": 1, "comparison": 1, "labels": 1},
    )
    assert resets("h", replace(FRAUD, labels=None)) == ((10, 20, 50), {"labels": 1})
    assert resets("g", churn=replace(LEARNING, learn=Learn(events=200))) == ((10, 20, 0), {"learning": 1})


def test_a_model_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(fraud(), churn()))
    again = kept.killed(tmp_path / "b", config=Config(models=(FRAUD,)), profiles={"fraud": PROFILE})
    assert (again.monitor.events["http"], list(again.monitor.models)) == (2, ["fraud"])
    assert again.state.resets == {"traffic": 1, "comparison": 0, "learning": 1, "labels": 0}
    back = again.killed(tmp_path / "c", config=CONFIG, profiles=PROFILES)
    assert back.monitor.models["churn"].traffic.events == 0


def test_a_directory_is_of_one_process(tmp_path: Path) -> None:
    Kept(tmp_path / "a", Time())
    with pytest.raises(StorageError, match=r"--storage.path: \S+/a is in use by another process"):
        Kept(tmp_path / "a", Time())


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(StorageError, match=rf"--storage.path: {path} is not a directory"):
            Kept(path, Time())


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "x" / "a", Time())
    assert kept.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.path.iterdir()} == {0o600}


def test_predictions_wait_for_their_labels_across_a_kill(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(*(fraud(id=i, prediction="fraud", probability=0.75) for i in range(30))))
    kept.time.pass_(10)
    again = kept.killed(tmp_path / "b")
    content = json.dumps([{"model": "fraud", "id": i, "label": "fraud"} for i in range(10)]).encode()
    decoded = again.monitor.submit_labels(content, forms.JSON, transport="http", now=again.clock())
    assert (decoded.accepted, decoded.refusals.total) == (10, 0)
    third = again.killed(tmp_path / "c")
    refused = third.monitor.submit_labels(content, forms.JSON, transport="http", now=third.clock()).refusals
    assert refused.by_kind == {"duplicate": 10}
    third.time.pass_(41)
    labels = third.monitor.models["fraud"].labels
    assert labels is not None
    assert labels.read(now=third.clock()).coverage.tolist() == [1 / 3, 1 / 3]
    assert labels.expired == 20
    assert third.monitor.labels == {"http": 10}
