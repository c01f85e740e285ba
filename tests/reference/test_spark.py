"""Spark gives the profile that the rows give. `make test-spark` runs it: PySpark is 430 MB, and wants Java."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pytest

from sidecar.reference import files, tables
from tests.reference.engines import NEW_YORK, OPTIONS, TIMED, assert_same, table_of_flights, timed_flights


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    # Less compiling: the test is short.
    java = "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' pyspark-shell"
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": java}
    directory = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.warehouse.dir": str(directory),
        "spark.sql.session.timeZone": "UTC",
    }
    builder = SparkSession.builder.master("local[1]").appName("profiles")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore")
def test_spark_gives_the_profile_of_the_files(spark: Any, tmp_path: Path) -> None:
    few = table_of_flights().head(8000)[["odd", "carrier", "late", "hour", "origin", "place"]]
    path = tmp_path / "few.parquet"
    few.to_parquet(path, index=False)
    options = OPTIONS | {"features": ["odd", "carrier", "late", "hour"]}
    table = ibis.pyspark.connect(spark).read_parquet(str(path))
    assert_same(tables.build(table, order_by=["place"], **options), files.build([path], **options))


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore")
def test_spark_counts_by_season_as_files_are_counted(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "timed.parquet"
    timed_flights().to_parquet(path, index=False)
    table = ibis.pyspark.connect(spark).read_parquet(str(path))
    found, expected = tables.build(table, season=NEW_YORK, **TIMED), files.build([path], season=NEW_YORK, **TIMED)
    assert_same(found, expected)
    assert found.season_rows == expected.season_rows
