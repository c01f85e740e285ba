"""Rows of history: times, order, columns, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sidecar.alerting.backtest.counters import Layout, counted
from sidecar.alerting.backtest.history import History, HistoryError, Named
from sidecar.config import DriftConfig
from sidecar.data.files import DataError
from sidecar.events.batch import Batch
from sidecar.monitor.comparison import Comparison
from sidecar.reference import ProfileError

from .support import START, Events, afternoon, history, plan, reference, study


def short() -> Events:
    return afternoon(minutes=40, storm=(20, 30))


def times_of(found: History) -> list[float]:
    return [t for rows in found.batches() for t in rows.times.tolist()]


def table(path: Path, times: Any, **more: Any) -> Path:
    number = len(times)
    columns = {"timestamp": times, "amount": [1.0] * number, "merchant": ["visa"] * number} | more
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def opened(path: Path, notices: list[str] | None = None, **options: Any) -> History:
    notice = (notices if notices is not None else []).append
    return History([path], reference(), Named(), notice=notice, **options)


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000, 1_000_000_000])
def test_numbers_are_unix_times_in_the_unit_that_their_size_tells(tmp_path: Path, unit: int) -> None:
    found = opened(table(tmp_path / "x.parquet", [START * unit, (START + 2) * unit]))

    assert times_of(found) == [START, START + 2]


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("odd", [0, 1, 1000, 1_000_000])
def test_a_time_in_another_unit_decides_nothing_and_is_told_or_left_out(tmp_path: Path, unit: int, odd: int) -> None:
    times = [START * unit, (START + 1) * unit, (START + 2) * unit, START * odd]
    path = table(tmp_path / "x.parquet", times)
    if odd != unit:
        with pytest.raises(HistoryError, match=r"'timestamp' span [\d,]+ years: leave out what is wrong, by --since"):
            opened(path)
    found = opened(path, since=START, until=START + 60)
    assert sorted(times_of(found)) == [START, *([START] if odd == unit else []), START + 1, START + 2]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2013-02-08T21:47:00Z", 0),
        ("2013-02-08 21:47:00", 0),
        ("2013-02-08T16:47:00-05:00", 0),
        ("2013-02-08T21:47:00.250", 0.25),
        ("2013-02-09", 7980),
    ],
)
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_texts_are_times_of_their_zone_and_else_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float, form: str
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    path = tmp_path / f"x.{form}"
    if form == "csv":
        path.write_text(f"timestamp,amount,merchant\n{text},1,visa\n")
    elif form == "jsonl":
        path.write_text(f'{{"timestamp": "{text}", "amount": 1, "merchant": "visa"}}\n')
    else:
        table(path, [text])

    assert times_of(opened(path)) == [START + seconds]


def test_columns_of_times_are_read_whatever_their_type(tmp_path: Path) -> None:
    moment = datetime.fromtimestamp(START, UTC)
    zoned = moment.astimezone(timezone(timedelta(hours=5)))
    for i, column in enumerate([[moment.replace(tzinfo=None)], [zoned]]):
        assert times_of(opened(table(tmp_path / f"{i}.parquet", column))) == [START]


@pytest.mark.parametrize("form", ["lines", "parquet"])
def test_rows_in_any_order_give_the_same_results(tmp_path: Path, form: str) -> None:
    events = short()
    mixed = np.random.default_rng(3).permutation(len(events)).tolist()
    name = "x.jsonl" if form == "lines" else "x.parquet"
    paths = [tmp_path / "in-order" / name, tmp_path / "mixed" / name]
    for path, order in zip(paths, (None, mixed), strict=True):
        path.parent.mkdir()
        getattr(events, form)(path, order)
    notices: list[str] = []
    assert opened(paths[0]).ordered
    assert not opened(paths[1], notices).ordered
    assert notices == ["the rows are not in the order of 'timestamp': they are sorted on disk first"]
    found = [study(path) for path in paths]

    for one, other in zip(found[0].series, found[1].series, strict=True):
        np.testing.assert_array_equal(one.psi, other.psi)
    assert [s.holds.tolist() for s in found[0].states] == [s.holds.tolist() for s in found[1].states]
    for each in found:
        with each:
            assert np.isfinite(each.alert_series.psi).any()


def test_events_and_tables_of_the_same_rows_are_one(tmp_path: Path) -> None:
    events = short()
    with study(events.lines(tmp_path / "x.jsonl")) as nested, study(events.parquet(tmp_path / "x.parquet")) as flat:
        np.testing.assert_array_equal(nested.alert_series.psi, flat.alert_series.psi)


def test_counts_are_those_of_the_sidecar(tmp_path: Path) -> None:
    """The same rows through `Comparison.observe`, which counts what a running sidecar is sent."""
    events = short()
    found = history(events.parquet(tmp_path / "x.parquet"))
    comparison = Comparison("fraud", found.profile, DriftConfig(), plan().model.windows, now=START)
    layout = Layout.of(comparison, (0.05, 0.1))
    counts = sum(s.counts.sum(axis=0) for s in counted(found.batches(), comparison, layout, scrape_seconds=60))

    columns = events.columns
    batch = Batch(
        schema=comparison.schema,
        events=len(events),
        errors=0,
        latency_seconds=np.zeros(0),
        rows=len(events),
        numeric=np.array([columns["amount"]]),
        categorical=[columns["merchant"], columns["prediction"]],
        unknown=0,
    )
    comparison.observe(batch, now=START + 3600, wall=datetime.fromtimestamp(START + 3600, UTC))
    np.testing.assert_array_equal(counts[layout.bins], comparison.observations())
    milliseconds = columns["latency_ms"]
    expected = [len(events), sum(columns["error"]), *((milliseconds <= b).sum() for b in (50, 100, np.inf))]
    assert counts[layout.events :].tolist() == expected


def test_rows_before_since_and_from_until_on_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path / "x.parquet", [START, START + 1, START + 2, START + 3])

    assert times_of(opened(path, since=START + 1, until=START + 3)) == [START + 1, START + 2]


def test_rows_that_the_sidecar_would_refuse_are_counted_and_left_out(tmp_path: Path) -> None:
    found = opened(table(tmp_path / "x.parquet", [START, START + 1, START + 2], latency_ms=[5.0, -1.0, None]))

    assert times_of(found) == [START, START + 2]
    assert found.refused == 1


def test_rows_without_a_time_are_left_out_with_a_notice(tmp_path: Path) -> None:
    notices: list[str] = []

    assert times_of(opened(table(tmp_path / "x.parquet", [START, None, START + 2]), notices)) == [START, START + 2]
    assert "1 rows without a time in column 'timestamp' are left out" in notices


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"timestamp": ["soon", "later"]},
            "column 'timestamp' holds values that are no times, such as 'later' (2 of 2)",
        ),
        ({"timestamp": [True, False]}, "column 'timestamp' holds values that are no times, such as 'false' (2 of 2)"),
        ({"amount": ["a", "b"]}, "column 'amount' holds values such as 'a'; 'amount' is numeric"),
        ({"latency_ms": ["a", "b"]}, "column 'latency_ms' is to be number but holds values such as 'a'"),
    ],
)
def test_columns_that_cannot_be_what_they_are_to_be_are_refused(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    times = columns.pop("timestamp", [START, START + 1])
    with pytest.raises((HistoryError, ProfileError, DataError)) as error:
        opened(table(tmp_path / "x.parquet", times, **columns))

    assert str(error.value).startswith(message)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("when,amount,merchant\n1,2,visa\n")
    with pytest.raises(HistoryError, match="no column named 'timestamp'; there are: when, amount, merchant"):
        opened(path)
