"""The drift records once more, from the gauges of each replica, for sites that do not store the bin counters.

PSI, KL and JS are convex in the live shares, so the mean over replicas, weighted by their samples, is never
less than drift of the fleet: it errs towards alarm. The threshold is weighted the same way.
"""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.names import KEY, REFERENCE
from sidecar.alerting.rules.rule import Group, Record
from sidecar.alerting.rules.settings import Drift
from sidecar.exposition import model_metrics
from sidecar.statistics.drift_table import STATISTICS

_REPLICA = "namespace, job, instance, model"


def groups(drift: Drift) -> list[Group]:
    """Return one group a window, with the record names that alerts and dashboards read."""
    return [
        Group(
            name="model-drift-pod-gauges",
            interval=drift.interval,
            rules=[
                Record(
                    record=names.REFERENCE_SAMPLES,
                    expr=f"max by ({REFERENCE}) ({model_metrics.REFERENCE_SAMPLES.name})",
                )
            ],
        ),
        *(_window_group(window, drift) for window in drift.windows),
    ]


def _window_group(window: str, drift: Drift) -> Group:
    which = f'{{window="{window}"}}'
    samples = f"{model_metrics.WINDOW_SAMPLES.name}{which}"
    seen = names.observations(window)
    return Group(
        name=f"model-drift-pod-gauges-{window}",
        interval=drift.interval,
        rules=[
            Record(record=seen, expr=f"sum by ({KEY}) (\n{_with_reference(samples)}\n)"),
            *(
                Record(
                    record=names.statistic(statistic, window),
                    expr=(
                        f"sum by ({KEY}) (\n{_with_reference(f'{statistic.metric}{which} * {samples}')}\n)\n"
                        "/\n"
                        f"sum by ({KEY}) (\n{_with_reference(f'{samples} and {statistic.metric}{which}')}\n)"
                    ),
                )
                for statistic in STATISTICS
                if statistic.record
            ),
        ],
    )


def _with_reference(expr: str) -> str:
    return f"  ({expr})\n  * on ({_REPLICA}) group_left (reference)\n    {model_metrics.REFERENCE_INFO.name}"
