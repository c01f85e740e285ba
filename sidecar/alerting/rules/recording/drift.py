"""Recording rules for drift of the whole fleet: sum the bins of all replicas, then apply the formulas to the
sum.

An average of the replicas' own PSI would be another number. The formulas are those of the sidecar; r is the
share of the reference, c the live counts, N their sum, B the number of bins, M the rows behind the reference.

A reference by season is another one each hour. What it expects of the events that came is a counter of every replica,
and is added up as the events are: so r of a window is weighted by the hours in which its events came, on whichever
replica. A model without a season has no such series, and r and M are those of the whole reference.
"""

from collections.abc import Callable

from sidecar.alerting.rules import names
from sidecar.alerting.rules.duration import just_under
from sidecar.alerting.rules.names import BIN, KEY, REFERENCE
from sidecar.alerting.rules.rule import Group, Record
from sidecar.alerting.rules.settings import Drift
from sidecar.base.duration import milliseconds
from sidecar.exposition import model_metrics
from sidecar.statistics.drift import FLOOR
from sidecar.statistics.drift_table import STATISTICS

TOLERANCE = "1e-3"
"""How far the shares of a reference may be from 1; beyond it, replicas disagree."""

_LAST_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def groups(drift: Drift) -> list[Group]:
    """Return the groups in the order in which one feeds the next."""
    return [
        *_slice_groups(drift),
        _reference_group(drift),
        *(_window_group(window, drift) for window in drift.windows),
    ]


def slice_matchers(count: int) -> list[str]:
    """Return matchers that put each replica into one slice, by the last character of its address before the
    port.

    >>> slice_matchers(1)
    ['']
    >>> slice_matchers(2)[1]
    '{instance!~"[^:]*[02468acegikmoqsuwy](:[0-9]+)?"}'
    """
    classes = [_LAST_CHARACTERS[number::count] for number in range(count - 1)]
    if not classes:
        return [""]
    positive = [f'{{instance=~"[^:]*[{characters}](:[0-9]+)?"}}' for characters in classes]
    return [*positive, f'{{instance!~"[^:]*[{"".join(sorted("".join(classes)))}](:[0-9]+)?"}}']


def _reference_group(drift: Drift) -> Group:
    any_, ratio = names.REFERENCE_ANY, names.REFERENCE_RATIO
    return Group(
        name="model-drift-reference",
        interval=drift.interval,
        comment="What live traffic is compared with. One series for each bin, whatever the number of replicas.",
        rules=[
            Record(
                record=names.REFERENCE_RANGE,
                expr=f"max by ({BIN}, range) ({names.REFERENCE_SLICE})",
                comment="With the range that people read.",
            ),
            Record(record=any_, expr=f"max by ({BIN}) ({names.REFERENCE_RANGE})"),
            Record(
                record=ratio,
                expr=(f"{any_}\nand on ({KEY})\n  abs(sum by ({KEY}) ({any_}) - 1) < {TOLERANCE}"),
                comment="r. A feature whose shares do not add up to 1 is left out: its replicas disagree, or "
                "a part of "
                "the reference is missing, and any drift would be an artefact.",
            ),
            Record(record=names.BINS_COUNT, expr=f"count by ({KEY}) ({ratio})", comment="B"),
            Record(
                record=names.SIGNIFICANCE,
                expr=f"max by ({KEY}) ({model_metrics.SIGNIFICANCE_FACTOR.name})",
            ),
            Record(
                record=names.REFERENCE_SAMPLES,
                expr=f"max by ({REFERENCE}) ({model_metrics.REFERENCE_SAMPLES.name})",
            ),
            Record(
                record=names.SEASON_SAMPLES,
                expr=f"clamp_min(max by ({REFERENCE}) ({model_metrics.REFERENCE_SEASON_SAMPLES.name}), 1)",
                comment="Rows for the hour of now, at least 1. Only for references by season.",
            ),
        ],
    )


def _slice_groups(drift: Drift) -> list[Group]:
    window, groups = drift.windows[0], []
    for number, matcher in enumerate(slice_matchers(drift.slices)):
        labels = {"slice": str(number)}
        counts, expected = (
            Record(
                record=record,
                labels=labels,
                expr=f"sum by ({BIN}) (\n  increase({metric.name}{matcher}[{window}])\n)",
                comment=comment,
            )
            for record, metric, comment in (
                (
                    names.bin_observations_slice(window),
                    model_metrics.BIN_OBSERVATIONS,
                    "Increase before sum, so that a restart of one replica is seen as such.",
                ),
                (names.bin_expected_slice(window), model_metrics.BIN_EXPECTED_OBSERVATIONS, ""),
            )
        )
        shares = Record(
            record=names.REFERENCE_SLICE,
            labels=labels,
            expr=f"max by ({BIN}, range) (\n  {model_metrics.BIN_REFERENCE_RATIO.name}{matcher}\n)",
        )
        groups.append(
            Group(name=f"model-drift-bins-{number}", interval=drift.interval, rules=[counts, expected, shares])
        )
    return groups


def _window_group(window: str, drift: Drift) -> Group:
    return Group(
        name=f"model-drift-{window}",
        interval=drift.interval,
        rules=[*_counts(window, drift), *_compared(window, drift), *_drift(window, drift)],
    )


def _counts(window: str, drift: Drift) -> list[Record]:
    comment = "c. A bin that nobody has seen is 0, not absent: it counts as much as the others."
    if window != drift.windows[0]:
        interval, count = drift.interval, milliseconds(window) // milliseconds(drift.interval)
        comment = (
            f"c. The sum of {count} overlapping counts, one each {interval}; every event is in {_overlap(drift)} of "
            f"them. The range is a hair short of {window} so that it holds {count} samples whether or not its left "
            "end is part of it."
        )
    counted = _added_up(names.bin_observations, names.bin_observations_slice, window, drift)
    return [
        Record(
            record=names.bin_observations(window),
            expr=f"{counted}\nor\n  0 * {names.REFERENCE_RATIO}",
            comment=comment,
        ),
        Record(
            record=names.observations(window),
            expr=f"sum by ({KEY}) ({names.bin_observations(window)})",
            comment="N",
        ),
    ]


def _compared(window: str, drift: Drift) -> list[Record]:
    """Return the records of what a window is compared with: by season where there is one, else as a whole."""
    expected = names.bin_expected(window)
    return [
        Record(
            record=expected,
            expr=_added_up(names.bin_expected, names.bin_expected_slice, window, drift),
            comment="What the reference expects of these events, by the hours in which they came.",
        ),
        Record(
            record=names.reference_ratio(window),
            expr=(
                f"{expected}\n"
                f"/ on ({KEY}) group_left () (\n"
                f"    sum by ({KEY}) ({expected}) > 0\n"
                "  and\n"
                f"    count by ({KEY}) ({expected}) == {names.BINS_COUNT}\n"
                ")\n"
                "or\n"
                f"  {names.REFERENCE_RATIO}\n"
                f"  unless on ({REFERENCE}) {names.SEASON_SAMPLES}"
            ),
            comment="r of this window. By season: the shares expected, where all bins of a valid reference are there; "
            "never the whole instead, which would take each night for drift.",
        ),
        Record(
            record=names.reference_samples(window),
            expr=f"{_season_rows(window, drift)}\n< {names.REFERENCE_SAMPLES}\nor\n  {names.REFERENCE_SAMPLES}",
            comment="M. By season: the rows of the hours of this window, at most all. Exact where events come as the "
            "reference's rows do over the day, else high; low where the window is of an hour or less and spans two.",
        ),
    ]


def _season_rows(window: str, drift: Drift) -> str:
    """Add up the rows of each hour, as long as there was one; of less than an hour take the mean."""
    hour, over = milliseconds("1h"), f"over_time({names.SEASON_SAMPLES}[{just_under(window)}])"
    if milliseconds(window) <= hour:
        return f"avg_{over}"
    return f"sum_{over} / {hour / milliseconds(drift.interval):.12g}"


def _added_up(record: Callable[[str], str], sliced: Callable[[str], str], window: str, drift: Drift) -> str:
    """Add up slices for the shortest window, and what that records for a longer one."""
    base = drift.windows[0]
    if window == base:
        return f"sum by ({BIN}) ({sliced(base)})"
    return f"sum_over_time({record(base)}[{just_under(window)}]) / {_overlap(drift)}"


def _overlap(drift: Drift) -> int:
    return milliseconds(drift.windows[0]) // milliseconds(drift.interval)


def floored(ratio: str) -> str:
    """Return what statistics take for a share: at least the floor."""
    return f"clamp_min({ratio}, {FLOOR:g})"


def _drift(window: str, drift: Drift) -> list[Record]:
    live, reference = names.live_ratio(window), names.reference_ratio(window)
    q, r = floored(live), floored(reference)
    enough = f"({names.observations(window)} >= {drift.min_samples})"
    half = f"0.5 * {names.BINS_COUNT}"
    return [
        Record(
            record=live,
            expr=(
                "(\n"
                f"    {names.bin_observations(window)}\n"
                f"  + {reference}\n"
                f"    * on ({KEY}) group_left () ({half})\n"
                ")\n"
                f"/ on ({KEY}) group_left () (\n"
                f"    {enough}\n"
                f"  + {half}\n"
                ")"
            ),
            comment=f"q = (c + B/2 r) / (N + B/2), absent below {drift.min_samples} samples.",
        ),
        Record(
            record=names.contribution(window),
            expr=f"({q} - {r})\n* ln({q} / {r})",
            comment=f"What each bin adds: (q - r) ln(q / r), a share below {FLOOR:g} counting as that.",
        ),
        *_statistics(window, enough),
        Record(
            record=names.top_contribution(window),
            expr=(
                f"topk by ({KEY}) ({drift.top_bins}, {names.contribution(window)})\n"
                f"* on ({BIN}) group_left (range)\n"
                f"  topk by ({BIN}) (1, {names.REFERENCE_RANGE} > bool 0)"
            ),
            comment=f"The {drift.top_bins} bins that add most, with the range that people read.",
        ),
    ]


def _statistics(window: str, enough: str) -> list[Record]:
    """Return the records of the statistics that the table has an expression for."""
    terms = {
        "key": KEY,
        "reference_key": REFERENCE,
        "live": names.live_ratio(window),
        "reference": names.reference_ratio(window),
        "q": floored(names.live_ratio(window)),
        "r": floored(names.reference_ratio(window)),
        "contribution": names.contribution(window),
        "significance": names.SIGNIFICANCE,
        "reference_samples": names.reference_samples(window),
        "enough": enough,
    }
    return [
        Record(
            record=names.statistic(statistic, window),
            expr=statistic.promql.format_map(terms),
            comment=statistic.notation,
        )
        for statistic in STATISTICS
        if statistic.record
    ]
