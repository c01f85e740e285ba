"""A table of an engine gives the profile that its rows give: the work is done there, and the numbers are the same."""

from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pytest
import sqlglot

from sidecar.reference import Profile, ProfileError, build, files, tables
from sidecar.statistics.season import Season
from tests.reference.engines import CREATED, NEW_YORK, OPTIONS, TIMED, assert_same, table_of_flights, timed_flights

# Ibis calls what newer versions of its engines have renamed.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return table_of_flights()


@pytest.fixture(scope="module")
def parquet(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "flights.parquet"
    frame.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def expected(parquet: Path) -> Profile:
    return files.build([parquet], sample_rows=10**6, **OPTIONS)


def test_an_engine_gives_the_profile_of_the_files(parquet: Path, expected: Profile) -> None:
    # Rows of a table come in any order; `place` says in which they happened.
    table = ibis.duckdb.connect().read_parquet(parquet).order_by(ibis.desc("place"))
    assert_same(tables.build(table, order_by=["place"], **OPTIONS), expected)


class Translated:
    """Run what Ibis compiles for a warehouse on DuckDB, after sqlglot has read it in the warehouse's dialect."""

    def __init__(self, dialect: str, frame: pd.DataFrame) -> None:
        self.dialect, self.connection = dialect, duckdb.connect()
        self.connection.register("flights", frame)
        self.connection.execute("CREATE MACRO ieee_divide(a, b) AS a / b")  # BigQuery's, which sqlglot leaves as it is
        self.statements: list[str] = []

    def execute(self, expr: Any) -> Any:
        sql = str(ibis.to_sql(expr, dialect=self.dialect))
        self.statements.append(sql)
        [translated] = sqlglot.transpile(sql, read=self.dialect, write="duckdb")
        return self.connection.execute(translated).df()


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery"])
def test_what_a_warehouse_is_sent_gives_the_same_profile(
    dialect: str, frame: pd.DataFrame, expected: Profile, monkeypatch: pytest.MonkeyPatch, parquet: Path
) -> None:
    schema = ibis.duckdb.connect().read_parquet(parquet).schema()
    translated = Translated(dialect, frame)

    def execute(self: ibis.Expr, **kwargs: Any) -> Any:
        return translated.execute(self)

    monkeypatch.setattr(ibis.Expr, "execute", execute)
    assert_same(tables.build(ibis.table(schema, name="flights"), order_by=["place"], **OPTIONS), expected)
    assert len(translated.statements) < 40


def test_without_an_order_the_design_effect_is_1_and_that_is_said(parquet: Path, expected: Profile) -> None:
    said: list[str] = []
    found = tables.build(ibis.duckdb.connect().read_parquet(parquet), notice=said.append, **OPTIONS)
    assert found.fingerprint == expected.fingerprint
    assert {f.design_effect for f in found.features} == {1.0}
    assert said == ["the design effect is 1, because nothing says in which order the rows happened (order_by)"]


def test_many_blocks_are_thinned_as_they_are_live(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    data = pd.DataFrame({"a": np.cumsum(random.normal(size=3000)), "place": range(3000)})
    options: dict[str, Any] = {"features": ["a"], "window_rows": 4, "created": CREATED}
    monkeypatch.setattr("sidecar.reference.counting.stretches._MOST_BLOCKS", 100)
    found = tables.build(ibis.memtable(data), order_by=["place"], **options)
    assert_same(found, build(data, **options))


def test_columns_that_have_no_bins_are_left_out_or_refused() -> None:
    data = pd.DataFrame({"a": [1.5, 2.5], "day": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    said: list[str] = []
    found = tables.build(ibis.memtable(data), notice=said.append)
    assert [f.name for f in found.features] == ["a"]
    assert said[0].startswith("column 'day' is left out: it is of type timestamp")
    table = ibis.memtable(data)
    for options, message in (
        ({"features": ["day"]}, "column 'day' is of type timestamp.*, which has no bins"),
        ({"categorical": ["a"]}, "column 'a' holds numbers with fractions, which engines write in different ways"),
        ({"categorical": ["b"]}, "no column named 'b'; there are: a, day"),
        ({"order_by": ["b"]}, "no column named 'b'"),
        ({"bins": 0}, "bins is 0"),
    ):
        with pytest.raises(ProfileError, match=message):
            tables.build(table, **options)
    with pytest.raises(ProfileError, match="there are no rows"):
        tables.build(table.filter(table.a > 9))


@pytest.fixture(scope="module")
def timed() -> pd.DataFrame:
    return timed_flights()


def units(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    naive = frame["at"].dt.tz_localize(None)
    milliseconds = frame["at"].astype("int64").where(frame["at"].notna()) // 1000
    return {
        "zoned": frame,
        "naive": frame.assign(at=naive),
        "milliseconds": frame.assign(at=milliseconds.astype("Int64")),
        "seconds": frame.assign(at=milliseconds / 1000),
    }


@pytest.mark.parametrize(
    ("form", "season"),
    [
        ("naive", None),
        ("naive", NEW_YORK),
        ("zoned", NEW_YORK),
        ("milliseconds", Season(cycle="hour-of-week")),
        ("seconds", NEW_YORK),
    ],
)
def test_times_in_an_engine_give_the_profile_of_the_files(
    timed: pd.DataFrame, tmp_path: Path, form: str, season: Season | None
) -> None:
    said: list[str] = []
    told: list[str] = []
    units(timed)[form].to_parquet(tmp_path / "x.parquet", index=False)
    expected = files.build([tmp_path / "x.parquet"], season=season, notice=told.append, **TIMED)
    table = ibis.duckdb.connect().read_parquet(tmp_path / "x.parquet")
    found = tables.build(table, season=season, notice=said.append, **TIMED)
    assert_same(found, expected)
    assert (found.season, found.season_rows) == (expected.season, expected.season_rows)
    assert said == told
    assert found.window_rows > 200
    assert max(f.design_effect for f in found.features) > 2


def test_odd_times_in_an_engine_say_nothing_about_the_unit_of_the_others(timed: pd.DataFrame, tmp_path: Path) -> None:
    frame = units(timed)["seconds"].copy()
    frame.loc[frame.index[:4], "at"] = [1.7e12, 1e300, -1e25, float("inf")]
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    said: list[str] = []
    told: list[str] = []
    expected = files.build([tmp_path / "x.parquet"], season=NEW_YORK, notice=told.append, **TIMED)
    table = ibis.duckdb.connect().read_parquet(tmp_path / "x.parquet")
    found = tables.build(table, season=NEW_YORK, notice=said.append, **TIMED)
    assert_same(found, expected)
    assert found.season_rows == expected.season_rows
    assert said == told
    assert sum(found.season_rows) > 0.9 * len(frame)


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery"])
def test_what_a_warehouse_is_sent_by_season_gives_the_same_profile(
    dialect: str, timed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = units(timed)["milliseconds"]
    expected = tables.build(ibis.memtable(frame), season=NEW_YORK, **TIMED)
    translated = Translated(dialect, frame)
    monkeypatch.setattr(ibis.Expr, "execute", lambda self, **kwargs: translated.execute(self))
    schema = ibis.memtable(frame).schema()
    assert_same(tables.build(ibis.table(schema, name="flights"), season=NEW_YORK, **TIMED), expected)


def test_many_stretches_are_thinned_as_those_of_files_are(
    timed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.reference.counting.stretches._MOST_BLOCKS", 1500)
    units(timed)["naive"].to_parquet(tmp_path / "x.parquet", index=False)
    expected = files.build([tmp_path / "x.parquet"], season=NEW_YORK, **TIMED)
    table = ibis.duckdb.connect().read_parquet(tmp_path / "x.parquet")
    assert_same(tables.build(table, season=NEW_YORK, **TIMED), expected)
    assert expected.features[0].design_effect > 2


def test_a_session_that_would_give_other_times_is_refused(timed: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("zoned", "naive"):
        units(timed)[name].to_parquet(tmp_path / f"{name}.parquet", index=False)
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'Asia/Tokyo'")
    with pytest.raises(ProfileError, match="set the session's time zone to UTC"):
        tables.build(connection.read_parquet(tmp_path / "zoned.parquet"), **TIMED)
    found = tables.build(connection.read_parquet(tmp_path / "naive.parquet"), **TIMED)
    assert_same(found, files.build([tmp_path / "naive.parquet"], **TIMED))


def test_times_that_are_none_are_refused(timed: pd.DataFrame) -> None:
    table = ibis.memtable(units(timed)["naive"].head(2000))
    few = table.filter(table["at"].isnull())
    for options, message in (
        ({"timestamp": "gone"}, "no column named 'gone'; there are: dep_delay, carrier, at"),
        ({"timestamp": "carrier", "features": ["dep_delay"]}, "column 'carrier' is of type string, not of times"),
        ({"timestamp": "at", "features": ["at"]}, "column 'at' is the time, so that it cannot be a feature"),
        ({"timestamp": "at", "order_by": ["at"]}, "order_by and timestamp exclude each other"),
        ({"timestamp": "at", "window_seconds": 1.5}, r"window_seconds is 1\.5, not a whole number"),
        ({"season": NEW_YORK}, "a season needs the time of every row"),
        ({"timestamp": "at", "season": NEW_YORK}, "needs two weeks"),
    ):
        with pytest.raises(ProfileError, match=message):
            tables.build(table, **options)
    with pytest.raises(ProfileError, match="column 'at' holds no times"):
        tables.build(few, timestamp="at")
