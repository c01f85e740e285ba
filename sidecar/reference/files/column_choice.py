"""Which columns of data files are counted, and in which way each is read, by what it holds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.data.kinds import Tally, Way
from sidecar.data.numerals import advice, writing_of
from sidecar.data.table import Progress, Table
from sidecar.events.batch import PREDICTION, UNFIT_NAME
from sidecar.reference.build import MOST_CLASSES, check_kinds, mixed, select, select_as
from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.reference.counting.times import Clock, Notice
from sidecar.reference.profile import FeatureProfile, NumericProfile, Profile, ProfileError


@dataclass(frozen=True, slots=True)
class Choice:
    """Which columns are what, and which are of another kind than their values suggest.

    `features` are the inputs, by default all that are not named otherwise; `identifier` tells rows apart, and is none.
    """

    features: Sequence[str] | None = None
    prediction: str | None = None
    probability: str | None = None
    identifier: str | None = None
    categorical: frozenset[str] = frozenset()
    numeric: frozenset[str] = frozenset()

    @property
    def named(self) -> frozenset[str]:
        """The columns that are kept whatever they hold, or refused."""
        outputs = {self.prediction, self.probability} - {None}
        return frozenset((*(self.features or ()), *self.categorical, *self.numeric, *filter(None, outputs)))


def choose(
    table: Table, choice: Choice, *, progress: Progress, notice: Notice, clock: Clock | None = None
) -> tuple[list[Wanted], dict[str, Way]]:
    """Decide which columns are used and how each is read, and count the rows; raises ProfileError and DataError."""
    wanted = _wanted(table, choice, clock, notice)
    tallies = _tally(table, [w.column for w in wanted], clock, progress=progress)
    kept: list[Wanted] = []
    ways: dict[str, Way] = {}
    for w in wanted:
        unusable = _unusable(tallies[w.column])
        if unusable and w.column not in choice.named:
            advice = f"; say --timestamp {w.column} for a design effect by windows of the clock"
            time = tallies[w.column].kind == "time" and clock is None
            notice(f"column {w.column!r} is left out: it holds {unusable}{advice if time else ''}")
            continue
        ways[w.column] = _way(table, w, tallies[w.column], choice)
        kept.append(w)
    if not kept:
        raise ProfileError(f"no column of {table.name} can be a feature")
    if clock is not None:
        ways[clock.column] = clock.way(table, tallies)
    return kept, ways


def _wanted(table: Table, choice: Choice, clock: Clock | None, notice: Notice) -> list[Wanted]:
    check_kinds(table.columns, categorical=choice.categorical, numeric=choice.numeric)
    if choice.identifier is not None and choice.identifier not in table.columns:
        raise ProfileError(f"no column named {choice.identifier!r}; there are: {', '.join(table.columns)}")
    features = choice.features
    if features is None:
        table.require_same_columns()
        if "" in table.columns:
            notice("a column without a name is left out")
        others = ("", choice.prediction, choice.probability, choice.identifier, None if clock is None else clock.column)
        features = [n for n in table.columns if n not in others]
    wanted = select(table.columns, features=features, prediction=choice.prediction, probability=choice.probability)
    for w in wanted:
        if UNFIT_NAME.search(w.name):
            raise ProfileError(
                f"column {w.column!r} cannot be a feature: a name holds no quotes, backslashes or controls"
            )
    return wanted


def _way(table: Table, w: Wanted, tally: Tally, choice: Choice) -> Way:
    if w.column in choice.numeric:
        return _number(table, w.column, tally, "it is named as numeric")
    way = way_of(table, w.column, tally, categorical=w.column in choice.categorical)
    is_class = way == "number" and (w.role, w.name) == PREDICTION
    return "class" if is_class and table.few_whole_numbers(w.column, MOST_CLASSES) else way


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


def _hint(example: str | None) -> str:
    """Return what helps where the example of a wrong value is a number in another writing."""
    writing = None if example is None else writing_of({example: 1})
    return "" if writing is None else f"; for numbers with {writing}, {advice(writing)}"


def _unusable(tally: Tally) -> str | None:
    return {"time": "times", "nested": "lists, objects or bytes"}.get(tally.kind)


def way_in(table: Table, column: str, tally: Tally, feature: FeatureProfile) -> Way:
    """Decide how to read a column that is counted in the bins of a feature; raises ProfileError for another kind."""
    if isinstance(feature, NumericProfile):
        return _number(table, column, tally, f"{feature.name!r} is numeric")
    if tally.kind == "number" and feature.role == "output" and all(map(_is_class, feature.categories)):
        return "class"
    return way_of(table, column, tally, categorical=True)


def _number(table: Table, column: str, tally: Tally, why: str) -> Way:
    if tally.kind not in ("number", "empty"):
        _, example = table.misfits(column, "number")
        raise ProfileError(f"column {column!r} holds values such as {example!r}; {why}{_hint(example)}")
    return "number"


def _is_class(category: str) -> bool:
    """Tell whether a category is a whole number as `category_text` writes it, or a boolean."""
    return category in ("true", "false") or bool(re.fullmatch(r"0|-?[1-9]\d*", category))


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
