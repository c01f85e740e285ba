"""Build a profile from data files of any size: CSV, Parquet, JSON Lines.

The rows are read up to three times: to see what each column holds, to sample the values that bins are chosen from,
and to count. Only the sample is held in memory. Where it holds all rows they are counted from there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sidecar.data.files import DataError
from sidecar.data.kinds import Decimal, Way, Writing
from sidecar.data.table import Progress, Table, silent
from sidecar.reference.build import BINS, CATEGORIES, WINDOW_ROWS, check_options
from sidecar.reference.counting.counts import FeatureSpec, Wanted, assemble
from sidecar.reference.counting.rows import Column, Counting, block_rows, spec_of
from sidecar.reference.counting.times import WINDOW_SECONDS, Clock, Notice
from sidecar.reference.files.column_choice import Choice, choose, choose_as
from sidecar.reference.files.columns import Sample, to_columns
from sidecar.reference.files.observations import tell_of_numerals, without_identifiers
from sidecar.reference.profile import CategoricalProfile, Profile, ProfileError
from sidecar.reference.summary import Summary
from sidecar.reference.summary import summarize as summary_of
from sidecar.statistics.season import Season

SAMPLE_ROWS = 200_000
"""Rows that bins are chosen from, at the most."""

_OTHER_SHARE = 0.5


def build(
    data: Iterable[str | Path],
    *,
    features: Sequence[str] | None = None,
    prediction: str | None = None,
    probability: str | None = None,
    identifier: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    null: Sequence[str] = (),
    decimal: Decimal = ".",
    bins: int = BINS,
    categories: int = CATEGORIES,
    window_rows: int = WINDOW_ROWS,
    sample_rows: int = SAMPLE_ROWS,
    timestamp: str | None = None,
    timestamp_format: str | None = None,
    window_seconds: float = WINDOW_SECONDS,
    season: Season | None = None,
    model: str = "",
    model_version: str = "",
    source: str | None = None,
    created: datetime | None = None,
    progress: Progress = silent,
    notice: Notice = lambda sentence: None,
) -> Profile:
    """Build a reference profile from files, directories or patterns; see `sidecar.reference.build` for the rest.

    `null` are texts that mean missing, beside the empty field of CSV; `identifier` is a column that is no feature. With
    more than `sample_rows` rows, bins are chosen from that many of them, taken evenly from the whole; counts are always
    of all rows.

    With `timestamp`, a column of times, the blocks for the design effect are stretches of the clock of
    `window_seconds`, rather than `window_rows` rows in the order of the files. With a `season` too, rows are counted by
    its slots as well.

    Raises ProfileError for data that cannot be read or used.
    """
    check_options(bins=bins, categories=categories, window_rows=window_rows, sample_rows=sample_rows)
    clock = Clock.of(timestamp, window_seconds, season)
    choice = Choice(features, prediction, probability, identifier, frozenset(categorical), frozenset(numeric))
    with _profile_errors():
        table = Table(data, Writing(tuple(null), decimal, timestamp_format))
        sampled = _sample(table, choice, clock, sample_rows, "choosing bins", progress, notice)
        specs = [spec_of(w, sampled.columns[w.column], bins=bins, categories=categories) for w in sampled.wanted]
        counting = _counting(specs, block_rows(window_rows, table.rows), clock)
        second = 1.0 if clock is None else clock.unit(sampled.ways[clock.column], [sampled.columns])
        _count(counting, table, sampled, clock, second, progress)
    counted = counting.counted()
    if clock is not None:
        clock.require_cycles(counting.span)
        clock.tell(counted, counting.span, notice)
    profile = assemble(
        specs,
        counted,
        model=model,
        model_version=model_version,
        source=table.name if source is None else source,
        created=created,
    )
    _tell_of_rare_categories(profile, categories, notice)
    return profile


def summarize(
    data: Iterable[str | Path],
    *,
    features: Sequence[str] | None = None,
    prediction: str | None = None,
    probability: str | None = None,
    identifier: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    null: Sequence[str] = (),
    decimal: Decimal = ".",
    window_rows: int = WINDOW_ROWS,
    sample_rows: int = SAMPLE_ROWS,
    progress: Progress = silent,
    notice: Notice = lambda sentence: None,
) -> Summary:
    """Summarize a part of the data, so that bins can be agreed on; see `build` for the rest."""
    check_options(bins=1, categories=0, window_rows=window_rows, sample_rows=sample_rows)
    choice = Choice(features, prediction, probability, identifier, frozenset(categorical), frozenset(numeric))
    with _profile_errors():
        table = Table(data, Writing(tuple(null), decimal))
        found = _sample(table, choice, None, sample_rows, "choosing points", progress, notice)
    scale = table.rows / min(table.rows, sample_rows)
    return Summary(
        source=table.name,
        rows=table.rows,
        window_rows=window_rows,
        columns=[summary_of(w, found.columns[w.column], found.ways[w.column], scale=scale) for w in found.wanted],
    )


def count(
    data: Iterable[str | Path],
    reference: Profile,
    *,
    features: Sequence[str] | None = None,
    prediction: str | None = None,
    probability: str | None = None,
    null: Sequence[str] = (),
    decimal: Decimal = ".",
    timestamp: str | None = None,
    timestamp_format: str | None = None,
    window_seconds: float = WINDOW_SECONDS,
    season: Season | None = None,
    model: str | None = None,
    model_version: str = "",
    source: str | None = None,
    created: datetime | None = None,
    progress: Progress = silent,
    notice: Notice = lambda sentence: None,
) -> Profile:
    """Count data files in the bins of a reference, and return that as a profile.

    `features` are the inputs to count, by default all of the reference. An output is counted if its column is named or
    is called as the output is. With `timestamp` and a `season` rows are counted as `build` does, whatever the season of
    the reference. Raises ProfileError, also for a feature that the data lacks.
    """
    clock = Clock.of(timestamp, window_seconds, season)
    with _profile_errors():
        table = Table(data, Writing(tuple(null), decimal, timestamp_format))
        specs, ways = choose_as(
            reference,
            table,
            features=features,
            outputs={"prediction": prediction, "probability": probability},
            progress=progress,
            notice=notice,
            clock=clock,
        )
        counting = _counting(specs, block_rows(reference.window_rows or WINDOW_ROWS, table.rows), clock)
        second = 1.0
        if clock is not None:
            way = ways[clock.column]
            second = clock.unit(way, _read(table, {clock.column: way}, "reading times", progress))
        for columns in _read(table, ways, "counting", progress):
            counting.add(columns, None if clock is None else clock.times(columns) / second)
    counted = counting.counted()
    if clock is not None:
        clock.tell(counted, counting.span, notice)
    return assemble(
        specs,
        counted,
        model=reference.model if model is None else model,
        model_version=model_version,
        source=table.name if source is None else source,
        created=created,
    )


@contextmanager
def _profile_errors() -> Iterator[None]:
    """Raise what is wrong with data as ProfileError."""
    try:
        yield
    except DataError as error:
        raise ProfileError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Sampled:
    """The columns that are used, the way in which each is read, and a sample of their rows, `complete` if it is all."""

    wanted: list[Wanted]
    ways: dict[str, Way]
    columns: dict[str, Column]
    complete: bool


def _sample(
    table: Table,
    choice: Choice,
    clock: Clock | None,
    rows: int,
    what: str,
    progress: Progress,
    notice: Notice,
) -> _Sampled:
    """Choose columns and sample them; identifiers are left out, as only the values tell them from features."""
    wanted, ways = choose(table, choice, progress=progress, notice=notice, clock=clock)
    sample = Sample(table.rows, rows)
    for columns in _read(table, ways, what, progress):
        sample.add(columns)
    sampled = sample.columns()
    wanted = without_identifiers(wanted, sampled, choice, notice)
    if not wanted:
        raise ProfileError(f"no column of {table.name} can be a feature")
    used = {w.column for w in wanted} | ({clock.column} if clock is not None else set())
    ways = {name: way for name, way in ways.items() if name in used}
    sampled = {name: sampled[name] for name in ways}
    tell_of_numerals(table, sampled, ways, notice)
    return _Sampled(wanted, ways, sampled, sample.complete)


def _count(
    counting: Counting, table: Table, sampled: _Sampled, clock: Clock | None, second: float, progress: Progress
) -> None:
    """Count all rows: those of the sample where it is complete, else those of the files."""
    batches = [sampled.columns] if sampled.complete else _read(table, sampled.ways, "counting", progress)
    for columns in batches:
        counting.add(columns, None if clock is None else clock.times(columns) / second)


def _tell_of_rare_categories(profile: Profile, categories: int, notice: Notice) -> None:
    for feature in profile.features:
        if isinstance(feature, CategoricalProfile) and feature.categories:
            share = feature.other / profile.rows
            if share > _OTHER_SHARE:
                notice(f"{feature.name!r}: {share:.0%} of the rows are of categories beyond the {categories} commonest")


def _counting(specs: list[FeatureSpec], window_rows: int, clock: Clock | None) -> Counting:
    if clock is None:
        return Counting(specs, window_rows=window_rows)
    return Counting(specs, window_rows=window_rows, window_seconds=clock.window_seconds, season=clock.season)


def _read(table: Table, ways: Mapping[str, Way], what: str, progress: Progress) -> Iterator[dict[str, Column]]:
    done = 0
    progress(what, done, table.rows)
    for batch in table.batches(ways):
        yield to_columns(batch, ways)
        done += batch.num_rows
        progress(what, done, table.rows)
