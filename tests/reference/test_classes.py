"""Outputs that are classes, though they are written as numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sidecar.reference import CategoricalProfile, NumericProfile, Profile, ProfileError, build, files, tables
from sidecar.reference.build import MOST_CLASSES

Values = list[Any]
Build = Callable[..., Profile]

ROWS = 300

# Ibis calls what newer versions of its engines have renamed.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def from_csv(tmp_path: Path, values: Values, **options: Any) -> Profile:
    path = tmp_path / "x.csv"
    lines = [f"{'' if value is None else value},{i % 7}\n" for i, value in enumerate(values)]
    path.write_text("label,x\n" + "".join(lines))
    return files.build([path], prediction="label", **options)


def from_json(tmp_path: Path, values: Values, **options: Any) -> Profile:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"label": value, "x": i % 7}) + "\n" for i, value in enumerate(values)))
    return files.build([path], prediction="label", **options)


def from_parquet(tmp_path: Path, values: Values, **options: Any) -> Profile:
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"label": values, "x": [i % 7 for i in range(len(values))]}), path)
    return files.build([path], prediction="label", **options)


def from_memory(_: Path, values: Values, **options: Any) -> Profile:
    return build({"label": values, "x": np.arange(len(values)) % 7}, prediction="label", **options)


def from_table(tmp_path: Path, values: Values, **options: Any) -> Profile:
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"label": values, "x": [i % 7 for i in range(len(values))]}), path)
    return tables.build(ibis.duckdb.connect().read_parquet(path), prediction="label", **options)


EVERYWHERE = pytest.mark.parametrize("made", [from_csv, from_json, from_parquet, from_memory, from_table])


@EVERYWHERE
@pytest.mark.parametrize(
    ("values", "categories"),
    [
        ([0, 0, 1], ("0", "1")),
        ([0.0, 0.0, 1.0], ("0", "1")),
        ([1.0, None, 1.0], ("1",)),
        ([False, False, True], ("false", "true")),
        ([-1, -1, 1], ("-1", "1")),
    ],
)
def test_few_whole_numbers_and_booleans_are_classes(
    tmp_path: Path, made: Build, values: Values, categories: tuple[str, ...]
) -> None:
    found = made(tmp_path, values * 100).output("prediction")
    assert isinstance(found, CategoricalProfile)
    assert found.categories == categories
    assert found.missing == values.count(None) * 100


@EVERYWHERE
@pytest.mark.parametrize("values", [[i % (MOST_CLASSES + 1) for i in range(ROWS)], [0.5, 1, 2] * 100])
def test_many_or_broken_numbers_are_numbers(tmp_path: Path, made: Build, values: Values) -> None:
    assert isinstance(made(tmp_path, [float(v) for v in values]).output("prediction"), NumericProfile)


@EVERYWHERE
def test_classes_are_numbers_where_they_are_named_so(tmp_path: Path, made: Build) -> None:
    found = made(tmp_path, [0, 1] * 100, numeric=["label"]).output("prediction")
    assert isinstance(found, NumericProfile)


@EVERYWHERE
def test_an_input_of_few_whole_numbers_stays_numeric(tmp_path: Path, made: Build) -> None:
    assert isinstance(made(tmp_path, [0, 1] * 100).inputs[0], NumericProfile)


@EVERYWHERE
def test_a_column_of_both_kinds_or_that_is_not_there_is_refused(tmp_path: Path, made: Build) -> None:
    with pytest.raises(ProfileError, match="'label' is named as categorical and as numeric"):
        made(tmp_path, [0, 1], numeric=["label"], categorical=["label"])
    with pytest.raises(ProfileError, match="no column named 'y'"):
        made(tmp_path, [0, 1], numeric=["y"])


def test_text_that_is_named_as_numeric_is_refused_with_a_value(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="'label' holds values such as 'b'; it is named as numeric"):
        from_csv(tmp_path, ["1", "b"], numeric=["label"])


@pytest.mark.parametrize("kept", [["0", "1"], ["false", "true"]])
@pytest.mark.parametrize("values", [[0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], ["0", "1", "1"]])
@pytest.mark.parametrize("write", ["csv", "parquet", "jsonl"])
def test_classes_are_counted_in_those_of_a_reference_however_they_are_written(
    tmp_path: Path, kept: list[str], values: Values, write: str
) -> None:
    reference = build({"label": kept * 10, "x": [0.0] * 20}, prediction="label")
    path = tmp_path / f"b.{write}"
    rows = pa.table({"label": values, "x": [0.0] * 3})
    if write == "parquet":
        pa.parquet.write_table(rows, path)
    elif write == "csv":
        rows.to_pandas().to_csv(path, index=False)
    else:
        rows.to_pandas().to_json(path, orient="records", lines=True)
    found = files.count([path], reference, prediction="label").output("prediction")
    assert found is not None
    assert found.bin_counts() == (1, 2, 0, 0)
