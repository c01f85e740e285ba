"""From a schema to the types that msgspec decodes events into.

Field names come from users, so the generated structs have names of their own and rename them on the wire.
"""

import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sidecar.events.batch import PREDICTION, PROBABILITY, UNFIT_NAME, CodedColumn, Event, Key, Schema

ABSENT = msgspec.Raw(b"")
"""What an ignored feature holds where the event does not carry it."""

MOST_IGNORED = 1000
"""Ignored names that are remembered, and so counted, for each model; others are passed over without a count."""

_Probability = Annotated[float, Meta(ge=0, le=1)] | None
_Milliseconds = Annotated[float, Meta(ge=0)] | None
_Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]


def event_type(schema: Schema, *, string_length: int) -> Any:
    """Return the type of one event; the schema is its class attribute `schema`."""
    category = Annotated[str, Meta(max_length=string_length)] | bool | int | float | None
    # NaN is missing, as null is, and is packed as a number.
    features = _features(schema, number=float | None, category=category, absent=(math.nan, None))
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = [
        ("features", features | None, None),  # an error may come without; of others the decoder sees to it
        ("prediction", _prediction(schema, number=float | None, category=category, undecided=None), None),
        ("probability", _Probability, None),
        ("latency_ms", _Milliseconds, None),
        ("error", bool, False),
    ]
    if schema.ids:
        fields.append(("id", identifier(string_length) | None, None))
    return msgspec.defstruct(
        "Event", fields, bases=(Event,), tag_field="model", tag=schema.model, namespace={"schema": schema}
    )


def columns_type(schema: Schema, *, string_length: int, buffers: bool) -> Any:
    """Return the type of a columnar body; with `buffers` a column may be one of little-endian float64, or be coded."""
    text = Annotated[str, Meta(max_length=string_length)]
    category: Any = list[text | bool | int | _Finite | None]
    if buffers:
        category |= memoryview | msgspec.defstruct(
            "Coded", [("values", list[text]), ("codes", memoryview)], bases=(CodedColumn,), forbid_unknown_fields=True
        )
    number = list[float | None] | memoryview if buffers else list[float | None]
    probability = list[_Probability] | memoryview if buffers else list[_Probability]
    milliseconds = list[_Milliseconds] | memoryview if buffers else list[_Milliseconds]
    ids = [("id", list[identifier(string_length) | None] | None, None)] if schema.ids else []  # type: ignore[misc]
    columns = msgspec.defstruct(
        "Columns",
        [
            ("features", _features(schema, number=number, category=category, absent=(msgspec.UNSET, msgspec.UNSET))),
            ("prediction", _prediction(schema, number=number, category=category, undecided=list[None]) | None, None),
            ("probability", probability | None, None),
            ("latency_ms", milliseconds | None, None),
            ("error", list[bool] | None, None),
            *ids,
            ("model", None, None),  # refused, because a body is of one model, named beside the columns
        ],
        eq=False,
    )
    return msgspec.defstruct(
        "Body",
        [("columns", columns)],
        tag_field="model",
        tag=schema.model,
        eq=False,
        namespace={"schema": schema},
    )


def identifier(string_length: int) -> Any:
    """Return the type of the id of a prediction."""
    return (
        Annotated[str, Meta(min_length=1, max_length=string_length)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    )


def _features(schema: Schema, *, number: Any, category: Any, absent: tuple[Any, Any]) -> Any:
    """Return the type of the features; `absent` are the values of a number and of a category that are not there."""
    kinds = [(number, schema.numeric, absent[0]), (category, schema.categorical, absent[1])]
    if msgspec.UNSET in absent:
        kinds = [(kind | msgspec.UnsetType, keys, value) for kind, keys, value in kinds]
    named = [(key.name, kind, value) for kind, keys, value in kinds for key in keys if key.role == "input"]
    named += [(name, msgspec.Raw, ABSENT) for name in schema.ignored]
    return msgspec.defstruct(
        "Features",
        [(f"f{i}", kind, value) for i, (_, kind, value) in enumerate(named)],
        rename={f"f{i}": name for i, (name, _, _) in enumerate(named)},
        forbid_unknown_fields=len(schema.ignored) < MOST_IGNORED,
        eq=False,
        gc=False,
    )


def _prediction(schema: Schema, *, number: Any, category: Any, undecided: Any) -> Any:
    if PREDICTION in schema.numeric:
        return number
    if PREDICTION not in schema.categorical and schema.learning:
        return undecided
    return category


def grown(schema: Schema, row: Mapping[str, Any], *, features: int, string_length: int) -> Schema:
    """Return the schema with what is new in an event: columns while it is learning, else ignored names.

    The first value of a feature decides its kind; None decides nothing. Past `features` inputs, and for values
    that are no scalars, names are ignored; names unfit for a column, or too long, are not even remembered.
    """
    numeric, categorical, ignored = list(schema.numeric), list(schema.categorical), list(schema.ignored)
    inputs = {key.name for key in (*numeric, *categorical) if key.role == "input"}
    known = inputs | set(ignored)
    values = row.get("features")
    for name, value in values.items() if isinstance(values, dict) else ():
        if name in known or not isinstance(name, str) or len(name) > string_length or UNFIT_NAME.search(name):
            continue
        if schema.learning and len(inputs) < features and isinstance(value, str | bool | int | float):
            inputs.add(name)
            columns = categorical if isinstance(value, str | bool) else numeric
            columns.append(Key("input", name))
        elif not (schema.learning and value is None and len(inputs) < features) and len(ignored) < MOST_IGNORED:
            ignored.append(name)
    prediction = row.get("prediction")
    if schema.learning and PREDICTION not in (*numeric, *categorical):
        if isinstance(prediction, str | bool):
            categorical.append(PREDICTION)
        elif isinstance(prediction, int | float):
            numeric.append(PREDICTION)
    return Schema(
        model=schema.model,
        numeric=_inputs_first(numeric),
        categorical=_inputs_first(categorical),
        ignored=tuple(ignored),
        learning=schema.learning,
        ids=schema.ids,
    )


def _inputs_first(keys: list[Key]) -> tuple[Key, ...]:
    return tuple(sorted(keys, key=lambda key: key.role != "input"))


def learning_schema(model: str) -> Schema:
    """Return the schema to begin to learn a model with; a probability is always a number."""
    return Schema(model=model, numeric=(PROBABILITY,), learning=True)
