"""A made-up fleet of replicas and, in NumPy, what the drift records must say about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

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
    feature: str = "amount"
    track: str = ""
    """Value of the target label by which a candidate is told from the stable version."""

    def counter(self, index: int, at: float) -> float | None:
        """Return a bin's counter at a time, or None while the replica is away."""
        if not self.born <= at < self.dies or index in self.unseen:
            return None
        since = max([self.born, *(restart for restart in self.restarts if restart <= at)])
        return self.events(index, since, at)

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


def smoothed_reference(counts: Floats) -> Floats:
    """Return r."""
    return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * counts.size))


def input_series(replicas: Sequence[Replica], *, scrape: int, minutes: int) -> dict[str, str]:
    """Return every series of the fleet as promtool writes them."""
    times = range(0, minutes * 60 + 1, scrape)
    series = {}
    for number, replica in enumerate(replicas):
        counts = REFERENCE_COUNTS if replica.reference_counts is None else replica.reference_counts
        place = f'namespace="prod",job="model-sidecar",instance="pod-{number}",model="fraud"'
        place += f',track="{replica.track}"' if replica.track else ""
        model = f'{place},reference="{replica.reference}"'
        key = f'{model},role="input",feature="{replica.feature}"'
        alive = [replica.born <= at < replica.dies for at in times]
        series[f"model_reference_samples{{{model}}}"] = _constant(counts.sum(), alive)
        series[f'model_reference_info{{{model},source="file",model_version="1"}}'] = _constant(1, alive)
        series[f"model_drift_significance_factor{{{key}}}"] = _constant(SIGNIFICANCE, alive)
        for index, (name, ratio) in enumerate(zip(BIN_NAMES, smoothed_reference(counts), strict=True)):
            labels = f'{key},bin="{name}",range="range {name}"'
            series[f"model_bin_reference_ratio{{{labels}}}"] = _constant(ratio, alive)
            values = [replica.counter(index, at) for at in times]
            if any(value is not None for value in values):
                series[f"model_bin_observations_total{{{labels}}}"] = " ".join(
                    "_" if value is None else repr(float(value)) for value in values
                )
    return series


def recorded_counts(replicas: Sequence[Replica], *, scrape: int, minute: int, window: int, base: int = 5) -> Floats:
    """Return c as recorded at a minute: the base increases of the last `window` minutes, each event once."""
    evaluations = range(max(0, minute - window + 1), minute + 1) if window > base else [minute]
    total = np.zeros(len(BIN_NAMES))
    for at in evaluations:
        for replica in replicas:
            for index in range(len(BIN_NAMES)):
                total[index] += _increase(replica, index, at * 60, base * 60, scrape)
    return total / base if window > base else total


def true_counts(replicas: Sequence[Replica], *, since: float, until: float) -> Floats:
    """Return the events that the fleet has really had."""
    return np.array(
        [sum(replica.events(index, since, until) for replica in replicas) for index in range(len(BIN_NAMES))]
    )


def statistics(counts: Floats, reference_counts: Floats = REFERENCE_COUNTS) -> dict[str, float]:
    """Return PSI, KL, JS and the threshold of significance by their definitions."""
    reference, total, bins = smoothed_reference(reference_counts), float(counts.sum()), counts.size
    live = (counts + 0.5 * bins * reference) / (total + 0.5 * bins)
    middle = (live + reference) / 2
    return {
        "drift_psi:ratio": float(np.sum((live - reference) * np.log(live / reference))),
        "drift_kl_divergence:nats": float(np.sum(live * np.log(live / reference))),
        "drift_js_divergence:bits": float(
            np.sum(live * np.log2(live / middle) + reference * np.log2(reference / middle)) / 2
        ),
        "drift_psi_threshold:ratio": SIGNIFICANCE * (1 / total + 1 / float(reference_counts.sum())),
        "observations:increase": total,
    }


def contributions(counts: Floats) -> Floats:
    """Return what each bin adds to PSI."""
    reference, bins = smoothed_reference(REFERENCE_COUNTS), counts.size
    live = (counts + 0.5 * bins * reference) / (counts.sum() + 0.5 * bins)
    return np.asarray((live - reference) * np.log(live / reference))


def _constant(value: float, alive: Sequence[bool]) -> str:
    return " ".join(repr(float(value)) if here else "_" for here in alive)


def _increase(replica: Replica, index: int, until: float, window: float, scrape: int) -> float:
    """Do as `increase` does: add up rises, take a fall for a restart, stretch to the window's edges."""
    first = -(-max(0.0, until - window) // scrape) * scrape
    if _open_left() and first == until - window:
        first += scrape
    samples = [(at, replica.counter(index, at)) for at in np.arange(first, until + 0.5, scrape)]
    seen = [(at, value) for at, value in samples if value is not None]
    if len(seen) < 2:
        return 0.0
    times, values = np.array(seen).T
    rises = np.diff(values)
    result = float(np.sum(np.where(rises < 0, values[1:], rises)))
    sampled = times[-1] - times[0]
    step = sampled / (len(times) - 1)
    to_start, to_end = times[0] - (until - window), until - times[-1]
    if result > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * values[0] / result)
    covered = sampled
    covered += to_start if to_start < 1.1 * step else step / 2
    covered += to_end if to_end < 1.1 * step else step / 2
    return float(result * covered / sampled)


@cache
def _open_left() -> bool:
    """Say whether a range leaves out a sample exactly at its left end, as since Prometheus 3."""
    version = call("promtool", "--version")
    text = (version.stdout or version.stderr).split("version ")[1]
    return int(text.split(".")[0]) >= 3
