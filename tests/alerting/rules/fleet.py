"""A made-up fleet of replicas and, in NumPy, what the drift records must say about it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from sidecar.reference.seasonal import Seasonal
from sidecar.statistics.season import SLOT_SECONDS
from tests import oracle

from .promtool import call

Floats = npt.NDArray[np.float64]

BIN_NAMES = ("00", "01", "02", "03", "missing")
REFERENCE_COUNTS: Floats = np.array([300.0, 250.0, 240.0, 200.0, 10.0])
SIGNIFICANCE = 18.47


@dataclass(frozen=True, kw_only=True)
class Replica:
    """Count events per bin from `born` until `dies`; `restarts` sets the counters back to 0. Times are
    seconds."""

    rates: Sequence[float]
    """Events a second by bin."""
    later: Sequence[float] | None = None
    """Events a second from `shift` on."""
    shift: float = 0
    born: float = 0
    dies: float = float("inf")
    restarts: Sequence[float] = ()
    unseen: Sequence[int] = ()
    """Bins of which this replica exports no counter at all."""
    reference: str = "aaaa0000"
    reference_counts: Floats | None = None
    season: Seasonal | None = None
    """The reference by hour of the day, which begins at 0 seconds."""
    without_expected: Sequence[int] = ()
    """Bins of which it exports no count of what the reference expects."""
    model: str = "fraud"
    feature: str = "amount"
    track: str = ""
    """Value of the target label by which a candidate is told from the stable version."""

    def counter(self, index: int, at: float) -> float | None:
        """Return a bin's counter at a time, or None while the replica is away."""
        if not self.born <= at < self.dies or index in self.unseen:
            return None
        return self.events(index, self._since(at), at)

    def expected(self, index: int, at: float) -> float | None:
        """Return the counter of what the reference expects in a bin, or None where there is none."""
        if self.season is None or not self.born <= at < self.dies or index in self.without_expected:
            return None
        return float(self.events_by_slot(self._since(at), at) @ self.season.shares[:, index])

    def total(self, at: float) -> float | None:
        """Return the counter of all events, or None while the replica is away."""
        if not self.born <= at < self.dies:
            return None
        return sum(self.events(index, self._since(at), at) for index in range(len(self.rates)))

    def _since(self, at: float) -> float:
        return max([self.born, *(restart for restart in self.restarts if restart <= at)])

    def events_by_slot(self, since: float, until: float) -> Floats:
        """Return the events between two times by the hour of the day in which they came."""
        slots = np.zeros(24)
        for hour in range(int(since // SLOT_SECONDS), int(until // SLOT_SECONDS) + 1):
            begin, end = max(since, hour * SLOT_SECONDS), min(until, (hour + 1) * SLOT_SECONDS)
            if begin < end:
                slots[hour % 24] += sum(self.events(index, begin, end) for index in range(len(self.rates)))
        return slots

    def events(self, index: int, since: float, until: float) -> float:
        """Return the events of a bin between two times, with no regard to restarts."""
        since, until = max(since, self.born), min(until, self.dies)
        if until <= since:
            return 0.0
        if self.later is None:
            return self.rates[index] * (until - since)
        before = max(0.0, min(until, self.shift) - since)
        after = max(0.0, until - max(since, self.shift))
        return self.rates[index] * before + self.later[index] * after


def input_series(replicas: Sequence[Replica], *, scrape: int, minutes: int) -> dict[str, str]:
    """Return every series of the fleet as promtool writes them."""
    times = range(0, minutes * 60 + 1, scrape)
    series = {}
    for number, replica in enumerate(replicas):
        counts = REFERENCE_COUNTS if replica.reference_counts is None else replica.reference_counts
        place = f'namespace="prod",job="model-sidecar",instance="pod-{number}",model="{replica.model}"'
        place += f',track="{replica.track}"' if replica.track else ""
        model = f'{place},reference="{replica.reference}"'
        key = f'{model},role="input",feature="{replica.feature}"'
        alive = [replica.born <= at < replica.dies for at in times]
        if replica.season is not None:
            rows = [replica.season.rows[at // SLOT_SECONDS % 24] for at in times]
            series[f"model_reference_season_samples{{{model}}}"] = _written(
                row if here else None for row, here in zip(rows, alive, strict=True)
            )
        series[f"model_reference_samples{{{model}}}"] = _constant(counts.sum(), alive)
        series[f'model_reference_info{{{model},source="file",model_version="1"}}'] = _constant(1, alive)
        series[f"model_drift_significance_factor{{{key}}}"] = _constant(SIGNIFICANCE, alive)
        for index, (name, ratio) in enumerate(zip(BIN_NAMES, oracle.reference_shares(counts), strict=True)):
            labels = f'{key},bin="{name}",range="range {name}"'
            series[f"model_bin_reference_ratio{{{labels}}}"] = _constant(ratio, alive)
            for metric, counter in (
                ("model_bin_observations_total", replica.counter),
                ("model_bin_expected_observations_total", replica.expected),
            ):
                values = [counter(index, at) for at in times]
                if any(value is not None for value in values):
                    series[f"{metric}{{{labels}}}"] = _written(values)
    return series


def recorded_counts(replicas: Sequence[Replica], *, scrape: int, minute: int, window: int, base: int = 5) -> Floats:
    """Return c as recorded at a minute: the base increases of the last `window` minutes, each event once."""
    counters = [[partial(replica.counter, index) for replica in replicas] for index in range(len(BIN_NAMES))]
    return _recorded(counters, scrape=scrape, minute=minute, window=window, base=base)


def recorded_expected(replicas: Sequence[Replica], *, scrape: int, minute: int, window: int, base: int = 5) -> Floats:
    """Return what references by season expect in each bin, as recorded at a minute."""
    counters = [[partial(replica.expected, index) for replica in replicas] for index in range(len(BIN_NAMES))]
    return _recorded(counters, scrape=scrape, minute=minute, window=window, base=base)


def _recorded(counters: Sequence[Sequence["Counter"]], *, scrape: int, minute: int, window: int, base: int) -> Floats:
    evaluations = _evaluations(minute, window, base)
    total = np.array(
        [
            sum(_increase(counter, at * 60, base * 60, scrape) for counter in of_bin for at in evaluations)
            for of_bin in counters
        ]
    )
    return total / base if window > base else total


def recorded_slots(replicas: Sequence[Replica], *, scrape: int, minute: int, window: int, base: int = 5) -> Floats:
    """Return the events behind `recorded_counts` by the hour of the day in which they came."""
    total = np.zeros(24)
    for at in _evaluations(minute, window, base):
        for replica in replicas:
            begins, rises, stretched = _rises(replica.total, at * 60, base * 60, scrape)
            np.add.at(total, (begins // SLOT_SECONDS).astype(int) % 24, rises * stretched)
    return total / base if window > base else total


def season_rows(season: Seasonal, *, minute: int, window: int, born: int = 0) -> float:
    """Return M as recorded at a minute: the rows of the hours of the last `window` minutes, at most all."""
    rows = [season.rows[at // 60 % 24] for at in range(max(born, minute - window + 1), minute + 1)]
    return min(float(np.mean(rows) if window <= 60 else np.sum(rows) / 60), float(season.rows.sum()))


def _evaluations(minute: int, window: int, base: int) -> Sequence[int]:
    return range(max(0, minute - window + 1), minute + 1) if window > base else [minute]


def true_counts(replicas: Sequence[Replica], *, since: float, until: float) -> Floats:
    """Return the events that the fleet has really had."""
    return np.array(
        [sum(replica.events(index, since, until) for replica in replicas) for index in range(len(BIN_NAMES))]
    )


def statistics(counts: Floats, reference_counts: Floats = REFERENCE_COUNTS) -> dict[str, float]:
    """Return PSI, KL, JS and the threshold of significance by their definitions."""
    return statistics_against(counts, oracle.reference_shares(reference_counts), float(reference_counts.sum()))


def statistics_against(counts: Floats, reference: Floats, rows: float) -> dict[str, float]:
    """Return the same against the shares of a reference with so many rows behind it."""
    total, live = float(counts.sum()), oracle.live_shares(counts, reference)
    return {
        "drift_psi:ratio": oracle.psi(live, reference),
        "drift_kl_divergence:nats": oracle.kl(live, reference),
        "drift_js_divergence:bits": oracle.js(live, reference),
        "drift_psi_threshold:ratio": SIGNIFICANCE * (1 / total + 1 / rows),
        "observations:increase": total,
    }


def contributions(counts: Floats) -> Floats:
    """Return what each bin adds to PSI."""
    reference = oracle.reference_shares(REFERENCE_COUNTS)
    return oracle.contributions(oracle.live_shares(counts, reference), reference)


def _constant(value: float, alive: Sequence[bool]) -> str:
    return _written(value if here else None for here in alive)


def _written(values: Iterable[float | None]) -> str:
    return " ".join("_" if value is None else repr(float(value)) for value in values)


Counter = Callable[[float], float | None]
"""The value of a counter at a time, or None where it is not exported."""


def _increase(counter: Counter, until: float, window: float, scrape: int) -> float:
    """Do as `increase` does: add up rises, take a fall for a restart, stretch to the window's edges."""
    _, rises, stretched = _rises(counter, until, window, scrape)
    return float(rises.sum() * stretched)


def _rises(counter: Counter, until: float, window: float, scrape: int) -> tuple[Floats, Floats, float]:
    """Return when each rise between two scrapes began, the rises, and how much they are stretched in all."""
    first = -(-max(0.0, until - window) // scrape) * scrape
    if open_left() and first == until - window:
        first += scrape
    samples = [(at, counter(at)) for at in np.arange(first, until + 0.5, scrape)]
    seen = [(at, value) for at, value in samples if value is not None]
    if len(seen) < 2:
        return np.empty(0), np.empty(0), 1.0
    times, values = np.array(seen).T
    rises = np.diff(values)
    rises = np.where(rises < 0, values[1:], rises)
    result = float(rises.sum())
    sampled = times[-1] - times[0]
    step = sampled / (len(times) - 1)
    to_start, to_end = times[0] - (until - window), until - times[-1]
    if result > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * values[0] / result)
    covered = sampled
    covered += to_start if to_start < 1.1 * step else step / 2
    covered += to_end if to_end < 1.1 * step else step / 2
    return times[:-1], rises, float(covered / sampled)


@cache
def open_left() -> bool:
    """Say whether a range leaves out a sample exactly at its left end, as since Prometheus 3."""
    version = call("promtool", "--version")
    text = (version.stdout or version.stderr).split("version ")[1]
    return int(text.split(".")[0]) >= 3
