"""The table of drift statistics. What reports, metrics, rules, dashboards and people see of each follows from its line.

To add a statistic, write its formula in `sidecar.statistics.drift` and a line in STATISTICS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidecar.statistics import drift
from sidecar.statistics.bins import Floats, Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Bins of F features, live and of the reference, from which every statistic is computed.

    The bins lie end to end on the last axis, and feature `i` begins at `starts[i]`. `live` and `reference` are
    shares. `reference_counts` may be shares where only those are known. `present` is False for the bins of missing
    values, `numeric` (shape `(F,)`) tells numbers from categories. `samples` and `reference_samples` are the events
    behind the shares, `significance_factor` (shape `(F,)`) makes the smallest significant PSI of them.
    """

    counts: NDArray[np.int64]
    live: Floats
    reference: Floats
    reference_counts: NDArray[Any]
    starts: Indices
    present: NDArray[np.bool_]
    numeric: NDArray[np.bool_]
    samples: NDArray[np.int64]
    reference_samples: NDArray[Any]
    significance_factor: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """Describe one statistic of drift.

    `name` is its key in JSON, `title` its name for people, `unit` may be empty, and `words` say in half a sentence what
    it is. `formula` returns an array of shape `(..., F)`, NaN where there is no value. `metric` and `help` are those of
    the gauge of each replica.

    `record` is the middle and operation of the recording rule for the whole fleet, and `promql` its expression, in
    which `{live}` and `{reference}` stand for the shares of each bin, `{q}` and `{r}` for the same floored, and `{key}`
    for the labels of a feature (all are in `sidecar.alerting.rules.recording.drift`); `notation` explains it. Without a
    `record` there is no rule, and dashboards show the largest value of any replica.
    """

    name: str
    title: str
    words: str
    formula: Callable[[Compared], Floats]
    metric: str
    help: str
    unit: str = ""
    record: str = ""
    promql: str = ""
    notation: str = ""

    def __post_init__(self) -> None:
        if bool(self.record) != bool(self.promql):
            raise ValueError(f"{self.name}: a record needs its PromQL expression, and the expression a record")


def _ks(compared: Compared) -> Floats:
    found = drift.ks_statistic(compared.counts, compared.reference_counts, compared.starts, compared.present)
    return np.where(compared.numeric, found, np.nan)


PSI = Statistic(
    name="psi",
    title="PSI",
    words="Population stability index",
    formula=lambda c: drift.psi(c.live, c.reference, c.starts),
    metric="model_drift_psi",
    help="Population stability index of the window against the reference.",
    record="drift_psi:ratio",
    promql="sum by ({key}) ({contribution})",
)
"""The statistic by which drift has a level."""

THRESHOLD = Statistic(
    name="threshold",
    title="threshold",
    words="Smallest significant PSI",
    formula=lambda c: drift.psi_threshold(c.significance_factor, c.samples, c.reference_samples),
    metric="model_drift_psi_threshold",
    help="Smallest PSI that is significant for the samples in the window.",
    record="drift_psi_threshold:ratio",
    promql=(
        "{significance} * on ({key}) (\n"
        "    1 / {enough}\n"
        "  + on ({reference_key}) group_left () (1 / {reference_samples})\n"
        ")"
    ),
    notation="The smallest PSI that means anything: significance factor * (1/N + 1/M)",
)
"""The PSI that chance alone reaches; a level needs a larger one."""

STATISTICS: tuple[Statistic, ...] = (
    PSI,
    Statistic(
        name="kl",
        title="KL",
        words="Kullback-Leibler in nats (weights what became common)",
        formula=lambda c: drift.kl_divergence(c.live, c.reference, c.starts),
        metric="model_drift_kl_divergence",
        help="Kullback-Leibler divergence of the window from the reference, in nats.",
        unit="nats",
        record="drift_kl_divergence:nats",
        promql="sum by ({key}) (\n    {q}\n  * ln({q} / {r})\n  - {q}\n  + {r}\n)",
        notation="sum (q ln(q / r) - q + r)",
    ),
    Statistic(
        name="js",
        title="JS",
        words="Jensen-Shannon in bits (0 to 1)",
        formula=lambda c: drift.js_divergence(c.live, c.reference, c.starts),
        metric="model_drift_js_divergence",
        help="Jensen-Shannon divergence, base 2, between 0 and 1.",
        unit="bits",
        record="drift_js_divergence:bits",
        promql=(
            "0.5 * sum by ({key}) (\n"
            "    {q}\n"
            "    * log2(2 * {q} / ({q} + {r}))\n"
            "  + {r}\n"
            "    * log2(2 * {r} / ({q} + {r}))\n"
            ")"
        ),
        notation="Half of sum q log2(q / m) + sum r log2(r / m), m = (q + r) / 2",
    ),
    Statistic(
        name="ks",
        title="KS",
        words="Kolmogorov-Smirnov (0 to 1, numeric features only, the largest of any replica)",
        formula=_ks,
        metric="model_drift_ks_statistic",
        help="Largest difference of the cumulative shares at the bin edges, numeric features only, missing left out.",
    ),
    THRESHOLD,
)
"""Every statistic, in the order of reports, metrics and rules."""


def other_statistics() -> list[Statistic]:
    """Return the statistics that describe drift and decide nothing: all but the PSI and its threshold."""
    return [statistic for statistic in STATISTICS if statistic not in (PSI, THRESHOLD)]
