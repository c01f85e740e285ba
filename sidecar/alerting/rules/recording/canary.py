"""Recording rules for a candidate that serves beside the stable version of the same model: drift of one from the other.

Both count in the bins of one reference, so that their live counts can be compared bin by bin. The formulas are those of
the sidecar, with stable in the place of the reference: s are the counts of stable, M their sum; c those of the
candidate, N their sum; B the number of bins. Without a candidate there is no series at all.
"""

import json

from sidecar.alerting.rules import names
from sidecar.alerting.rules.duration import just_under
from sidecar.alerting.rules.names import BIN, KEY, MODEL, REFERENCE, Side
from sidecar.alerting.rules.recording.drift import floored, slice_matchers
from sidecar.alerting.rules.rule import Group, Record
from sidecar.alerting.rules.settings import Canary, Settings
from sidecar.base.duration import milliseconds
from sidecar.exposition import model_metrics
from sidecar.statistics.drift import FLOOR

SIDES: tuple[Side, ...] = ("candidate", "stable")

NORMAL_QUANTILE = "3.09"
"""Of 0.999: an excess of errors is exceeded by chance once in a thousand looks."""


def groups(settings: Settings) -> list[Group]:
    """Return the groups in the order in which one feeds the next."""
    return [*_slice_groups(settings), _drift_group(settings), _service_group(settings)]


def matcher(canary: Canary, side: Side) -> str:
    """Return the matcher of the pods of one side.

    >>> matcher(Canary(), "stable")
    'track=~"stable|primary"'
    """
    values = canary.candidate if side == "candidate" else canary.stable
    return f"{canary.label}=~{json.dumps(values, ensure_ascii=False)}"


def _slice_groups(settings: Settings) -> list[Group]:
    base, groups = settings.drift.windows[0], []
    present = f"{model_metrics.REFERENCE_INFO.name}{{{matcher(settings.canary, 'candidate')}}}"
    for number, slice_matcher in enumerate(slice_matchers(settings.drift.slices)):
        rules = []
        for side in SIDES:
            selectors = ", ".join(filter(None, (matcher(settings.canary, side), slice_matcher.strip("{}"))))
            counted = f"sum by ({BIN}) (\n  increase({model_metrics.BIN_OBSERVATIONS.name}{{{selectors}}}[{base}])\n)"
            only = "" if side == "candidate" else f"\nand on ({REFERENCE})\n  {present}"
            rules.append(
                Record(
                    record=names.side_bin_observations_slice(side, base),
                    labels={"slice": str(number)},
                    expr=counted + only,
                    comment="Only while there is a candidate with the same reference." if only else "",
                )
            )
        groups.append(Group(name=f"model-candidate-bins-{number}", interval=settings.drift.interval, rules=rules))
    return groups


def _drift_group(settings: Settings) -> Group:
    window, base = settings.canary.window, settings.drift.windows[0]
    counts = [record for side in SIDES for record in _counts(side, window, base, settings.drift.interval)]
    r, q = names.side_ratio("stable", window), names.side_ratio("candidate", window)
    enough = {side: f"({names.side_observations(side, window)} >= {settings.drift.min_samples})" for side in SIDES}
    half = f"0.5 * {names.BINS_COUNT}"
    psi = names.candidate_contribution(window)
    return Group(
        name="model-candidate-drift",
        interval=settings.drift.interval,
        rules=[
            *counts,
            Record(
                record=r,
                expr=(
                    f"{names.side_bin_observations('stable', window)}\n"
                    f"/ on ({KEY}) group_left () (\n"
                    f"    {enough['stable']}\n"
                    ")"
                ),
                comment=f"r = s / M, absent below {settings.drift.min_samples} samples.",
            ),
            Record(
                record=q,
                expr=(
                    "(\n"
                    f"    {names.side_bin_observations('candidate', window)}\n"
                    f"  + {r}\n"
                    f"    * on ({KEY}) group_left () ({half})\n"
                    ")\n"
                    f"/ on ({KEY}) group_left () (\n"
                    f"    {enough['candidate']}\n"
                    f"  + {half}\n"
                    ")"
                ),
                comment="q = (c + B/2 r) / (N + B/2)",
            ),
            Record(
                record=psi,
                expr=f"({floored(q)} - {floored(r)})\n* ln({floored(q)} / {floored(r)})",
                comment=f"(q - r) ln(q / r), a share below {FLOOR:g} counting as that.",
            ),
            Record(record=names.candidate_psi(window), expr=f"sum by ({KEY}) ({psi})"),
            Record(
                record=names.candidate_psi_threshold(window),
                expr=(
                    f"{names.SIGNIFICANCE} * on ({KEY}) (\n"
                    f"    1 / {enough['candidate']}\n"
                    f"  + on ({KEY}) (1 / {enough['stable']})\n"
                    ")"
                ),
                comment="The smallest PSI that means anything for two live samples: significance factor * (1/N + 1/M)",
            ),
        ],
    )


def _counts(side: Side, window: str, base: str, interval: str) -> list[Record]:
    counted = names.side_bin_observations(side, base)
    sliced = names.side_bin_observations_slice(side, base)
    zeros = (
        f"  0 * {names.REFERENCE_RATIO}\n"
        f"  and on ({KEY})\n    sum by ({KEY}) ({names.side_bin_observations_slice('candidate', base)})"
    )
    records = [
        Record(
            record=counted,
            expr=f"sum by ({BIN}) ({sliced})\nor\n{zeros}",
            comment=("c" if side == "candidate" else "s") + ", with the bins of the reference that nobody has seen.",
        )
    ]
    if window != base:
        overlap = milliseconds(base) // milliseconds(interval)
        records.append(
            Record(
                record=names.side_bin_observations(side, window),
                expr=f"sum_over_time({counted}[{just_under(window)}]) / {overlap}",
                comment=f"Overlapping counts, one each {interval}; every event is in {overlap} of them.",
            )
        )
    records.append(
        Record(
            record=names.side_observations(side, window),
            expr=f"sum by ({KEY}) ({names.side_bin_observations(side, window)})",
            comment="N" if side == "candidate" else "M",
        )
    )
    return records


def _service_group(settings: Settings) -> Group:
    window, least = settings.canary.window, settings.service.min_predictions
    rules = [record for side in SIDES for record in _service(side, settings)]
    n, m = (f"({names.side_predictions(side, window)} >= {least})" for side in SIDES)
    p, s = (names.side_error_ratio(side, window) for side in SIDES)
    timed = [f"{names.side_latency_count(side, window)} >= {least}" for side in SIDES]
    a, b = (names.side_latency_p95(side, window) for side in SIDES)
    rules += [
        Record(
            record=names.candidate_excess_errors(window),
            expr=f"{p}\n- {s}\nand\n  {n}\nand\n  {m}",
            comment=f"Absent below {least} predictions of either.",
        ),
        Record(
            record=names.candidate_excess_errors_threshold(window),
            expr=(
                f"{NORMAL_QUANTILE} * sqrt(\n"
                f"  ({p} * {n}\n   + {s} * {m}\n   + 0.5)\n"
                f"  / ({n} + {m} + 1)\n"
                f"  * (1 / {n} + 1 / {m})\n"
                ")"
            ),
            comment="What chance explains: the standard error of a difference of two shares, 3.09 times; p (1 - p) is "
            "taken as p, which errs towards silence.",
        ),
        Record(
            record=names.candidate_latency_ratio(window),
            expr=f"{a} / {b}\nand\n  {timed[0]}\nand\n  {timed[1]}",
        ),
    ]
    return Group(
        name="model-candidate-service",
        interval=settings.service.interval,
        comment="Errors and latency of candidate and stable.",
        rules=rules,
    )


def _service(side: Side, settings: Settings) -> list[Record]:
    window, pods = settings.canary.window, f"{{{matcher(settings.canary, side)}}}"
    predictions = names.side_predictions(side, window)
    return [
        Record(
            record=predictions,
            expr=f"sum by ({MODEL}) (increase({model_metrics.PREDICTIONS.name}{pods}[{window}]))",
        ),
        Record(
            record=names.side_error_ratio(side, window),
            expr=(
                f"sum by ({MODEL}) (increase({model_metrics.PREDICTION_ERRORS.name}{pods}[{window}]))\n"
                f"/\n  ({predictions} > 0)"
            ),
        ),
        Record(
            record=names.side_latency_count(side, window),
            expr=f"sum by ({MODEL}) (increase({model_metrics.LATENCY.name}_count{pods}[{window}]))",
        ),
        Record(
            record=names.side_latency_p95(side, window),
            expr=(
                "histogram_quantile(\n  0.95,\n"
                f"  sum by ({MODEL}, le) (rate({model_metrics.LATENCY.name}_bucket{pods}[{window}]))\n)"
            ),
        ),
    ]
