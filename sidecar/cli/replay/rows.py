"""Rows of data files as columns of events, a body at a time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sidecar.data.kinds import Tally, Way, Writing
from sidecar.data.table import Progress, Table, silent
from sidecar.reference import ProfileError
from sidecar.reference.files.column_choice import way_of


@dataclass(frozen=True, slots=True)
class Events:
    """Columns of one length: those of `features`, and those of other keys of an event by their key."""

    rows: int
    features: dict[str, list[Any]]
    others: dict[str, list[Any]]


class Rows:
    """The rows of data files as events.

    Missing values, NaN and infinities are None; booleans are booleans; a time is its ISO text, if it is named as a
    feature; `error` is false where it is missing.
    """

    def __init__(
        self,
        data: Iterable[str | Path],
        *,
        features: Sequence[str] | None = None,
        others: Mapping[str, str | None],
        categorical: Iterable[str] = (),
        writing: Writing = Writing(),  # noqa: B008  (frozen)
        limit: int | None = None,
        progress: Progress = silent,
        notice: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Find the columns and their kinds; `others` are columns by key of the event.

        Raises DataError and ProfileError for data that cannot be read or sent.
        """
        self._table = Table(data, writing)
        self._others = {key: column for key, column in others.items() if column is not None}
        self._categorical = frozenset(categorical)
        named = features is not None
        taken = ("", *self._others.values())
        self._features = (
            [name for name in self._table.columns if name not in taken] if features is None else [*features]
        )
        wanted = list(dict.fromkeys((*self._features, *self._others.values(), *sorted(self._categorical))))
        for name in wanted:
            if name not in self._table.columns:
                raise ProfileError(f"no column named {name!r}; there are: {', '.join(self._table.columns)}")
        if not named:
            self._table.require_same_columns()
        tallies = self._table.tally(wanted, progress=progress)
        if not named:
            unnamed = [name for name in self._features if name not in self._categorical]
            for name in [name for name in unnamed if tallies[name].kind in ("time", "nested")]:
                notice(f"column {name!r} is left out: it holds {tallies[name].kind} values")
                self._features.remove(name)
        columns = list(dict.fromkeys((*self._features, *self._others.values())))
        self._ways = {name: self._way(name, tallies[name]) for name in columns}
        self._boolean = {name for name in columns if tallies[name].kind == "boolean"}
        self._check_outputs(tallies)
        self.rows = self._table.rows if limit is None else min(limit, self._table.rows)

    def _way(self, name: str, tally: Tally) -> Way:
        as_text = (
            name in self._categorical
            or name == self._others.get("id")
            or (tally.kind == "time" and name in self._features)
        )
        return way_of(self._table, name, tally, categorical=as_text)

    def _check_outputs(self, tallies: Mapping[str, Tally]) -> None:
        kinds: dict[str, tuple[Way, ...]] = {
            "probability": ("number",),
            "latency_ms": ("number",),
            "error": ("boolean", "number"),
        }
        for key, ways in kinds.items():
            column = self._others.get(key)
            if column is not None and tallies[column].kind not in (*ways, "empty"):
                _, example = self._table.misfits(column, *ways)
                raise ProfileError(f"column {column!r} is to be {key} but holds values such as {example!r}")

    def bodies(self, most: int) -> Iterator[Events]:
        """Read events in the order of the files, `most` at a time."""
        left = self.rows
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in self._table.batches(self._ways):
            kept = batch.slice(0, left)
            left -= kept.num_rows
            start = 0
            while kept.num_rows - start >= most - rows:
                waiting.append(kept.slice(start, most - rows))
                start += most - rows
                yield self._events(waiting)
                waiting, rows = [], 0
            if start < kept.num_rows:
                waiting.append(kept.slice(start))
                rows += kept.num_rows - start
            if left == 0:
                break
        if waiting:
            yield self._events(waiting)

    def _events(self, batches: list[pa.RecordBatch]) -> Events:
        found: dict[str, list[Any]] = {}
        for i, name in enumerate(self._ways):
            found[name] = [value for batch in batches for value in self._values(name, batch.column(i))]
        others = {key: found[column] for key, column in self._others.items()}
        if "error" in others:
            others["error"] = [bool(value) for value in others["error"]]
        features = {name: found[name] for name in self._features}
        return Events(sum(batch.num_rows for batch in batches), features, others)

    def _values(self, name: str, array: pa.Array) -> list[Any]:
        if self._ways[name] == "number":
            numbers = array.to_numpy(zero_copy_only=False)
            values: list[Any] = numbers.tolist()
            for i in np.flatnonzero(np.isnan(numbers)):
                values[i] = None
            return values
        if name in self._boolean:
            return [None if text is None else text == "true" for text in array.to_pylist()]
        return list(array.to_pylist())
