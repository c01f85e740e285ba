"""Queries: their text, how they are asked, and what narrows them to the variables of a dashboard."""

from dataclasses import dataclass
from typing import Literal

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Thresholds

WINDOW = "${window}"
"""The variable for the window of the records; braces, as it stands inside names."""

Form = Literal["range", "instant", "table", "heatmap"]


@dataclass(frozen=True, slots=True)
class Query:
    """A query, the legend of its series, and whether it is asked for the whole range or for now.

    `table` and `instant` are asked for now; the former gives a row for each series, with its labels.
    """

    expr: str
    legend: str = ""
    form: Form = "range"


MODELS = 'namespace=~"$namespace", model=~"$model"'
"""Narrows to namespaces and models, of which there may be several or all."""

SIDECARS = 'namespace=~"$namespace", job=~"$job"'
"""Narrows to the processes that a scrape job finds."""

FEATURES = f'{MODELS}, feature=~"$feature"'

ONE_FEATURE = 'namespace=~"$namespace", model="$model", role="$role", feature="$feature", reference=~"$reference"'
"""Narrows to the one feature of Feature detail. A variable of one value is compared as it is: only those of several
values are written by Grafana as regular expressions."""

BIN_KEY = names.BIN


def pick(metric: str, *selectors: str) -> str:
    """Select series of a metric or record."""
    return f"{metric}{{{', '.join(selectors)}}}"


def level(selector: str, thresholds: Thresholds, *, window: str = WINDOW) -> str:
    """Return the level of each feature as a number: 0 none, 1 moderate, 2 significant, 3 critical, 4 rollback.

    It is 0 unless PSI exceeds what chance explains, and absent without enough samples, as in the alerts.
    """
    psi = pick(names.psi(window), selector)
    least = pick(names.psi_threshold(window), selector)
    return (
        "(\n"
        f"    ({psi} >= bool {thresholds.moderate:g})\n"
        f"  + ({psi} >= bool {thresholds.significant:g})\n"
        f"  + ({psi} > bool {thresholds.critical:g})\n"
        f"  + ({psi} > bool {thresholds.rollback:g})\n"
        ")\n"
        f"* ({psi} > bool {least})"
    )


def with_range(expr: str, selector: str) -> str:
    """Add to series by bin the range that the bin holds, for people."""
    known = pick(names.REFERENCE_RANGE, selector)
    return f"{expr}\n* on ({BIN_KEY}) group_left (range)\n  topk by ({BIN_KEY}) (1, {known} > bool 0)"
