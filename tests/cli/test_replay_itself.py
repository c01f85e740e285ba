"""Events made of a data file show no drift from the reference built of it, in every form of the wire."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_sidecar_client.wire import encode

from sidecar.base.duration import Duration
from sidecar.cli.replay.rows import Rows
from sidecar.cli.replay.send import body_of
from sidecar.config import DriftConfig
from sidecar.events import forms
from sidecar.events.columns import batch_of_events
from sidecar.events.decode import Decoder
from sidecar.events.forms import Form
from sidecar.monitor.comparison import Comparison
from sidecar.reference import Profile, files

Table = dict[str, list[Any]]
Body = tuple[bytes, Form]

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

numbers = st.floats() | st.none() | st.sampled_from([0.0, -0.0, 1.0, 5e-324, math.inf, -math.inf, math.nan])
wholes = st.integers(-(2**63), 2**63 - 1) | st.none()
texts = st.sampled_from(["a", "b c", "é", '"', "x,y", "1", "007", "true", "nan", "inf", "null", "None"]) | st.none()
booleans = st.booleans() | st.none()


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(1, 30))
    kinds = {"number": numbers, "whole": wholes, "text": texts, "boolean": booleans}
    return {
        f"{name}{i}": draw(st.lists(values, min_size=rows, max_size=rows))
        for i in range(draw(st.integers(1, 2)))
        for name, values in kinds.items()
    }


def arrow(table: Table) -> pa.Table:
    kinds = {"number": pa.float64(), "whole": pa.int64(), "text": pa.string(), "boolean": pa.bool_()}
    return pa.table({name: pa.array(values, kinds[name.rstrip("01")]) for name, values in table.items()})


def as_parquet(table: Table, directory: Path) -> Path:
    path = directory / "x.parquet"
    pa.parquet.write_table(arrow(table), path)
    return path


def as_csv(table: Table, directory: Path) -> Path:
    path = directory / "x.csv"
    pa.csv.write_csv(arrow(table), path)
    return path


def as_json_lines(table: Table, directory: Path) -> Path:
    """Write infinities and NaN as Python does, in words that JSON lacks and DuckDB reads."""
    path = directory / "x.jsonl"
    rows = zip(*table.values(), strict=True)
    path.write_text("".join(json.dumps(dict(zip(table, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    return path


def replayed(path: Path, form: Any, *, categorical: list[str]) -> Iterator[Body]:
    for events in Rows([path], others={}, categorical=categorical).bodies(7):
        content, media_type = body_of(events, form, None)
        yield content, forms.of_content_type(media_type)


def logged(table: Table) -> Iterator[Body]:
    """Write what the client sends of the values themselves."""
    events = [
        (dict(zip(table, row, strict=True)), None, None, None, False, None) for row in zip(*table.values(), strict=True)
    ]
    made, unfit = encode.bodies(events, None)
    assert not unfit
    for body in made:
        yield body.content, forms.of_content_type(body.media_type)


def observed(profile: Profile, bodies: Iterator[Body]) -> Comparison:
    """Count bodies as the sidecar does, and require that the counts are those of the reference."""
    comparison = Comparison("m", profile, DriftConfig(), (Duration("5m"),), now=0.0)
    limits = {"events_per_body": 1000, "values_per_body": 10**6, "string_length": 1000, "features": 100}
    decoder = Decoder([comparison.schema], **limits)
    for content, form in bodies:
        decoded = decoder.decode(content, form)
        assert not decoded.refusals.total, decoded.refusals.first
        batch = batch_of_events(decoded.events) if decoded.batch is None else decoded.batch
        comparison.observe(batch, now=0.0, wall=NOW)
    assert comparison.observations().tolist() == comparison.reference_counts.tolist()
    return comparison


@pytest.mark.parametrize("form", ["ndjson", "columns", "json"])
@pytest.mark.parametrize("write", [as_parquet, as_csv, as_json_lines])
@settings(max_examples=25)
@given(table=tables(), names=st.booleans())
def test_a_replayed_file_does_not_differ_from_its_reference(
    write: Callable[[Table, Path], Path], form: str, table: Table, names: bool
) -> None:
    with TemporaryDirectory() as directory:
        path = write(table, Path(directory))
        categorical = [name for name in table if names or name.startswith("text")]  # CSV cannot tell 1 from "1"
        profile = files.build([path], categorical=categorical)
        observed(profile, replayed(path, form, categorical=categorical))


@settings(max_examples=50)
@given(table=tables(), names=st.booleans())
def test_what_the_client_logs_does_not_differ_from_the_reference_of_the_same_values(table: Table, names: bool) -> None:
    with TemporaryDirectory() as directory:
        profile = files.build([as_parquet(table, Path(directory))], categorical=list(table) if names else [])
    observed(profile, logged(table))


def sent_as_they_are(table: Table, form: str) -> Iterator[Body]:
    """Write the values in a binary form, infinities and NaN among them."""
    if form == "arrow":
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, arrow(table).schema) as writer:
            writer.write_table(arrow(table))
        yield sink.getvalue().to_pybytes(), forms.ARROW
        return
    columns: dict[str, Any] = dict(table)
    if form == "buffers":
        for name in [name for name in table if name.startswith("number")]:
            columns[name] = np.array([math.nan if v is None else v for v in table[name]], "<f8").tobytes()
    yield msgspec.msgpack.encode({"columns": {"features": columns}}), forms.MSGPACK


@pytest.mark.parametrize("form", ["arrow", "buffers", "lists"])
@settings(max_examples=25)
@given(table=tables(), names=st.booleans())
def test_so_are_values_in_every_binary_form(form: str, table: Table, names: bool) -> None:
    # As categories, integers that a double cannot hold exactly come out of Arrow as the nearest that it can.
    large = any(value is not None and abs(value) > 2**53 for value in (*table["whole0"], *table.get("whole1", ())))
    categorical = list(table) if names and not (form == "arrow" and large) else []
    with TemporaryDirectory() as directory:
        profile = files.build([as_parquet(table, Path(directory))], categorical=categorical)
    observed(profile, sent_as_they_are(table, form))


@pytest.mark.parametrize("form", ["ndjson", "columns", "json"])
def test_infinities_are_missing_on_both_sides(tmp_path: Path, form: str) -> None:
    values = [float(i) for i in range(950)] + [math.inf] * 30 + [-math.inf] * 20
    path = as_parquet({"number0": values}, tmp_path)
    profile = files.build([path])
    assert profile.features[0].missing == 50
    assert observed(profile, replayed(path, form, categorical=[])).read(now=0.0).statistics["psi"] == pytest.approx(
        0, abs=1e-5
    )


@pytest.mark.parametrize("form", ["ndjson", "columns", "json"])
def test_times_that_are_named_as_categories_are_sent_as_they_were_counted(form: str, tmp_path: Path) -> None:
    path = as_json_lines({"text0": ["2026-01-01", "2026-01-02"] * 20, "number0": [1.0, 2.0] * 20}, tmp_path)
    profile = files.build([path], categorical=["text0"])
    assert [feature.name for feature in profile.features] == ["text0", "number0"]
    observed(profile, replayed(path, form, categorical=["text0"]))
