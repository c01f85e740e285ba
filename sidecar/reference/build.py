"""Build a profile from columns of values, in memory or a batch at a time."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar import drift
from sidecar.bins import (
    Bins,
    CategoricalBins,
    Floats,
    NumericBins,
    category_text,
    quantile_edges,
    top_categories,
)
from sidecar.reference.profile import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    Profile,
    ProfileError,
    Role,
    check,
)

BINS = 10
CATEGORIES = 50
WINDOW_ROWS = 1000
_MOST_BLOCKS = 4096

Column = Floats | list[str | None]
"""A numeric column (NaN is missing) or a categorical one (None is missing)."""


def build(
    data: Mapping[str, Any],
    *,
    features: Sequence[str] | None = None,
    prediction: str | None = None,
    probability: str | None = None,
    categorical: Iterable[str] = (),
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
    Columns of numbers are numeric unless listed in `categorical`; text and booleans are categorical; None and
    NaN are missing. Rows should be in the order they happened: `window_rows`, the rows that a typical window
    will hold, cuts them into blocks for the design effect.

    Raises ProfileError for a column that mixes text and numbers, an unknown name, or no rows.
    """
    for option, value, least in (("bins", bins, 1), ("categories", categories, 0)):
        if value < least:
            raise ProfileError(f"{option} is {value}, not at least {least}")
    names = [str(name) for name in data]
    wanted = select(names, features=features, prediction=prediction, probability=probability)
    as_text = frozenset(categorical)
    unknown = sorted(as_text - set(names))
    if unknown:
        raise ProfileError(f"no column named {unknown[0]!r}; there are: {', '.join(names)}")
    columns = {c.column: to_column(c.column, data[c.column], categorical=c.column in as_text) for c in wanted}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ProfileError(f"columns differ in length: {min(lengths)} and {max(lengths)} rows")
    counting = Counting(
        [spec_of(c, columns[c.column], bins=bins, categories=categories) for c in wanted],
        window_rows=block_rows(window_rows, lengths.pop()),
    )
    counting.add(columns)
    return counting.profile(model=model, model_version=model_version, source=source, created=created)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column that becomes a feature or an output."""

    column: str
    name: str
    role: Role


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


def block_rows(window_rows: int, rows: int) -> int:
    """Limit the block for the design effect so that there are at least ten of them."""
    return max(1, min(window_rows, rows // 10))


def to_column(name: str, values: Any, *, categorical: bool) -> Column:
    """Turn a column of a mapping or data frame into numbers, or into text; raises ProfileError if it is both."""
    array = values if isinstance(values, np.ndarray) else _as_array(values)
    if array.ndim != 1:
        raise ProfileError(f"column {name!r} has {array.ndim} dimensions, not 1")
    if array.dtype.kind in "mM":
        raise ProfileError(f"column {name!r} holds times, which have no bins: leave it out of the features")
    if array.dtype.kind in "iuf" and not categorical:
        return array.astype(np.float64)
    items = [item.item() if isinstance(item, np.generic) else item for item in array.tolist()]
    items = [None if _is_missing(item) else item for item in items]
    kinds = {_kind(item) for item in items if item is not None}
    if "?" in kinds:
        odd = next(item for item in items if item is not None and _kind(item) == "?")
        raise ProfileError(f"column {name!r} holds a {type(odd).__name__}: {odd!r}")
    if kinds <= {"number"} and not categorical:
        try:
            return np.array(items, dtype=np.float64)
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


def _as_array(values: Any) -> NDArray[Any]:
    if hasattr(values, "to_list"):  # pandas and polars, whose own arrays may not be NumPy's
        values = values.to_list()
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths in the column
        array = np.asarray(values, dtype=object)
    if array.dtype.kind in "US" or (array.dtype.kind == "b" and not isinstance(values, np.ndarray)):
        array = np.empty(len(values), dtype=object)
        array[:] = values
    return array


def _is_missing(item: object) -> bool:
    return item is None or item != item or type(item).__name__ in ("NAType", "NaTType")


def _kind(item: object) -> str:
    if isinstance(item, str | bool):
        return "text"
    return "number" if isinstance(item, int | float) else "?"


@dataclass(slots=True)
class FeatureSpec:
    """The agreed bins of one column."""

    wanted: Wanted
    bins: Bins


def spec_of(wanted: Wanted, column: Column, *, bins: int, categories: int) -> FeatureSpec:
    """Choose bins for a column: quantiles of numbers, the commonest categories of text.

    A column of missing values alone is categorical without categories, so that it takes whatever comes.
    """
    if isinstance(column, list):
        return FeatureSpec(wanted, CategoricalBins(top_categories((v for v in column if v is not None), categories)))
    present = column[~np.isnan(column)]
    if present.size == 0 and wanted.name != "probability":
        return FeatureSpec(wanted, CategoricalBins(()))
    return FeatureSpec(wanted, NumericBins(quantile_edges(present, bins)))


@dataclass(slots=True)
class _Moments:
    """Count, mean and sum of squared differences of the finite values, merged by the formula of Chan et al. (1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    min: float | None = None
    max: float | None = None

    def add(self, values: Floats) -> None:
        finite = values[np.isfinite(values)]
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(finite.mean())
            squares = float(((finite - mean) ** 2).sum())
            total = self.count + finite.size
            delta = mean - self.mean
            self.squares += squares + delta * delta * self.count * finite.size / total
            self.mean += delta * finite.size / total
        self.count = total

    def std(self) -> float:
        return math.sqrt(self.squares / self.count)


@dataclass(slots=True)
class Counting:
    """Count batches of columns into agreed bins, keeping counts of whole blocks of `window_rows` for the design effect.

    Memory is bounded: past 4,096 blocks every second one is forgotten.
    """

    specs: list[FeatureSpec]
    window_rows: int
    rows: int = 0
    _counts: NDArray[np.int64] = field(init=False)
    _starts: NDArray[np.intp] = field(init=False)
    _moments: list[_Moments] = field(init=False)
    _blocks: list[NDArray[np.int64]] = field(init=False, default_factory=list)
    _keep_every: int = field(init=False, default=1)
    _open: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = [spec.bins.size for spec in self.specs]
        self._starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
        self._counts = np.zeros(sum(sizes), dtype=np.int64)
        self._open = np.zeros_like(self._counts)
        self._moments = [_Moments() for _ in self.specs]

    def add(self, columns: Mapping[str, Column]) -> None:
        """Count one batch; every column has the same length."""
        indices = []
        for spec, start, moments in zip(self.specs, self._starts, self._moments, strict=True):
            column = columns[spec.wanted.column]
            if isinstance(spec.bins, CategoricalBins):
                values = column if isinstance(column, list) else [None if v != v else v for v in column.tolist()]
                indices.append(spec.bins.index(values) + start)
            else:
                numbers = np.asarray(column, dtype=np.float64)
                moments.add(numbers)
                indices.append(spec.bins.index(numbers) + start)
        rows = len(indices[0])
        stacked = np.stack(indices)
        first = 0
        while first < rows:
            room = self.window_rows - self.rows % self.window_rows
            last = min(rows, first + room)
            counts = np.bincount(stacked[:, first:last].ravel(), minlength=self._counts.size)
            self._counts += counts
            self._open += counts
            self.rows += last - first
            if self.rows % self.window_rows == 0:
                self._close_block()
            first = last

    def _close_block(self) -> None:
        if (self.rows // self.window_rows) % self._keep_every == 0:
            self._blocks.append(self._open.copy())
        self._open[:] = 0
        if len(self._blocks) > _MOST_BLOCKS:
            self._blocks = self._blocks[1::2]
            self._keep_every *= 2

    def profile(self, *, model: str, model_version: str, source: str, created: datetime | None = None) -> Profile:
        """Return the profile of everything counted; raises ProfileError if that is nothing."""
        if self.rows == 0:
            raise ProfileError("there are no rows to build from")
        effects = design_effects(np.array(self._blocks), self._counts, self._starts, window_rows=self.window_rows)
        features = []
        for i, spec in enumerate(self.specs):
            counts = self._counts[self._starts[i] : self._starts[i] + spec.bins.size].tolist()
            features.append(_feature(spec, counts, self._moments[i], design_effect=float(effects[i])))
        profile = Profile(
            model=model,
            model_version=model_version,
            source=source,
            created=(created or datetime.now(UTC)).replace(microsecond=0),
            rows=self.rows,
            window_rows=self.window_rows,
            features=tuple(features),
        )
        check(profile)
        return profile


def design_effects(
    blocks: NDArray[np.int64], counts: NDArray[np.int64], starts: NDArray[np.intp], *, window_rows: int
) -> Floats:
    """Return by how much the PSI of blocks of rows against the whole exceeds what independent rows would give.

    Per feature, the mean over blocks of m rows of their PSI, over `(B-1)(1/m - 1/M)`; at least 1. `blocks` has the
    shape `(blocks, bins)`, `counts` `(bins,)`.
    """
    rows = int(counts[: starts[1] if starts.size > 1 else None].sum())
    if len(blocks) < 2 or window_rows >= rows:
        return np.ones(starts.size)
    shares = drift.reference_shares(counts, starts)
    observed = drift.psi(drift.live_shares(blocks, shares, starts), shares, starts).mean(axis=0)
    degrees = np.diff(starts, append=counts.size) - 1
    return np.asarray(np.maximum(observed / (degrees * (1 / window_rows - 1 / rows)), 1.0), dtype=np.float64)


def _finite(value: float) -> float | None:
    """Return the value, or None where squares or sums were beyond the range of a double."""
    return value if math.isfinite(value) else None


def _feature(spec: FeatureSpec, counts: list[int], moments: _Moments, *, design_effect: float) -> FeatureProfile:
    name, role = spec.wanted.name, spec.wanted.role
    rounded = round(design_effect, 4)
    if isinstance(spec.bins, CategoricalBins):
        return CategoricalProfile(
            name=name,
            role=role,
            categories=spec.bins.categories,
            counts=tuple(counts[:-2]),
            other=counts[-2],
            missing=counts[-1],
            design_effect=rounded,
        )
    return NumericProfile(
        name=name,
        role=role,
        edges=tuple(spec.bins.edges.tolist()),
        counts=tuple(counts[:-1]),
        missing=counts[-1],
        min=moments.min,
        max=moments.max,
        mean=_finite(moments.mean) if moments.count else None,
        std=_finite(moments.std()) if moments.count else None,
        design_effect=rounded,
    )
