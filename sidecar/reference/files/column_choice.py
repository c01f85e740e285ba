"""Which columns of data files are counted, and in which way each is read, by what it holds."""

from collections.abc import Mapping, Sequence

import numpy as np

from sidecar.data.kinds import Tally, Way
from sidecar.data.numerals import advice, writing_of
from sidecar.data.table import Progress, Table
from sidecar.events.batch import UNFIT_NAME
from sidecar.reference.build import mixed, select, select_as
from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.reference.counting.rows import Column
from sidecar.reference.counting.times import Clock, Notice
from sidecar.reference.profile import CategoricalProfile, FeatureProfile, Profile, ProfileError
from sidecar.statistics.bins import Coded


def choose(
    table: Table,
    *,
    features: Sequence[str] | None,
    prediction: str | None,
    probability: str | None,
    categorical: frozenset[str],
    progress: Progress,
    notice: Notice,
    clock: Clock | None = None,
) -> tuple[list[Wanted], dict[str, Way]]:
    """Decide which columns are used and how each is read, and count the rows; raises ProfileError and DataError."""
    named = features is not None
    for name in sorted(categorical):
        if name not in table.columns:
            raise ProfileError(f"no column named {name!r}; there are: {', '.join(table.columns)}")
    if not named:
        table.require_same_columns()
        if "" in table.columns:
            notice("a column without a name is left out")
        others = ("", prediction, probability, None if clock is None else clock.column)
        features = [n for n in table.columns if n not in others]
    wanted = select(table.columns, features=features, prediction=prediction, probability=probability)
    for w in wanted:
        if UNFIT_NAME.search(w.name):
            raise ProfileError(
                f"column {w.name!r} cannot be a feature: a name holds no quotes, backslashes or controls"
            )
    tallies = _tally(table, [w.column for w in wanted], clock, progress=progress)
    kept, ways = [], {}
    for w in wanted:
        unusable = _unusable(tallies[w.column])
        if unusable and w.column not in categorical | {prediction, probability} and not named:
            notice(f"column {w.column!r} is left out: it holds {unusable}")
            continue
        ways[w.column] = way_of(table, w.column, tallies[w.column], categorical=w.column in categorical)
        kept.append(w)
    if not kept:
        raise ProfileError(f"no column of {table.name} can be a feature")
    if clock is not None:
        ways[clock.column] = clock.way(table, tallies)
    return kept, ways


def choose_as(
    reference: Profile,
    table: Table,
    *,
    features: Sequence[str] | None,
    outputs: Mapping[str, str | None],
    progress: Progress,
    notice: Notice,
    clock: Clock | None = None,
) -> tuple[list[FeatureSpec], dict[str, Way]]:
    """Decide which columns are counted in which bins of a reference, and count the rows; raises as `choose` does.

    `outputs` are the columns of the outputs, if they are not called as these are.
    """
    wanted = select_as(reference, table.columns, features, outputs)
    for output in (f for f in reference.features if f.role == "output"):
        if ("output", output.name) not in wanted:
            notice(f"the {output.name} is left out: say which column it is (--{output.name})")
    tallies = _tally(table, [w.column for w in wanted.values()], clock, progress=progress)
    specs: list[FeatureSpec] = []
    ways: dict[str, Way] = {}
    for key, w in wanted.items():
        feature = next(f for f in reference.features if (f.role, f.name) == key)
        way = way_in(table, w.column, tallies[w.column], feature)
        if ways.setdefault(w.column, way) != way:
            raise ProfileError(f"column {w.column!r} is numeric in one role and categorical in the other")
        specs.append(FeatureSpec(w, feature.bins()))
    if clock is not None:
        ways[clock.column] = clock.way(table, tallies)
    return specs, ways


def _tally(table: Table, columns: Sequence[str], clock: Clock | None, *, progress: Progress) -> dict[str, Tally]:
    """Look at what the columns hold, and that of the clock; raises ProfileError where there are no rows."""
    read = list(columns)
    if clock is not None:
        clock.check(table.columns, read)
        read.append(clock.column)
    tallies = table.tally(list(dict.fromkeys(read)), progress=progress)
    if not table.rows:
        raise ProfileError(f"there are no rows in {table.name}")
    return tallies


def tell_of_numerals(table: Table, columns: Mapping[str, Column], ways: Mapping[str, Way], notice: Notice) -> None:
    """Say which columns of text, or a sample of them, hold numbers in a writing that is not read as one."""
    for name, texts in columns.items():
        if ways[name] != "text" or not isinstance(texts, Coded):
            continue
        seen = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.texts))
        counts = {text: count for text, count in zip(texts.texts, seen.tolist(), strict=True) if count}
        if (writing := writing_of(counts)) is not None:
            advised = advice(writing) if any(file.form == "csv" for file in table.files) else "write them as numbers"
            notice(
                f"column {name!r} is taken for text, but holds numbers with {writing}, such as {next(iter(counts))!r}: "
                f"{advised}, or name it as categorical (--categorical)"
            )


def _hint(example: str | None) -> str:
    """Return what helps where the example of a wrong value is a number in another writing."""
    writing = None if example is None else writing_of({example: 1})
    return "" if writing is None else f"; for numbers with {writing}, {advice(writing)}"


def _unusable(tally: Tally) -> str | None:
    return {"time": "times", "nested": "lists, objects or bytes"}.get(tally.kind)


def way_in(table: Table, column: str, tally: Tally, feature: FeatureProfile) -> Way:
    """Decide how to read a column that is counted in the bins of a feature; raises ProfileError for another kind."""
    if isinstance(feature, CategoricalProfile):
        return way_of(table, column, tally, categorical=True)
    if tally.kind not in ("number", "empty"):
        _, example = table.misfits(column, "number")
        raise ProfileError(
            f"column {column!r} holds values such as {example!r}; {feature.name!r} is numeric{_hint(example)}"
        )
    return "number"


def way_of(table: Table, column: str, tally: Tally, *, categorical: bool) -> Way:
    """Decide how to read a column by what it holds; raises ProfileError for what has no bins."""
    kind = tally.kind
    if kind == "nested" or (kind == "time" and not categorical):
        raise ProfileError(
            f"column {column!r} holds {_unusable(tally)}, which have no bins: leave it out of the features"
        )
    if kind == "mixed" and not categorical:
        others, example = table.misfits(column, "number")
        error = mixed(column, numbers=tally.numbers, others=others, example=example)
        raise ProfileError(f"{error} (--categorical), or say which texts mean missing (--null){_hint(example)}")
    if kind == "boolean":
        return "boolean"
    if not categorical:
        return "number" if kind == "number" else "text"
    return "whole" if tally.wholes == tally.values else "value"
