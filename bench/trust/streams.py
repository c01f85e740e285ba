"""Streams: traffic of a known kind, with or without a known drift, from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Kind = Literal["numbers", "zipf", "zeros", "rare"]
Change = Literal["shift", "spread", "replica", "segment", "nulls"]

BEGIN = 1_772_409_600.0
"""Monday, 2 March 2026, in seconds of Unix time."""

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What traffic is like. Sizes are in standard deviations of a feature within an hour.

    `season` is how far means go up and down over the day, `wander` how far they go anywhere, over `memory_hours`.
    """

    features: int
    per_hour: float
    kind: Kind = "numbers"
    season: float = 0.0
    wander: float = 0.0
    memory_hours: tuple[float, float] = (4.0, 36.0)


@dataclass(frozen=True, slots=True)
class Drift:
    """What happens to the first of the features from `at` on, in seconds of Unix time; `size` as its kind has it."""

    change: Change
    at: float
    size: float


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of their times, a column for each feature."""

    times: Floats
    columns: Mapping[str, NDArray[Any]]


def generate(stream: Stream, *, hours: int, seed: int, drift: Drift | None = None) -> Rows:
    """Make up the traffic of so many hours."""
    random = np.random.default_rng([seed, 20_771])
    busy = 1 + 0.55 * np.sin(2 * np.pi * (np.arange(hours) - 7) / 24) if stream.season else np.ones(hours)
    counts = random.poisson(stream.per_hour * busy)
    times = np.sort(BEGIN + (np.repeat(np.arange(hours), counts) + random.random(counts.sum())) * _HOUR)
    columns = {}
    for i in range(stream.features):
        mean = _mean(stream, times, hours, random)
        values = random.standard_normal(times.size)
        changed = drift if i == 0 else None
        columns[f"f{i:03d}"] = _values(stream.kind, i, _drifted(mean + values, times, changed, random), random)
        if changed is not None and changed.change == "nulls":
            gone = (times >= changed.at) & (random.random(times.size) < changed.size)
            columns["f000"] = np.where(gone, np.nan, columns["f000"])
    return Rows(times, columns)


def retried(rows: Rows, share: float, *, seed: int) -> Rows:
    """Return the rows with a share of them a second time, some seconds later."""
    random = np.random.default_rng([seed, 5])
    again = random.random(rows.times.size) < share
    later = np.concatenate((rows.times, rows.times[again] + random.exponential(20.0, again.sum())))
    order = np.argsort(later, kind="stable")
    return Rows(later[order], {n: np.concatenate((c, c[again]))[order] for n, c in rows.columns.items()})


def shuffled(rows: Rows, *, seed: int) -> Rows:
    """Return the rows in another order, with the times where they were."""
    order = np.random.default_rng([seed, 4]).permutation(rows.times.size)
    return Rows(rows.times, {name: column[order] for name, column in rows.columns.items()})


def first(rows: Rows, number: int) -> Rows:
    """Return the first of the rows."""
    return Rows(rows.times[:number], {name: column[:number] for name, column in rows.columns.items()})


def between(rows: Rows, start: float, end: float) -> Rows:
    """Return the rows of a stretch of time, given in hours from the beginning."""
    low, high = np.searchsorted(rows.times, (BEGIN + start * _HOUR, BEGIN + end * _HOUR))
    return Rows(rows.times[low:high], {name: column[low:high] for name, column in rows.columns.items()})


def _mean(stream: Stream, times: Floats, hours: int, random: np.random.Generator) -> Floats:
    mean = np.zeros(times.size)
    since = (times - BEGIN) / _HOUR
    if stream.season:
        mean += stream.season * np.sin(2 * np.pi * (since / 24 + random.random()))
    if stream.wander:
        low, high = stream.memory_hours
        kept = np.exp(-1 / np.exp(random.uniform(np.log(low), np.log(high))))
        path = np.empty(hours + 2)
        path[0] = random.standard_normal()
        for hour, step in enumerate(random.standard_normal(hours + 1) * np.sqrt(1 - kept**2)):
            path[hour + 1] = kept * path[hour] + step
        mean += stream.wander * np.interp(since, np.arange(hours + 2), path)
    return mean


def _drifted(latent: Floats, times: Floats, drift: Drift | None, random: np.random.Generator) -> Floats:
    if drift is None:
        return latent
    after = times >= drift.at
    if drift.change == "shift":
        return np.asarray(latent + drift.size * after)
    if drift.change == "spread":
        return np.where(after, latent * drift.size, latent)
    if drift.change in ("replica", "segment"):
        return np.asarray(latent + 2.0 * (after & (random.random(times.size) < drift.size)))
    return latent


def _values(kind: Kind, number: int, latent: Floats, random: np.random.Generator) -> NDArray[Any]:
    if kind == "numbers":
        return np.asarray((np.exp(0.7 * latent), latent, latent * np.abs(latent))[number % 3])
    if kind == "zeros":
        return np.where(random.random(latent.size) < 0.9 + 0.09 * (number % 9) / 8, 0.0, np.exp(latent))
    if kind == "zipf":
        weights = np.arange(1, 161) ** -1.25
    else:
        weights = np.array([1.0, 0.4, *[0.0007 + 0.0004 * i for i in range(6)]])
    codes = random.choice(weights.size, latent.size, p=weights / weights.sum())
    return np.array([f"c{i:03d}" for i in range(weights.size)], dtype=object)[codes]
