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
from tests.reference.engines import CREATED, OPTIONS, assert_same, table_of_flights

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
    monkeypatch.setattr("sidecar.reference.stretches._MOST_BLOCKS", 100)
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
