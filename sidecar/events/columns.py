"""Validated events, as rows or as columns, to a Batch."""

import math
from collections.abc import Iterator, Sequence, Set
from itertools import chain
from typing import Any

import numpy as np
from msgspec import UNSET
from msgspec.structs import astuple

from sidecar.events.batch import PREDICTION, PROBABILITY, Batch, CodedColumn, Event, Identified, Key, Schema
from sidecar.events.refusals import TooMany
from sidecar.events.wire_types import ABSENT
from sidecar.statistics import float_columns as numbers
from sidecar.statistics.bins import Category, Coded, Floats

MANY_EVENTS = 256
"""Events from which on it pays to turn them into columns at once. As objects they take ten times the memory."""

_FLOAT64 = np.dtype("<f8")
_INT32 = np.dtype("<i4")
_CODES = "expected a buffer of little-endian int32"
_BESIDE_FEATURES = ("prediction", "probability", "latency_ms", "error")


class Misfit(Exception):
    """The columns of a body do not fit together."""

    def __init__(self, path: str, reason: str, *, events: int) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason
        self.events = events


class OutOfBounds(Exception):
    """A column holds a number that an event may not carry, or only ignored columns give the number of rows.

    The rows are to be looked at one by one.
    """


class Incomplete(Exception):
    """An event that is no error has no features."""


def complete(events: Sequence[Event]) -> bool:
    """Tell whether every event that is no error has features."""
    features = [event.features for event in events]
    if all(features):
        return True
    return all(event.features is not None or event.error for event in events)


def batch_of_events(events: Sequence[Event]) -> Batch:
    """Turn events of one type into columns; raises Incomplete."""
    schema, carrying = events[0].schema, events
    features = [event.features for event in events]
    if not all(features):
        if not complete(events):
            raise Incomplete
        carrying = [event for event in events if event.features is not None]
        features = [event.features for event in carrying]
    rows, names = list(map(astuple, features)), _input_names(schema)
    width = sum(key.role == "input" for key in schema.numeric)
    only_numbers = width == len(names) + len(schema.ignored)
    columns = [] if only_numbers else list(zip(*rows, strict=True))
    inputs: dict[str, Any] = dict(zip(names, columns, strict=False))
    if only_numbers:
        numeric = numbers.columns(rows, width)
        if outputs := [_event_column(key, inputs, carrying) for key in schema.numeric[width:]]:
            numeric = np.concatenate((numeric, _matrix(outputs, len(rows))))
    else:
        numeric = _matrix([_event_column(key, inputs, carrying) for key in schema.numeric], len(rows))
    return Batch(
        schema=schema,
        events=len(events),
        errors=len([event for event in events if event.error]),
        latency_seconds=_present_seconds(numbers.column([event.latency_ms for event in events])),
        rows=len(rows),
        numeric=numeric,
        categorical=[_event_column(key, inputs, carrying) or () for key in schema.categorical],
        unknown=sum(value is not ABSENT for value in chain.from_iterable(columns[len(names) :])),
        identified=_identified_events(events) if schema.ids else Identified(),
    )


def batch_of_columns(body: Any, *, values: int) -> Batch:
    """Turn a decoded columnar body into a Batch.

    Raises Misfit where columns differ in length, TooMany past so many values, and OutOfBounds where a number is one
    that no event may carry.
    """
    schema: Schema = body.schema
    columns = body.columns
    names, held = _input_names(schema), astuple(columns.features)
    rows = _common_length(columns, names, held, ids=schema.ids)
    if rows * (len(schema.numeric) + len(schema.categorical)) > values:
        raise TooMany(values, "values")
    ignored = sum(value is not ABSENT for value in held[len(names) :])
    if ignored and not rows:
        raise OutOfBounds
    inputs: dict[str, Any] = dict(zip(names, held, strict=False))
    outputs = {PREDICTION: columns.prediction, PROBABILITY: columns.probability}
    numeric = _matrix([_column(key, inputs, outputs) for key in schema.numeric], rows)
    latency = _numbers(columns.latency_ms, rows)
    probability = _numbers(columns.probability, rows)
    infinite = np.isinf(numeric)
    if infinite.any():
        numeric[infinite] = np.nan  # no value, as in a reference
    if ((latency < 0) | np.isinf(latency)).any():
        raise OutOfBounds
    if ((probability < 0) | (probability > 1)).any():
        raise OutOfBounds
    return Batch(
        schema=schema,
        events=rows,
        errors=sum(columns.error or ()),
        latency_seconds=_present_seconds(latency),
        rows=rows,
        numeric=numeric,
        categorical=[_categories(key, _column(key, inputs, outputs), rows) for key in schema.categorical],
        unknown=rows * ignored,
        identified=_identified_columns(columns, rows) if schema.ids else Identified(),
    )


def rows_of_columns(
    columns: dict[str, Any],
    passed_over: Set[str],
    *,
    ids: bool,
    counted: Set[str],
    width: int,
    events: int,
    values: int,
) -> Iterator[dict[str, Any]]:
    """Turn the columns of a body, decoded without types, back into events, for errors that name one of them.

    Features to be passed over are null in every event, whatever they hold, if they are in `counted` and left out if
    not. Raises Misfit where columns differ in length or are no columns at all, and TooMany past so many events or
    values, each event being as wide as `width` at least.
    """
    features = columns.get("features")
    if features is not None and not isinstance(features, dict):
        raise Misfit("$.columns.features", "expected an object of columns", events=1)
    feature_lists = {
        name: _values(f"$.columns.features.{name}", column)
        for name, column in (features or {}).items()
        if name not in passed_over
    }
    other_lists = {
        name: _values(f"$.columns.{name}", column)
        for name, column in columns.items()
        if name in _beside_features(ids=ids) and column is not None
    }
    lengths = [(f"$.columns.features.{name}", len(column)) for name, column in feature_lists.items()]
    lengths += [(f"$.columns.{name}", len(column)) for name, column in other_lists.items()]
    nulls = dict.fromkeys(passed_over & (features or {}).keys())
    if not lengths and features:
        lengths = [(name, long) for name in nulls if (long := _rows_in(features[name])) is not None][:1]
    rows = _one_length(lengths)
    nulls = {name: None for name in nulls if name in counted or not isinstance(name, str)}
    if rows > events:
        raise TooMany(events, "events")
    if rows * max(width, len(nulls) + len(feature_lists)) > values:
        raise TooMany(values, "values")
    for i in range(rows):
        row: dict[str, Any] = {name: column[i] for name, column in other_lists.items()}
        row["prediction"] = _finite(row.get("prediction"))
        if features is not None:
            row["features"] = nulls | {name: _finite(column[i]) for name, column in feature_lists.items()}
        if row.get("error") is None:
            row.pop("error", None)
        yield row


def _rows_in(column: Any) -> int | None:
    """Return how many rows a list, a buffer of float64 or a coded column has, None of anything else."""
    if isinstance(column, dict) and isinstance(codes := column.get("codes"), bytes):
        return len(codes) // _INT32.itemsize
    if isinstance(column, bytes) and len(column) % _FLOAT64.itemsize == 0:
        return len(column) // _FLOAT64.itemsize
    return len(column) if isinstance(column, list) else None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _values(path: str, column: Any) -> list[Any]:
    if isinstance(column, dict) and column.keys() == {"type"}:
        raise Misfit(path, f"expected numbers, text, booleans or nulls, not {str(column['type'])[:100]}", events=1)
    if isinstance(column, dict):
        return _loosely_coded(path, column)
    if isinstance(column, bytes) and len(column) % _FLOAT64.itemsize == 0:
        column = np.frombuffer(column, _FLOAT64).tolist()
    if not isinstance(column, list):
        raise Misfit(path, "expected a list, or a buffer of little-endian float64", events=1)
    return [None if value != value else value for value in column]


def _loosely_coded(path: str, column: dict[Any, Any]) -> list[Category]:
    if column.keys() != {"values", "codes"}:
        raise Misfit(path, "expected values and codes, and nothing else", events=1)
    values, codes = column["values"], column["codes"]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Misfit(f"{path}.values", "expected a list of texts", events=1)
    if not isinstance(codes, bytes) or len(codes) % _INT32.itemsize:
        raise Misfit(f"{path}.codes", _CODES, events=1)
    return list(_coded(path, values, codes))


def _input_names(schema: Schema) -> list[str]:
    return [key.name for key in (*schema.numeric, *schema.categorical) if key.role == "input"]


def _event_column(key: Key, inputs: dict[str, Any], events: Sequence[Event]) -> Any:
    if key == PREDICTION:
        return [event.prediction for event in events]
    if key == PROBABILITY:
        return [event.probability for event in events]
    return inputs.get(key.name)


def _column(key: Key, inputs: dict[str, Any], outputs: dict[Key, Any]) -> Any:
    column = inputs.get(key.name) if key.role == "input" else outputs[key]
    return None if column is UNSET else column


def _coded(path: str, values: Sequence[str], buffer: memoryview | bytes) -> Coded:
    """Return a coded column; raises Misfit where a code is not one of a value, since then none can be trusted."""
    codes = np.frombuffer(buffer, _INT32)
    if codes.size and not (codes.min() >= -1 and codes.max() < len(values)):
        wrong = int(np.flatnonzero((codes < -1) | (codes >= len(values)))[0])
        reason = f"code {codes[wrong]} at {wrong} is not -1 or an index of its {len(values)} values"
        raise Misfit(f"{path}.codes", reason, events=codes.size)
    return Coded(values, codes)


def _beside_features(*, ids: bool) -> tuple[str, ...]:
    return (*_BESIDE_FEATURES, "id") if ids else _BESIDE_FEATURES


def _identified_events(events: Sequence[Any]) -> Identified:
    return _identified(
        [event.id for event in events],
        [event.prediction for event in events],
        [event.probability for event in events],
    )


def _identified_columns(columns: Any, rows: int) -> Identified:
    if columns.id is None:
        return Identified()
    predictions = _categories(PREDICTION, columns.prediction, rows)
    probabilities = _numbers(columns.probability, rows).tolist()
    return _identified(columns.id, predictions, [None if value != value else value for value in probabilities])


def _identified(
    ids: Sequence[Any], predictions: Sequence[Category], probabilities: Sequence[float | None]
) -> Identified:
    """Return what of events is compared with labels: nothing of those without an id, or that say nothing."""
    if None not in ids and None not in predictions:
        return Identified(ids, predictions, probabilities)
    rows = [
        row
        for row in zip(ids, predictions, probabilities, strict=True)
        if row[0] is not None and not (row[1] is None and row[2] is None)
    ]
    return Identified(*zip(*rows, strict=True)) if rows else Identified()


def _common_length(columns: Any, names: list[str], values: Sequence[Any], *, ids: bool) -> int:
    named = [(f"$.columns.features.{name}", column) for name, column in zip(names, values, strict=False)]
    named += [(f"$.columns.{name}", getattr(columns, name)) for name in _beside_features(ids=ids)]
    lengths = []
    for path, column in named:
        if isinstance(column, memoryview):
            if column.nbytes % _FLOAT64.itemsize:
                raise Misfit(path, "expected a buffer of little-endian float64", events=1)
            lengths.append((path, column.nbytes // _FLOAT64.itemsize))
        elif isinstance(column, CodedColumn):
            if column.codes.nbytes % _INT32.itemsize:
                raise Misfit(f"{path}.codes", _CODES, events=1)
            lengths.append((path, column.codes.nbytes // _INT32.itemsize))
        elif column is not None and column is not UNSET:
            lengths.append((path, len(column)))
    return _one_length(lengths)


def _one_length(lengths: list[tuple[str, int]]) -> int:
    rows = max((length for _, length in lengths), default=0)
    for path, length in lengths:
        if length != rows:
            raise Misfit(path, f"has {length} values where another column has {rows}", events=rows)
    return rows


def _matrix(columns: Sequence[Any], rows: int) -> Floats:
    matrix = np.empty((len(columns), rows))
    for i, column in enumerate(columns):
        matrix[i] = _numbers(column, rows)
    return matrix


def _numbers(column: Any, rows: int) -> Floats:
    if column is None:
        return np.full(rows, np.nan)
    if isinstance(column, memoryview):
        return np.frombuffer(column, _FLOAT64)
    return numbers.column(column)


def _categories(key: Key, column: Any, rows: int) -> Sequence[Category]:
    if column is None:
        return (None,) * rows
    if isinstance(column, CodedColumn):
        path = f"$.columns.features.{key.name}" if key.role == "input" else f"$.columns.{key.name}"
        return _coded(path, column.values, column.codes)
    if isinstance(column, memoryview):
        numbers = np.frombuffer(column, _FLOAT64)
        return [number if math.isfinite(number) else None for number in numbers.tolist()]
    values: list[Category] = column
    return values


def _present_seconds(milliseconds: Floats) -> Floats:
    return np.asarray(milliseconds[~np.isnan(milliseconds)] / 1000)
