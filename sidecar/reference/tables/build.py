"""Build a profile from a table of an engine that Ibis speaks to: Spark, a warehouse, DuckDB.

The engine does the work, and what comes back is a few numbers a bin: never rows. Edges are exact quantiles of all
values, found by counting distinct values in order, so they are those that `build` finds where it sees every row.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from sidecar.events.batch import PREDICTION, UNFIT_NAME
from sidecar.reference.build import BINS, CATEGORIES, MOST_CLASSES, WINDOW_ROWS, check_kinds, check_options, select
from sidecar.reference.counting.counts import Counted, FeatureSpec, Moments, Total, Wanted, assemble, first_bins
from sidecar.reference.counting.design_effects import design_effects
from sidecar.reference.counting.rows import block_rows
from sidecar.reference.counting.stretches import most_blocks
from sidecar.reference.counting.times import WINDOW_SECONDS, Clock, Notice
from sidecar.reference.profile import Profile, ProfileError
from sidecar.reference.tables.counts import LARGEST, Read, counts_of, double, marked
from sidecar.reference.tables.times import count_by_clock
from sidecar.statistics.bins import CategoricalBins, Floats, NumericBins, edges_around, least_rows
from sidecar.statistics.season import Season


def build(
    table: ibis.Table,
    *,
    features: Sequence[str] | None = None,
    prediction: str | None = None,
    probability: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    order_by: Sequence[str] = (),
    timestamp: str | None = None,
    window_seconds: float = WINDOW_SECONDS,
    season: Season | None = None,
    bins: int = BINS,
    categories: int = CATEGORIES,
    window_rows: int = WINDOW_ROWS,
    model: str = "",
    model_version: str = "",
    source: str = "",
    created: datetime | None = None,
    notice: Notice = lambda sentence: None,
) -> Profile:
    """Build a reference profile from an Ibis table; see `sidecar.reference.build` for the rest.

    A table has no order of its own: `order_by` names the columns that give the rows theirs, each row a different one.
    Or `timestamp`, a column of times, cuts them into stretches of the clock and counts by `season`, as
    `sidecar.reference.files.build` does. Without either the design effect is 1. Raises ProfileError, also for numbers
    with fractions that are to be categories, which every engine writes differently.
    """
    check_options(bins=bins, categories=categories, window_rows=window_rows)
    clock = Clock.of(timestamp, window_seconds, season)
    named = features is not None
    if clock is not None:
        if order_by:
            raise ProfileError("order_by and timestamp exclude each other: blocks are of rows or of the clock")
        if features is None:
            features = [n for n in table.columns if n not in (prediction, probability, timestamp)]
    wanted = select(list(table.columns), features=features, prediction=prediction, probability=probability)
    if clock is not None:
        clock.check(table.columns, [w.column for w in wanted])
    as_text, as_numbers = frozenset(categorical), frozenset(numeric)
    check_kinds(table.columns, categorical=as_text, numeric=as_numbers)
    for name in order_by:
        if name not in table.columns:
            raise ProfileError(f"no column named {name!r}; there are: {', '.join(table.columns)}")
    reads = _reads(table, wanted, categorical=as_text, numeric=as_numbers, named=named, notice=notice)
    sizes = _sizes(table, reads)
    rows = sizes.pop("rows")
    if not rows:
        raise ProfileError("there are no rows to build from")
    reads, specs = _choose(table, reads, sizes, bins=bins, categories=categories)
    total = _total(table, reads, specs, rows)
    if clock is not None:
        counted = count_by_clock(table, reads, specs, total, clock, notice)
    else:
        counted = _in_order(table, reads, specs, total, block_rows(window_rows, rows), order_by, notice)
    return assemble(specs, counted, model=model, model_version=model_version, source=source, created=created)


def _in_order(
    table: ibis.Table,
    reads: Sequence[Read],
    specs: Sequence[FeatureSpec],
    total: Total,
    block: int,
    order_by: Sequence[str],
    notice: Notice,
) -> Counted:
    if not order_by:
        notice("the design effect is 1, because nothing says in which order the rows happened (order_by)")
    rows, counts = total.rows, total.counts
    blocks = _blocks(table, reads, specs, rows, block, order_by) if order_by else np.zeros((0, counts.size), np.int64)
    effects = design_effects(blocks, counts, first_bins(specs), window_rows=block)
    return Counted(rows, counts, effects, total.moments, window_rows=block)


def _reads(
    table: ibis.Table,
    wanted: Sequence[Wanted],
    *,
    categorical: Set[str],
    numeric: Set[str],
    named: bool,
    notice: Notice,
) -> list[Read]:
    found = []
    for w in wanted:
        if UNFIT_NAME.search(w.name):
            raise ProfileError(
                f"column {w.column!r} cannot be a feature: a name holds no quotes, backslashes or controls"
            )
        column, as_category = table[w.column], w.column in categorical
        kind = column.type()
        if kind.is_boolean():
            text = ibis.cases((column, "true"), (~column, "false"), else_=ibis.null("string"))
            found.append(Read(w, numeric=False, values=text))
        elif (w.role, w.name) == PREDICTION and w.column not in numeric and _few_whole_numbers(column):
            found.append(Read(w, numeric=False, values=_finite(column).cast("int64").cast("string")))
        elif kind.is_numeric() and not as_category:
            found.append(Read(w, numeric=True, values=_finite(column)))
        elif kind.is_integer() or kind.is_string() or kind.is_null():
            found.append(Read(w, numeric=False, values=column.cast("string")))
        elif kind.is_numeric():
            raise ProfileError(
                f"column {w.column!r} holds numbers with fractions, which engines write in different ways: "
                "cast it to text or to whole numbers"
            )
        elif as_category or named or w.role == "output":
            raise ProfileError(
                f"column {w.column!r} is of type {kind}, which has no bins: leave it out of the features"
            )
        else:
            notice(f"column {w.column!r} is left out: it is of type {kind}")
    if not found:
        raise ProfileError("no column can be a feature")
    return found


def _finite(column: Any) -> Any:
    """Return a column of numbers as float64, NULL for NaN and the infinities."""
    values = column.cast("float64")
    if not column.type().is_floating():
        return values
    return ibis.cases((values.abs() <= double(LARGEST), values), else_=ibis.null("float64"))


def _few_whole_numbers(column: Any) -> bool:
    if not column.type().is_numeric():
        return False
    distinct = _finite(column).name("n").as_table().filter(ibis._.n.notnull()).distinct()
    found = distinct.limit(MOST_CLASSES + 1).execute()["n"].to_numpy(dtype=np.float64)
    return 1 <= found.size <= MOST_CLASSES and bool((found == np.trunc(found)).all())


def _sizes(table: ibis.Table, reads: Sequence[Read]) -> dict[str, int]:
    """Return how many rows there are, and of each column how many values."""
    sizes = {"rows": table.count()}
    for i, read in enumerate(reads):
        sizes[f"present{i}"] = read.values.count()
    [found] = table.aggregate(**sizes).execute().to_dict("records")
    return {name: int(number) if number == number and number is not None else 0 for name, number in found.items()}


def _choose(
    table: ibis.Table, reads: Sequence[Read], sizes: Mapping[str, int], *, bins: int, categories: int
) -> tuple[list[Read], list[FeatureSpec]]:
    chosen, specs = [], []
    for i, read in enumerate(reads):
        if not read.numeric:
            specs.append(
                FeatureSpec(read.wanted, CategoricalBins(_commonest(table, read, categories, sizes[f"present{i}"])))
            )
        elif sizes[f"present{i}"] or read.wanted.name == "probability":
            specs.append(FeatureSpec(read.wanted, NumericBins(_edges(table, read, bins, sizes[f"present{i}"]))))
        else:  # without any value, it takes whatever comes
            read = Read(read.wanted, numeric=False, values=read.values.cast("string"))
            specs.append(FeatureSpec(read.wanted, CategoricalBins(())))
        chosen.append(read)
    return chosen, specs


def _commonest(table: ibis.Table, read: Read, most: int, total: int) -> tuple[str, ...]:
    if not most:
        return ()
    texts = table.select(v=read.values)
    counted = texts.filter(texts.v.notnull()).group_by("v").aggregate(n=lambda t: t.count())
    found = counted.order_by(counted.n.desc(), counted.v.asc()).limit(most).execute()
    pairs = sorted(zip((-found["n"]).tolist(), found["v"].tolist(), strict=True))
    return tuple(text for less, text in pairs if -less >= least_rows(total))


def _edges(table: ibis.Table, read: Read, bins: int, total: int) -> Floats:
    values = table.filter(read.values.notnull()).select(v=read.values)
    distinct = values.group_by("v").aggregate(n=lambda t: t.count())
    few = distinct.order_by(distinct.v).limit(bins + 1).execute()
    if len(few) <= bins:
        return edges_around(few["v"].to_numpy(dtype=np.float64), few["n"].to_numpy(dtype=np.float64))
    running = distinct.mutate(below=distinct.n.sum().over(ibis.cumulative_window(order_by=distinct.v)))
    ranks = [math.ceil(share * total) for share in (np.arange(1, bins) / bins).tolist()]
    if not ranks:
        return np.zeros(0)
    found = running.aggregate(**{f"e{i}": running.v.min(where=running.below >= rank) for i, rank in enumerate(ranks)})
    return np.unique(found.execute().to_numpy(dtype=np.float64)[0])


def _total(table: ibis.Table, reads: Sequence[Read], specs: Sequence[FeatureSpec], rows: int) -> Total:
    plain = table.select(**{f"v{i}": read.values for i, read in enumerate(reads)})
    aggregates = {"rows": plain.count(), **marked(plain, reads, specs)}
    for i, read in enumerate(reads):
        if read.numeric:
            v = plain[f"v{i}"]
            aggregates |= {
                f"count{i}": v.count(),
                f"min{i}": v.min(),
                f"max{i}": v.max(),
                f"mean{i}": v.mean(),
                f"variance{i}": v.var(how="pop"),
            }
    found = plain.aggregate(**aggregates).execute()
    if int(found["rows"][0]) != rows:
        raise ProfileError("the table changed while it was read")
    moments = [_moments(found, i) if read.numeric else Moments() for i, read in enumerate(reads)]
    return Total(rows, counts_of(found, specs)[0], moments)


def _moments(found: Any, i: int) -> Moments:
    number = found[f"count{i}"][0]
    count = 0 if number is None or number != number else int(number)
    if not count:
        return Moments()
    low, high, mean, variance = (float(found[f"{what}{i}"][0]) for what in ("min", "max", "mean", "variance"))
    return Moments(count, mean, variance * count, low, high)


def _blocks(
    table: ibis.Table,
    reads: Sequence[Read],
    specs: Sequence[FeatureSpec],
    rows: int,
    block: int,
    order_by: Sequence[str],
) -> NDArray[np.int64]:
    """Count the whole blocks, in order, that live counting would have kept."""
    bins = int(first_bins(specs)[-1]) + specs[-1].bins.size
    whole, every = rows // block, 1
    while whole // every > most_blocks(bins):
        every *= 2
    place = ibis.row_number().over(order_by=[table[name] for name in order_by])
    placed = table.select(place=place, **{f"v{i}": read.values for i, read in enumerate(reads)})
    # Whole numbers throughout: some engines divide as floats.
    cut = placed.mutate(first=placed.place - placed.place % block).drop("place")
    kept = cut.filter((cut["first"] < whole * block) & ((cut["first"] + block) % (block * every) == 0))
    found = kept.group_by("first").aggregate(rows=kept.count(), **marked(kept, reads, specs)).execute()
    return counts_of(found, specs)
