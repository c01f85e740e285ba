"""Build a profile from columns of values in memory."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.config import FIRST_CLASSES
from sidecar.reference.counting.counts import Wanted
from sidecar.reference.counting.rows import Column, Counting, block_rows, spec_of
from sidecar.reference.profile import Profile, ProfileError, Role
from sidecar.statistics.bins import Coded, Floats, category_text

BINS = 10
CATEGORIES = 50
WINDOW_ROWS = 1000

MOST_CLASSES = FIRST_CLASSES
"""Different whole numbers up to which a prediction is taken for a class."""


def build(
    data: Mapping[str, Any],
    *,
    features: Sequence[str] | None = None,
    prediction: str | None = None,
    probability: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    bins: int = BINS,
    categories: int = CATEGORIES,
    window_rows: int = WINDOW_ROWS,
    model: str = "",
    model_version: str = "",
    source: str = "",
    created: datetime | None = None,
) -> Profile:
    """Build a reference profile from columns: a mapping of names to one-dimensional arrays, or a data frame.

    `features` are the inputs, by default every column that is not the `prediction` or the `probability`.
    Columns of numbers are numeric unless listed in `categorical`; text and booleans are categorical. A prediction of at
    most MOST_CLASSES different whole numbers is categorical unless it is listed in `numeric`. None, NaN and infinities
    are missing. Rows should be in the order they happened: `window_rows`, the rows that a typical window
    will hold, cuts them into blocks for the design effect.

    Raises ProfileError for a column that mixes text and numbers or holds something else, an unknown name, or no rows.
    """
    check_options(bins=bins, categories=categories, window_rows=window_rows)
    labels = list(data.columns) if hasattr(data, "columns") else list(data)
    names = [str(label) for label in labels]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ProfileError(f"two columns are named {twice!r}")
    by_name = dict(zip(names, labels, strict=True))
    wanted = select(names, features=features, prediction=prediction, probability=probability)
    as_text, as_numbers = frozenset(categorical), frozenset(numeric)
    check_kinds(names, categorical=as_text, numeric=as_numbers)
    columns = {c.column: to_column(c.column, data[by_name[c.column]], categorical=c.column in as_text) for c in wanted}
    if prediction is not None and prediction not in as_numbers:
        columns[prediction] = _classes(columns[prediction])
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ProfileError(f"columns differ in length: {min(lengths)} and {max(lengths)} rows")
    counting = Counting(
        [spec_of(c, columns[c.column], bins=bins, categories=categories) for c in wanted],
        window_rows=block_rows(window_rows, lengths.pop()),
    )
    counting.add(columns)
    return counting.profile(model=model, model_version=model_version, source=source, created=created)


def check_options(*, bins: int, categories: int, window_rows: int, sample_rows: int = 1) -> None:
    """Refuse numbers that no profile can be built with; raises ProfileError."""
    least = (
        ("bins", bins, 1),
        ("categories", categories, 0),
        ("window_rows", window_rows, 1),
        ("sample_rows", sample_rows, 1),
    )
    for option, value, smallest in least:
        if value < smallest:
            raise ProfileError(f"{option} is {value}, not at least {smallest}")


def check_kinds(names: Sequence[str], *, categorical: Set[str], numeric: Set[str]) -> None:
    """Refuse columns that are not there, or are to be of two kinds; raises ProfileError."""
    for name in sorted(categorical | numeric):
        if name not in names:
            raise ProfileError(f"no column named {name!r}; there are: {', '.join(names)}")
        if name in categorical and name in numeric:
            raise ProfileError(f"column {name!r} is named as categorical and as numeric")


def _classes(column: Column) -> Column:
    """Return a column of few different whole numbers as their texts; any other as it is."""
    if isinstance(column, list | Coded):
        return column
    distinct = np.unique(column[~np.isnan(column)])
    if not 1 <= distinct.size <= MOST_CLASSES or not (distinct == np.trunc(distinct)).all():
        return column
    return [None if value != value else category_text(value) for value in column.tolist()]


def select(
    names: Sequence[str], *, features: Sequence[str] | None, prediction: str | None, probability: str | None
) -> list[Wanted]:
    """Decide which columns are inputs and outputs; raises ProfileError for a name that is not there."""
    outputs = [(prediction, "prediction"), (probability, "probability")]
    taken = [column for column, _ in outputs if column is not None]
    inputs = [name for name in names if name not in taken] if features is None else list(features)
    for name in (*inputs, *taken):
        if name not in names:
            raise ProfileError(f"no column named {name!r}; there are: {', '.join(names)}")
    wanted = [Wanted(name, name, "input") for name in inputs]
    wanted += [Wanted(column, name, "output") for column, name in outputs if column is not None]
    if not wanted:
        raise ProfileError("no columns to build from")
    return wanted


def select_as(
    reference: Profile,
    columns: Sequence[str],
    features: Sequence[str] | None,
    outputs: Mapping[str, str | None],
) -> dict[tuple[Role, str], Wanted]:
    """Decide which columns are the inputs and outputs of a reference; raises ProfileError for a name not there."""
    inputs = [f.name for f in reference.inputs]
    for name in features or ():
        if name not in inputs:
            raise ProfileError(f"no feature named {name!r} in the reference; there are: {', '.join(inputs)}")
    named = {o: c or (o if o in columns else None) for o, c in outputs.items() if reference.output(o) is not None}
    chosen = select(
        columns,
        features=inputs if features is None else features,
        prediction=named.get("prediction"),
        probability=named.get("probability"),
    )
    return {(w.role, w.name): w for w in chosen}


def to_column(name: str, values: Any, *, categorical: bool) -> Column:
    """Turn a column of a mapping or data frame into numbers, or into text; raises ProfileError if it is both."""
    if isinstance(values, np.ma.MaskedArray):
        plain = values.data.astype(object)
        plain[np.ma.getmaskarray(values)] = None
        values = plain
    array = values if isinstance(values, np.ndarray) else _as_array(values)
    if array.ndim != 1:
        raise ProfileError(f"column {name!r} has {array.ndim} dimensions, not 1")
    if array.dtype.kind in "mM":
        raise ProfileError(f"column {name!r} holds times, which have no bins: leave it out of the features")
    if array.dtype.kind in "iuf" and not categorical:
        return _finite(array.astype(np.float64))
    items = [None if _is_missing(item) else _plain(item) for item in array.tolist()]
    kinds = {_kind(item) for item in items if item is not None}
    if "?" in kinds:
        odd = next(item for item in items if item is not None and _kind(item) == "?")
        raise ProfileError(f"column {name!r} holds a {type(odd).__name__}: {odd!r}")
    if kinds <= {"number"} and not categorical:
        try:
            return _finite(np.array(items, dtype=np.float64))
        except OverflowError as error:
            raise ProfileError(f"column {name!r} holds a number beyond the range of a double") from error
    if "number" in kinds and not categorical:
        numbers = sum(_kind(item) == "number" for item in items if item is not None)
        text = next(item for item in items if item is not None and _kind(item) == "text")
        raise mixed(name, numbers=numbers, others=sum(i is not None for i in items) - numbers, example=text)
    return [None if item is None else category_text(item) for item in items]


def mixed(name: str, *, numbers: int, others: int, example: object) -> ProfileError:
    """Return the error for a column that holds both numbers and text."""
    return ProfileError(
        f"column {name!r} mixes {numbers} numbers with {others} other values such as {example!r}: "
        "clean it, or name it as categorical"
    )


def _finite(numbers: Floats) -> Floats:
    """Return the numbers with NaN for the infinities."""
    return np.where(np.isinf(numbers), np.nan, numbers)


def _as_array(values: Any) -> NDArray[Any]:
    if hasattr(values, "to_list"):  # pandas and polars, whose own arrays may not be NumPy's
        values = values.to_list()
    if isinstance(values, str):
        return np.array(values)
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths in the column
        array = np.asarray(values, dtype=object)
    if array.dtype.kind in "US" or (array.dtype.kind == "b" and not isinstance(values, np.ndarray)):
        array = np.empty(len(values), dtype=object)
        array[:] = values
    return array


def _is_missing(item: object) -> bool:
    if item is None or type(item).__name__ in ("NAType", "NaTType"):  # pandas' own, which equal nothing or everything
        return True
    return isinstance(item, float | np.floating | Decimal) and not math.isfinite(item)


def _plain(item: Any) -> Any:
    if isinstance(item, np.generic):
        return item.item()
    return float(item) if isinstance(item, Decimal) else item


def _kind(item: object) -> str:
    if isinstance(item, str | bool):
        return "text"
    return "number" if isinstance(item, int | float) else "?"
