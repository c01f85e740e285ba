"""Several data files as one table: what its columns hold, and their values a batch at a time, in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sidecar.data.files import DataError, DataFile, find, inspect, one_sentence
from sidecar.data.kinds import Form, Tally, Way, Writing, cleaned, counts, fits, judged, number_of, read, text_of

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_BATCH_CELLS = 2_000_000
_FEWEST_BATCH_ROWS, _MOST_BATCH_ROWS = 2048, 131_072
_TALLY_FIELDS = len(fields(Tally))


def silent(what: str, done: int, total: int) -> None:
    """Report no progress."""


class Table:
    """Rows of files, one file after the other, with the columns of the first (of JSON Lines: of all)."""

    def __init__(
        self,
        data: Iterable[str | Path],
        writing: Writing = Writing(),  # noqa: B008  (frozen)
        *,
        events: bool = False,
        memory: str = "1GiB",
    ) -> None:
        """Find the files and their columns; raises DataError.

        With `events`, what an object `features` of JSON Lines holds are columns such as `features.amount`.
        """
        self._connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": memory,
            }
        )
        self._connection.execute("SET enable_progress_bar = false")  # it would be written among the results
        self._connection.execute("SET TimeZone = 'UTC'")  # not that of the machine, for times without a zone
        self.writing = writing
        self._nulls = list(writing.nulls)
        self.files = [inspect(path, self._connection, events=events) for path in find(data)]
        leading = [f for f in self.files if f.form == "json"] if self.files[0].form == "json" else self.files[:1]
        self.columns = tuple(dict.fromkeys(name for file in leading for name in file.columns))
        self.rows = 0

    @property
    def name(self) -> str:
        """The names of the files; of many, the first and the last."""
        names = [file.path.name for file in self.files]
        return ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}, {len(names)} files"

    def require_same_columns(self) -> None:
        """Refuse files of which one has columns that the first has not, or lacks some; raises DataError."""
        first = self.files[0]
        for file in self.files[1:]:
            odd = sorted(set(file.columns) ^ set(self.columns))
            if odd and file.form != "json":
                has, lacks = (file, first) if odd[0] in file.columns else (first, file)
                raise DataError(
                    f"the files differ in their columns: {has.path} has {odd[0]!r} and {lacks.path} has not; "
                    "name the features that all of them have"
                )

    def tally(self, columns: Sequence[str], *, progress: Progress = silent) -> dict[str, Tally]:
        """Count the kinds of values in all rows of these columns, and set `rows`; raises DataError."""
        totals = dict.fromkeys(columns, Tally())
        self.rows = 0
        for done, file in enumerate(self.files):
            progress("reading types", done, len(self.files))
            with _reading(file.path):
                sql, parameters, types = self._query(file, columns)
                names = [f"v{i}" for i in range(len(columns))]
                inner = ["*", *(f"{judged(file.form, v, self.writing)} AS j_{v}" for v in names)]
                outer = ["count(*)"]
                for v, type_name in zip(names, types, strict=True):
                    outer += counts(file.form, type_name, v, f"j_{v}", self.writing)
                counting = f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM ({sql}))"
                values = self._execute(counting, parameters)[0]
            self.rows += values[0]
            for i, name in enumerate(columns):
                first = 1 + _TALLY_FIELDS * i
                totals[name] += Tally(*values[first : first + _TALLY_FIELDS])
        return totals

    def few_whole_numbers(self, column: str, most: int) -> bool:
        """Return whether a column holds only whole numbers, and at most `most` distinct ones."""
        found: set[float] = set()
        for file in self.files:
            with _reading(file.path):
                sql, parameters, _ = self._query(file, [column])
                number = number_of(file.form, "v0", self.writing)
                finding = (
                    f"SELECT DISTINCT n FROM (SELECT {number} AS n FROM ({sql})) WHERE isfinite(n) LIMIT {most + 1}"
                )
                found.update(n for (n,) in self._execute(finding, parameters))
            if len(found) > most or not all(n.is_integer() for n in found):
                return False
        return bool(found)

    def misfits(self, column: str, *ways: Way) -> tuple[int, str | None]:
        """Count the values that can be read in none of these ways, and return the first of them in order of text.

        The ways are `number`, `boolean` and `time`. Raises DataError.
        """
        return self._misfits(
            column,
            lambda form, type_name: " OR ".join(f"({fits(form, type_name, 'v0', w, self.writing)})" for w in ways),
        )

    def misformed(self, column: str, times: str) -> int:
        """Count the values that are no times in a format of strptime; raises DataError."""
        writing = replace(self.writing, times=times)
        return self._misfits(column, lambda form, type_name: fits(form, type_name, "v0", "time", writing), times=times)[
            0
        ]

    def _misfits(
        self, column: str, fit: Callable[[Form, str], str], times: str | None = None
    ) -> tuple[int, str | None]:
        found, examples = 0, []
        for file in self.files:
            with _reading(file.path):
                sql, parameters, [type_name] = self._query(file, [column])
                wrong = f"v0 IS NOT NULL AND NOT ({fit(file.form, type_name)})"
                counting = f"SELECT count(*), min({text_of(file.form, 'v0')}) FROM ({sql}) WHERE {wrong}"
                number, example = self._execute(counting, parameters, times=times)[0]
            found += number
            examples += [example] if number else []
        return found, min(examples, default=None)

    def batches(self, ways: Mapping[str, Way]) -> Iterator[pa.RecordBatch]:
        """Read columns, each in its way, in the order of the files; raises DataError."""
        size = max(_FEWEST_BATCH_ROWS, min(_MOST_BATCH_ROWS, _BATCH_CELLS // max(1, len(ways))))
        for file in self.files:
            with _reading(file.path):
                sql, parameters, types = self._query(file, list(ways))
                columns = zip(types, ways.values(), strict=True)
                picked = [
                    f"{read(file.form, t, f'v{i}', way, self.writing)} AS v{i}" for i, (t, way) in enumerate(columns)
                ]
                reading = f"SELECT {', '.join(picked)} FROM ({sql})"
                parameters = self._parameters(reading, parameters)
                for batch in self._connection.sql(reading, params=parameters).to_arrow_reader(size):
                    yield batch.rename_columns(list(ways))

    def _query(self, file: DataFile, columns: Sequence[str]) -> tuple[str, dict[str, Any], list[str]]:
        """Return SQL for columns without what counts as missing, its parameters, and their types in the file."""
        sql, parameters = file.query(columns, self._nulls)
        types: list[str] = [t.id for t in self._connection.sql(sql, params=parameters).types]
        names = [f"v{i}" for i in range(len(columns))]
        picked = [
            f"{cleaned(file.form, type_name, v, nulls=bool(self._nulls))} AS {v}"
            for v, type_name in zip(names, types, strict=True)
        ]
        clean = f"SELECT {', '.join(picked)} FROM ({sql})"
        return clean, parameters | ({"nulls": self._nulls} if "$nulls" in clean else {}), types

    def _execute(self, sql: str, parameters: dict[str, Any], *, times: str | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, self._parameters(sql, parameters, times=times)).fetchall()

    def _parameters(self, sql: str, parameters: dict[str, Any], *, times: str | None = None) -> dict[str, Any]:
        return parameters | ({"times": times or self.writing.times} if "$times" in sql else {})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what DuckDB and Arrow raise into DataError."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise DataError(f"{path}: {one_sentence(error)}") from error
