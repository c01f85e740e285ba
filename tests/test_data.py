import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.data.files import DataError, find
from sidecar.data.kinds import Kind, Tally, Way, Writing
from sidecar.data.table import Table
from sidecar.statistics.bins import category_text


def read(data: Path, ways: dict[str, Way], **options: Any) -> dict[str, list[Any]]:
    table = Table([data], Writing(**options))
    batches = list(table.batches(ways))
    return {name: [v for b in batches for v in b.column(i).to_pylist()] for i, name in enumerate(ways)}


def tally(data: Path, column: str, **options: Any) -> Tally:
    return Table([data], Writing(**options)).tally([column])[column]


def test_directories_and_patterns_are_read_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("part-10.csv", "part-2.csv", ".part-1.csv", "_SUCCESS", "notes.txt", "sub/part-1.parquet"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    in_order = [tmp_path / "part-2.csv", tmp_path / "part-10.csv"]
    assert find([tmp_path]) == [*in_order, tmp_path / "sub/part-1.parquet"]
    assert find([f"{tmp_path}/*.csv"]) == in_order
    assert find([f"{tmp_path}/**/part-1*.*"]) == [tmp_path / "part-10.csv", tmp_path / "sub/part-1.parquet"]
    assert find([tmp_path / "part-10.csv", tmp_path]) == [
        tmp_path / "part-10.csv",
        tmp_path / "part-2.csv",
        tmp_path / "sub/part-1.parquet",
    ]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CSV, Parquet or JSON Lines file"):
        find([tmp_path])
    with pytest.raises(DataError, match="no file has a name like this"):
        find([f"{tmp_path}/*.csv"])
    with pytest.raises(DataError, match="no data files"):
        find([])
    with pytest.raises(DataError, match=r"gone.csv: No such file or directory"):
        Table([tmp_path / "gone.csv"])


UNREADABLE = {
    "empty.csv": (b"", "the file is empty"),
    "empty.jsonl": (b"", "the file is empty"),
    "empty.parquet": (b"", "file"),
    "text.parquet": (b"hello hello hello", "Parquet"),
    "blank.csv": (b"\na,b\n1,2\n", "the first line is empty"),
    "headless.csv": (b"1,2\n3,4\n", "the first line holds numbers alone"),
    "latin.csv": (b"a,b\n1,\xe9\n", "utf-8"),
    "wide.csv": (b"a,b\n1,2\n1,2,3\n", "Line: 3; Original Line: 1,2,3; Expected Number of Columns: 2 Found: 3"),
    "narrow.csv": (b"a,b\n1,2\n1\n", "Expected Number of Columns: 2 Found: 1"),
    "quote.csv": (b'a,b\n1,"x"y"\n', "unterminated quote"),
    "cut.jsonl": (b'{"a": 1}\n{"a": ', "Malformed JSON"),
    "values.jsonl": (b'{"a": 1}\n[1]\n2\n', "2 lines are not JSON objects"),
    "data.txt": (b"a,b\n1,2\n", "the name of a data file ends in .csv"),
    "cut.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 1000)[:30], "end-of-stream"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, message = UNREADABLE[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as refused:
        tally(path, "a")
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


NAMES = ["ü", "a b", 'q"; DROP TABLE x; --', "q'", "a", "A", "$path", "{}", "~/", "日本"]
FILE_NAMES = ["x'; DROP TABLE y; --", 'x"y', "a[1]*?", "year=2024", "ü $path {}"]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("stem", FILE_NAMES)
def test_names_of_columns_and_files_are_taken_word_for_word(tmp_path: Path, form: str, stem: str) -> None:
    path = tmp_path / stem / f"{stem}.{form}"
    path.parent.mkdir()
    (path.parent / f"a1b.{form}").write_text("what a pattern would match")
    if form == "csv":
        quoted = ",".join('"' + name.replace('"', '""') + '"' for name in NAMES)
        path.write_text(quoted + "\n" + ",".join(map(str, range(len(NAMES)))) + "\n")
    elif form == "jsonl":
        path.write_text(json.dumps({name: i for i, name in enumerate(NAMES)}) + "\n")
    else:
        pq.write_table(pa.table([[i] for i in range(len(NAMES))], names=NAMES), path)
    table = Table([path])
    assert table.columns == tuple(NAMES)
    assert read(path, dict.fromkeys(NAMES, "number")) == {name: [i] for i, name in enumerate(NAMES)}
    assert all(t.kind == "number" for t in table.tally(NAMES).values())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_column_that_is_there_twice_is_refused_only_when_it_is_wanted(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x.{form}"
    if form == "csv":
        path.write_text("a,b,a\n1,2,3\n")
    else:
        pq.write_table(pa.table([[1], [2], [3]], names=["a", "b", "a"]), path)
    assert read(path, {"b": "number"}) == {"b": [2]}
    with pytest.raises(DataError, match="2 columns are named 'a'"):
        read(path, {"a": "number"})


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_cuts_the_first_line_most_often(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(delimiter.join(["a", '"b, c"', "d"]) + "\n" + delimiter.join(["1", "x", "2"]) + "\n")
    assert read(path, {"d": "number", "b, c": "text"}) == {"d": [2], "b, c": ["x"]}


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_csv_may_be_compressed_and_begin_with_a_mark(tmp_path: Path, name: str) -> None:
    content = b'\xef\xbb\xbfa,b\r\n1,"x\ny"\r\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read(tmp_path / name, {"a": "number", "b": "text"}) == {"a": [1], "b": ["x\ny"]}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2.5", "1e3", " 7 ", "nan", "inf"], "number"),
        (["1", "", "2"], "number"),
        (["1", "NA"], "mixed"),
        (["true", "False", "TRUE"], "boolean"),
        (["true", "1"], "mixed"),
        (["true", "yes"], "text"),
        (["2013-01-01", "2013-01-01T05:00:00Z", "2013-01-01 05:00:00"], "time"),
        (["2013-01-01", "soon"], "text"),
        (["nan", "Ann"], "text"),
        (["", ""], "empty"),
    ],
)
def test_a_column_of_csv_is_what_all_its_texts_can_be_read_as(tmp_path: Path, values: list[str], kind: Kind) -> None:
    path = tmp_path / "x.csv"
    path.write_text("x,y\n" + "".join(f'"{value}",0\n' for value in values))
    assert tally(path, "x").kind == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, None], "number"),
        ([1, "1"], "mixed"),
        ([1, True], "mixed"),
        ([True, False, None], "boolean"),
        ([True, "x"], "text"),
        (["1", "2"], "text"),
        (["2013-01-01T05:00:00Z"], "time"),
        ([[1], None], "nested"),
        ([{"a": 1}], "nested"),
        ([None], "empty"),
    ],
)
def test_a_column_of_json_is_what_its_values_are(tmp_path: Path, values: list[Any], kind: Kind) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"x": value}) + "\n" for value in values))
    assert tally(path, "x").kind == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([1, None]), "number"),
        (pa.array([1.5, None], pa.float32()), "number"),
        (pa.array([150, None], pa.decimal128(10, 2)), "number"),
        (pa.array([2**64 - 1], pa.uint64()), "number"),
        (pa.array([True, None]), "boolean"),
        (pa.array(["1", None]), "text"),
        (pa.array(["1", None]).dictionary_encode(), "text"),
        (pa.array([0, None], pa.timestamp("us")), "time"),
        (pa.array([0, None], pa.timestamp("ns", tz="UTC")), "time"),
        (pa.array([0, None], pa.date32()), "time"),
        (pa.array([0, None], pa.time64("us")), "time"),
        (pa.array([[1], None]), "nested"),
        (pa.array([{"a": 1}]), "nested"),
        (pa.array([b"a"]), "nested"),
        (pa.array([None, None], pa.int64()), "empty"),
        (pa.array([None, None]), "empty"),
    ],
)
def test_a_column_of_parquet_is_what_its_type_says(tmp_path: Path, values: pa.Array, kind: Kind) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": values}), path)
    assert tally(path, "x").kind == kind


def test_a_mixed_column_is_counted_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("x\n1\n2\n")
    (tmp_path / "2.csv").write_text("x\nzwei\n3\nNA\n")
    found = tally(tmp_path, "x")
    assert (found.kind, found.values, found.numbers) == ("mixed", 5, 3)
    assert Table([tmp_path]).misfits("x", "number") == (2, "NA")


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_texts_named_as_null_are_missing(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x.{form}"
    if form == "csv":
        path.write_text("x,y\n-,1\nb,-\n,1\n")
    elif form == "jsonl":
        path.write_text('{"x": "-", "y": 1}\n{"x": "b", "y": "-"}\n{"x": null, "y": 1}\n')
    else:
        pq.write_table(pa.table({"x": ["-", "b", None], "y": [1, None, 1]}), path)
    assert tally(path, "x", nulls=("-",)).values == 1
    assert tally(path, "y", nulls=("-",)).kind == "number"
    ways: dict[str, Way] = {"x": "text", "y": "number"}
    found = read(path, ways, nulls=("-",))
    assert found["x"] == [None, "b", None]
    assert [y == y for y in found["y"]] == [True, False, True]


def test_files_are_one_table_by_the_names_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("b;a\ny;2\n")
    pq.write_table(pa.table({"b": ["z"], "a": [3]}), tmp_path / "3.parquet")
    (tmp_path / "4.jsonl").write_text('{"c": 0}\n{"a": 4}\n')
    table = Table([tmp_path])
    table.tally(["a", "b"])
    assert table.rows == 5
    found = read(tmp_path, {"a": "number", "b": "text"})
    assert found["a"][:3] == [1, 2, 3]
    assert found["a"][4] == 4
    assert found["b"] == ["x", "y", "z", None, None]


def test_files_that_differ_in_their_columns_are_told(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("a\n2\n")
    with pytest.raises(DataError, match=r"1\.csv has 'b' and .*2\.csv has not"):
        Table([tmp_path]).require_same_columns()
    assert read(tmp_path, {"a": "number"}) == {"a": [1, 2]}
    with pytest.raises(DataError, match=r"2\.csv: no column named 'b'"):
        read(tmp_path, {"b": "text"})


def test_an_array_of_json_is_read_like_lines(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"a": 1}, {"b": 2}]')
    assert Table([tmp_path / "x.json"]).columns == ("a", "b")
    assert read(tmp_path / "x.json", {"b": "value"}) == {"b": [None, "2"]}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_memory_does_not_grow_with_the_square_of_the_columns(tmp_path: Path, form: str) -> None:
    names = [f"x{i}" for i in range(400)]
    path = tmp_path / f"x.{form}"
    if form == "csv":
        path.write_text("\n".join([",".join(names), *[",".join("0.5" for _ in names)] * 100]) + "\n")
    elif form == "jsonl":
        path.write_text((json.dumps(dict.fromkeys(names, 0.5)) + "\n") * 100)
    else:
        pq.write_table(pa.table(dict.fromkeys(names, [0.5] * 100)), path)
    code = (
        "import resource, sys; from sidecar.data.table import Table; table = Table([sys.argv[1]]); "
        "pages = int(open('/proc/self/statm').read().split()[0]); most = pages * resource.getpagesize() + (4 << 30); "
        "resource.setrlimit(resource.RLIMIT_AS, (most, most)); table.tally(table.columns); print(table.rows)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.stdout == "100\n", done.stderr


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(numbers | st.booleans() | st.text() | st.none(), min_size=1, max_size=20))
def test_values_of_json_become_the_categories_of_live_events(
    tmp_path: Path, values: list[str | int | float | bool | None]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"x": value}) + "\n" for value in values))
    assert read(path, {"x": "value"})["x"] == [None if v is None else category_text(v) for v in values]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_infinity=False) | st.none(), min_size=1, max_size=20))
def test_floats_of_parquet_become_the_categories_of_live_events(tmp_path: Path, values: list[float | None]) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": pa.array(values, pa.float64())}), path)
    expected = [None if v is None or v != v else category_text(v) for v in values]
    assert read(path, {"x": "value"})["x"] == expected
