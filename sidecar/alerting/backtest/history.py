"""History: rows of data files in the order of their times, with the columns of a reference."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sidecar.data.kinds import Tally, Way, Writing
from sidecar.data.ordered import ordered
from sidecar.data.table import Progress, Table, silent
from sidecar.data.times import UNITS, YEAR_SECONDS, beyond, unit_of_most, way_of_time
from sidecar.events.batch import PROBABILITY, Key
from sidecar.reference.counting.rows import Column
from sidecar.reference.files.column_choice import way_in
from sidecar.reference.files.columns import to_columns
from sidecar.reference.profile import FeatureProfile, Profile, ProfileError
from sidecar.statistics.bins import Coded, Floats

_TIME = "\0time"
_MOST_YEARS = 20
"""Years of history past which a time is taken for wrong: at an evaluation a minute that is ten million."""


class HistoryError(Exception):
    """The history cannot be replayed; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of `times` (seconds of Unix time), with a column for each feature of the reference.

    `latency_seconds` is NaN where there is none; it and `errors` are None where the history has no such column.
    """

    times: Floats
    columns: Mapping[Key, Column]
    latency_seconds: Floats | None
    errors: NDArray[np.bool_] | None

    def picked(self, which: NDArray[Any] | slice) -> "Rows":
        """Return some of the rows."""
        return Rows(
            self.times[which],
            {key: _picked(column, which) for key, column in self.columns.items()},
            None if self.latency_seconds is None else self.latency_seconds[which],
            None if self.errors is None else self.errors[which],
        )


def _picked(column: Column, which: NDArray[Any] | slice) -> Column:
    if isinstance(column, Coded):
        return Coded(column.texts, column.codes[which])
    return np.asarray(column)[which]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Names of the columns; None means the column of the same name, if there is one."""

    timestamp: str = "timestamp"
    features: Sequence[str] | None = None
    prediction: str | None = None
    probability: str | None = None
    latency_ms: str | None = None
    error: str | None = None


class History:
    """The rows of data files from `first` to `last`, in seconds of Unix time.

    `profile` is the `reference` without what is not replayed, such as outputs that the history has no column for.
    `ordered` says whether the rows come in the order of their times; where they do not they are sorted, on disk, each
    time they are read.
    """

    def __init__(
        self,
        data: Iterable[str | Path],
        reference: Profile,
        named: Named,
        *,
        writing: Writing = Writing(),  # noqa: B008  (frozen)
        since: float = -np.inf,
        until: float = np.inf,
        progress: Progress = silent,
        notice: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Find the columns, and the first and the last time; raises HistoryError, DataError and ProfileError."""
        self._table = Table(data, writing, events=True)
        self._since, self._until = since, until
        self._progress = progress
        self.reference = reference
        features = self._features(reference, named, notice)
        self.profile = msgspec.structs.replace(reference, features=tuple(f for f, _ in features))
        self._names = {Key(f.role, f.name): column for f, column in features}
        self._latency = self._beside("latency_ms", named.latency_ms)
        self._error = self._beside("error", named.error)
        self._timestamp = named.timestamp
        self._require(named.timestamp)
        beside = [name for name in (self._latency, self._error) if name is not None]
        wanted = list(dict.fromkeys((*self._names.values(), *beside, named.timestamp)))
        tallies = self._table.tally(wanted, progress=progress)
        if not self._table.rows:
            raise HistoryError("the history has no rows")
        self._ways = self._choose_ways(features, tallies)
        self._time_way = way_of_time(self._table, named.timestamp, tallies[named.timestamp])
        self.ordered, self._unit = True, 1.0
        self.refused = 0
        self.rows, self.first, self.last = self._survey(notice)
        if not self.ordered:
            notice(f"the rows are not in the order of {named.timestamp!r}: they are sorted on disk first")

    @property
    def has_latency(self) -> bool:
        """Whether rows carry latencies."""
        return self._latency is not None

    @property
    def has_errors(self) -> bool:
        """Whether rows say which predictions failed."""
        return self._error is not None

    def batches(self) -> Iterator[Rows]:
        """Read the rows between `since` and `until`, in the order of their times."""
        batches: Iterable[pa.RecordBatch] = self._read()
        if not self.ordered:
            batches = ordered(batches, _TIME)
        done = self.refused = 0
        self._progress("replaying", done, self.rows)
        for batch in batches:
            rows = self._acceptable(self._rows(batch))
            if rows.times.size:
                yield rows
            done += batch.num_rows
            self._progress("replaying", done, self.rows)

    def _features(
        self, reference: Profile, named: Named, notice: Callable[[str], None]
    ) -> list[tuple[FeatureProfile, str]]:
        """Return the features of the reference that are replayed, each with its column."""
        inputs = [f.name for f in reference.inputs]
        for name in named.features or ():
            if name not in inputs:
                raise HistoryError(f"no feature named {name!r} in the reference; there are: {', '.join(inputs)}")
        found = []
        for feature in reference.features:
            if feature.role == "input":
                if named.features is not None and feature.name not in named.features:
                    continue
                nested = f"features.{feature.name}"
                column = nested if feature.name not in self._table.columns and self._has(nested) else feature.name
                self._require(column)
            else:
                given = named.prediction if feature.name == "prediction" else named.probability
                column = feature.name if given is None else given
                if given is None and not self._has(column):
                    notice(f"the {feature.name} is left out: say which column it is (--{feature.name})")
                    continue
                self._require(column)
            found.append((feature, column))
        if not found:
            raise HistoryError("none of the features of the reference is to be replayed")
        return found

    def _beside(self, key: str, given: str | None) -> str | None:
        if given is not None:
            self._require(given)
            return given
        taken = key in self._names.values()
        return key if self._has(key) and not taken else None

    def _has(self, column: str) -> bool:
        return column in self._table.columns

    def _require(self, column: str) -> None:
        if not self._has(column):
            raise HistoryError(f"no column named {column!r}; there are: {', '.join(self._table.columns)}")

    def _choose_ways(
        self, features: Sequence[tuple[FeatureProfile, str]], tallies: Mapping[str, Tally]
    ) -> dict[str, Way]:
        ways: dict[str, Way] = {}
        for feature, column in features:
            way = way_in(self._table, column, tallies[column], feature)
            if ways.setdefault(column, way) != way:
                raise ProfileError(f"column {column!r} is numeric in one role and categorical in the other")
        beside: tuple[tuple[str | None, tuple[Way, ...]], ...] = (
            (self._latency, ("number",)),
            (self._error, ("boolean", "number")),
        )
        for name, kinds in beside:
            if name is None:
                continue
            if tallies[name].kind not in (*kinds, "empty"):
                _, example = self._table.misfits(name, *kinds)
                raise HistoryError(f"column {name!r} is to be {kinds[0]} but holds values such as {example!r}")
            ways[name] = "boolean" if tallies[name].kind == "boolean" else "number"
        return ways

    def _survey(self, notice: Callable[[str], None]) -> tuple[int, float, float]:
        """Read the times alone: find the unit of numbers, whether they rise, and the first and last."""
        last, readable, larger = -np.inf, 0, beyond(np.empty(0))
        # The unit is known only at the end: until then, count the times in range of each unit, with the first and last.
        spans = dict.fromkeys(UNITS if self._time_way == "number" else UNITS[:1], (0, np.inf, -np.inf))
        done, total = 0, self._table.rows
        for batch in self._table.batches({self._timestamp: self._time_way}):
            raw = batch.column(0).to_numpy(zero_copy_only=False)
            done += raw.size
            self._progress("reading times", done, total)
            times = raw[np.isfinite(raw)]
            if not times.size:
                continue
            readable += times.size
            larger += beyond(times)
            self.ordered = self.ordered and bool(times[0] >= last and (np.diff(times) >= 0).all())
            last = float(times[-1])
            for unit, (within, low, high) in spans.items():
                kept = times / unit
                kept = kept[(kept >= self._since) & (kept < self._until)]
                if kept.size:
                    spans[unit] = within + kept.size, min(low, float(kept.min())), max(high, float(kept.max()))
        if total > readable:
            notice(f"{total - readable} rows without a time in column {self._timestamp!r} are left out")
        if self._time_way == "number":
            self._unit = unit_of_most(readable, larger.tolist())
        within, low, high = spans[self._unit]
        if not within:
            raise HistoryError(f"no row has a time in column {self._timestamp!r}" + " between --since and --until")
        if (years := int((high - low) / YEAR_SECONDS)) >= _MOST_YEARS:
            raise HistoryError(
                f"the times in column {self._timestamp!r} span {years:,} years: leave out what is wrong, "
                "by --since and --until"
            )
        return within, low, high

    def _read(self) -> Iterator[pa.RecordBatch]:
        """Read all columns, with the times as seconds in the column `_TIME`, and only rows that have one in range."""
        ways = dict(self._ways)
        shared = self._timestamp in ways and ways[self._timestamp] == self._time_way
        if self._timestamp in ways and not shared:
            raise HistoryError(f"column {self._timestamp!r} is read as times, so that it cannot be a feature")
        for batch in self._table.batches(ways if shared else ways | {self._timestamp: self._time_way}):
            times = batch.column(self._timestamp).to_numpy(zero_copy_only=False) / self._unit
            columns = [*(batch.column(name) for name in ways), pa.array(times)]
            whole = pa.RecordBatch.from_arrays(columns, names=[*ways, _TIME])
            with np.errstate(invalid="ignore"):
                inside = np.isfinite(times) & (times >= self._since) & (times < self._until)
            yield whole if inside.all() else whole.filter(pa.array(inside))

    def _rows(self, batch: pa.RecordBatch) -> Rows:
        columns = to_columns(batch, self._ways | {_TIME: "number"})
        latency = None if self._latency is None else np.asarray(columns[self._latency]) / 1000
        features = {key: columns[name] for key, name in self._names.items()}
        errors = None
        if self._error is not None:
            if self._ways[self._error] == "boolean":
                errors = np.array([text == "true" for text in batch.column(self._error).to_pylist()], dtype=bool)
            else:
                errors = np.nan_to_num(np.asarray(columns[self._error])) != 0
        return Rows(np.asarray(columns[_TIME]), features, latency, errors)

    def _acceptable(self, rows: Rows) -> Rows:
        """Leave out rows that the sidecar would refuse: a probability beyond [0, 1], a latency below 0."""
        refused = np.zeros(rows.times.size, dtype=bool)
        probability = rows.columns.get(PROBABILITY)
        if isinstance(probability, np.ndarray):
            refused |= (probability < 0) | (probability > 1)
        if rows.latency_seconds is not None:
            refused |= rows.latency_seconds < 0
        if not refused.any():
            return rows
        self.refused += int(refused.sum())
        return rows.picked(~refused)
