"""Which data files are meant, which columns each has, and the SQL that reads it.

Names of files and columns reach DuckDB as parameters, never as SQL: columns are known there by their number.
"""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from sidecar.data.kinds import Form

_FORMS: dict[str, Form] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
_DELIMITERS = ",\t;|"
_HEADER_CHARACTERS = 2**20


class DataError(Exception):
    """Data files cannot be read; the message says which and why in one sentence."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file, the names of its columns in order, and the delimiter if it is CSV.

    `nested` are columns of JSON that lie in the object `features`, named such as `features.amount`.
    """

    path: Path
    form: Form
    columns: tuple[str, ...]
    delimiter: str = ","
    nested: frozenset[str] = frozenset()

    def position(self, column: str) -> int:
        """Return the index of a column; raises DataError unless exactly one has the name."""
        found = [i for i, name in enumerate(self.columns) if name == column]
        if not found:
            raise DataError(f"{self.path}: no column named {column!r}; there are: {', '.join(self.columns)}")
        if len(found) > 1:
            raise DataError(f"{self.path}: {len(found)} columns are named {column!r}")
        return found[0]

    def query(self, columns: Sequence[str], nulls: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """Return SQL for the given columns as `v0`, `v1`, …, and its parameters.

        Columns of CSV are text, with `nulls` for what is missing; columns of JSON are of the type JSON, and an object
        without a column lacks it; columns of Parquet are of their own type.
        """
        path = {"path": literal_path(self.path)}
        if self.form == "json":
            pointers = [self._pointer(name) for name in columns]
            picked = ", ".join(f"found[{i + 1}] AS v{i}" for i in range(len(columns)))
            extracted = f"SELECT json_extract(json, $pointers) AS found FROM {_objects(self.path)}"
            return f"SELECT {picked} FROM ({extracted})", path | {"pointers": pointers}
        picked = ", ".join(f"c{self.position(name)} AS v{i}" for i, name in enumerate(columns))
        names = [f"c{i}" for i in range(len(self.columns))]
        if self.form == "parquet":
            source = f"read_parquet($path, hive_partitioning=false) AS file({', '.join(names)})"
            return f"SELECT {picked} FROM {source}", path
        source = (
            "read_csv($path, auto_detect=false, header=true, hive_partitioning=false, delim=$delimiter, "
            "quote='\"', escape='\"', nullstr=$missing, columns=$columns)"
        )
        dialect = {"delimiter": self.delimiter, "missing": ["", *nulls], "columns": dict.fromkeys(names, "VARCHAR")}
        return f"SELECT {picked} FROM {source}", path | dialect

    def _pointer(self, column: str) -> str:
        within = "/features/" if column in self.nested else "/"
        name = column.removeprefix("features.") if column in self.nested else column
        return within + name.replace("~", "~0").replace("/", "~1")


def find(arguments: Iterable[str | Path]) -> list[Path]:
    """List the files that are meant: files, directories with all below them, and patterns such as `data/*.csv`.

    Files of one directory or pattern are in the order of their names, `part-2` before `part-10`. Raises DataError
    for what is not there.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            below = (p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path)))
            several = [p for p in below if _form(p) is not None]
            if not several:
                raise DataError(f"{path}: there is no CSV, Parquet or JSON Lines file in this directory")
        elif not path.exists() and has_magic(str(argument)):
            matching = glob(str(argument), recursive=True)  # noqa: PTH207  (Path has none for absolute patterns)
            several = [p for p in map(Path, matching) if p.is_file()]
            if not several:
                raise DataError(f"{argument}: no file has a name like this")
        else:
            several = [path]
        found |= dict.fromkeys(sorted(several, key=_natural_order))
    if not found:
        raise DataError("no data files are given")
    return list(found)


def inspect(path: Path, connection: duckdb.DuckDBPyConnection, *, events: bool = False) -> DataFile:
    """Find the columns of a file, with `events` also those in an object `features`; raises DataError."""
    form = _form(path)
    try:
        if form is None:
            path.stat()
            raise DataError(f"{path}: the name of a data file ends in {', '.join(_FORMS)}, the text ones also in .gz")
        if form == "csv":
            names, delimiter = _csv_header(path)
            return DataFile(path, form, names, delimiter)
        if form == "parquet":
            with pyarrow.parquet.ParquetFile(path) as file:
                return DataFile(path, form, tuple(file.schema_arrow.names))
        path.stat()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowException, EOFError) as error:
        raise DataError(f"{path}: {error}") from error
    keys = _json_keys(path, connection)
    nested = _nested_keys(path, connection) if events and "features" in keys else ()
    inside = tuple(name for name in (f"features.{key}" for key in nested) if name not in keys)
    return DataFile(path, form, (*keys, *inside), nested=frozenset(inside))


def literal_path(path: Path) -> str:
    """Return an absolute path that DuckDB takes word for word, although it reads patterns."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.absolute()))


def one_sentence(error: Exception) -> str:
    """Cut what DuckDB says down to what is wrong."""
    lines = str(error).partition("\nPossible")[0].partition("\n\n")[0].splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("LINE ")]
    text = "; ".join(kept) or type(error).__name__
    return re.sub(r"^[A-Z][A-Za-z ]+ Error: ", "", text)


def _form(path: Path) -> Form | None:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    form = _FORMS.get(suffix)
    return None if form == "parquet" and path.name.lower().endswith(".gz") else form


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _natural_order(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _csv_header(path: Path) -> tuple[tuple[str, ...], str]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        start = file.read(_HEADER_CHARACTERS)
    if not start:
        raise DataError(f"{path}: the file is empty")
    tried = {delimiter: _first_record(start, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(tried, key=lambda d: len(tried[d]))
    names = tried[delimiter]
    if not any(names):
        raise DataError(f"{path}: the first line is empty: it has to name the columns")
    if all(_is_number(name) for name in names):
        raise DataError(f"{path}: the first line holds numbers alone: it has to name the columns")
    return tuple(names), delimiter


def _first_record(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _objects(path: Path) -> str:
    lines = not path.name.lower().removesuffix(".gz").endswith(".json")  # .json may also be one array
    return f"read_json_objects($path, format='{'newline_delimited' if lines else 'auto'}')"


def _json_keys(path: Path, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    parameters = {"path": literal_path(path)}
    rows = f"(SELECT json_keys(json) AS keys, json_type(json) AS type FROM {_objects(path)})"
    try:
        first = connection.execute(f"SELECT keys FROM {rows} LIMIT 1", parameters).fetchone()
        others = connection.execute(f"SELECT count(*) FROM {rows} WHERE type <> 'OBJECT'", parameters).fetchall()
        names = connection.execute(f"SELECT DISTINCT unnest(keys) FROM {rows}", parameters).fetchall()
    except duckdb.Error as error:
        raise DataError(f"{path}: {one_sentence(error)}") from error
    if first is None:
        raise DataError(f"{path}: the file is empty")
    if others[0][0]:
        raise DataError(f"{path}: {others[0][0]} lines are not JSON objects")
    return tuple(dict.fromkeys(first[0]) | dict.fromkeys(sorted(name for (name,) in names)))


def _nested_keys(path: Path, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """List the keys of the objects `features`."""
    rows = f"(SELECT json_keys(json, '$.features') AS keys FROM {_objects(path)})"
    try:
        names = connection.execute(f"SELECT DISTINCT unnest(keys) FROM {rows}", {"path": literal_path(path)}).fetchall()
    except duckdb.Error as error:
        raise DataError(f"{path}: {one_sentence(error)}") from error
    return tuple(sorted(name for (name,) in names))
