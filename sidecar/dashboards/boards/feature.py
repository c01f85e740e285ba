"""Feature detail: what moved in one feature, and whether it means anything."""

from string import ascii_uppercase

from grafana_foundation_sdk.builders import timeseries as lines_build

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import links, look, promql
from sidecar.dashboards.board import Board, Section
from sidecar.dashboards.links import FEATURE
from sidecar.dashboards.panels import About, Placed, bars, cells, lines, number
from sidecar.dashboards.promql import ONE_FEATURE, WINDOW, Query, pick, with_range
from sidecar.dashboards.variables import one_feature, window
from sidecar.exposition import model_metrics
from sidecar.statistics.drift_table import other_statistics

_RAW = 'namespace=~"$namespace", model="$model", role="$role", feature="$feature"'
"""The feature in series of replicas that have no label for the reference."""
_WINDOWED = 'window="$window"'
_KEY = "namespace, model, role, feature"


def board(settings: Settings) -> Board:
    """Return the dashboard."""
    return Board(
        uid=FEATURE,
        description="One feature of one model: its distribution against the reference, which bins moved, what is "
        "missing or was never seen before, and how sure that is.",
        variables=[*one_feature(), window(settings.drift)],
        marks='model_namespace=~"$namespace", model="$model"',
        sections=[_now(settings), _bins(), _over_time(settings), _replicas(settings)],
    )


def _now(settings: Settings) -> Section:
    level = About(
        title="Level",
        description="The level of this feature, by PSI and only if chance does not explain it.",
        steps=look.LEVEL_STEPS,
        mappings=look.level_words,
        runbooks=links.runbook(settings.links, "CriticalDataDrift", "CriticalPredictionDrift"),
        no_value="too few events",
    )
    psi = About(
        title="PSI",
        description="Population stability index of live traffic against the reference, all replicas together.",
        steps=look.psi_steps(settings.drift.thresholds),
        decimals=3,
        no_value="too few events",
    )
    least = About(
        title="Smallest PSI that means anything",
        description="What chance alone would exceed once in a thousand times, for the events at hand. A PSI below "
        "is no drift, whatever its size.",
        decimals=3,
        no_value="too few events",
    )
    samples = About(
        title="Events",
        description=f"Live events that are compared. Below {settings.drift.min_samples} there is no PSI.",
        steps=look.at_least(settings.drift.min_samples),
    )
    reference = About(
        title="Rows behind the reference",
        description="How many rows of the reference these events are compared with: all, or those of the same hours "
        "where it is one by season.",
    )
    of_model = 'namespace=~"$namespace", model="$model", reference=~"$reference"'
    of_pods = pick(names.REFERENCE_SAMPLES, of_model)  # all there is with the variant of the rules for pod gauges
    rows = f"{pick(names.reference_samples(WINDOW), of_model)} or {of_pods}"
    numbers = [
        (level, f"max({promql.level(ONE_FEATURE, settings.drift.thresholds)})", 4),
        (psi, f"max({pick(names.psi(WINDOW), ONE_FEATURE)})", 5),
        (least, f"max({pick(names.psi_threshold(WINDOW), ONE_FEATURE)})", 5),
        (samples, f"max({pick(names.observations(WINDOW), ONE_FEATURE)})", 5),
        (reference, f"max({rows})", 5),
    ]
    return Section(
        title="$feature of $model, over $window",
        lines=[
            [
                Placed(panel=number(about, Query(e, form="instant")), width=width, height=4)
                for about, e, width in numbers
            ]
        ],
    )


def _bins() -> Section:
    by_bin = "namespace, reference, bin, range"
    known = f"sum by ({by_bin}) (\n{with_range(pick(names.reference_ratio(WINDOW), ONE_FEATURE), ONE_FEATURE)}\n)"
    live = f"sum by ({by_bin}) (\n{with_range(pick(names.live_ratio(WINDOW), ONE_FEATURE), ONE_FEATURE)}\n)"
    part = with_range(pick(names.contribution(WINDOW), ONE_FEATURE), ONE_FEATURE)
    distribution = About(
        title="Reference and live, by bin",
        description="The share of events in each bin: in the reference, and live over the window. A reference by "
        "season is shown as it is in the hours of these events. Two references, or namespaces, have a set of bins "
        "each; choose one above.",
        unit="percentunit",
        no_value="too few events",
    )
    contribution = About(
        title="What each bin adds to PSI",
        description="PSI is the sum of these. One tall bar: a value or a range that came or went, such as a "
        "constant, nulls or a changed unit. Many small ones: the whole distribution moved.",
        decimals=3,
        no_value="too few events",
    )
    return Section(
        title="Distribution",
        lines=[
            [
                Placed(
                    width=14,
                    height=11,
                    panel=bars(
                        distribution,
                        "range",
                        {"Reference": Query(known, form="table"), "Live": Query(live, form="table")},
                        colours=(look.REFERENCE, look.LIVE),
                        keep=("namespace", "reference", "bin"),
                        sort="bin",
                    ),
                ),
                Placed(
                    width=10,
                    height=11,
                    panel=bars(
                        contribution,
                        "range",
                        {"Contribution to PSI": Query(f"sum by ({by_bin}) (\n{part}\n)", form="table")},
                        colours=(look.LIVE,),
                        keep=("namespace", "reference", "bin"),
                        sort="bin",
                    ),
                ),
            ]
        ],
    )


def _over_time(settings: Settings) -> Section:
    top = About(
        title="Bins that add most to PSI",
        description=f"The {settings.drift.top_bins} bins that added most at each moment.",
        decimals=3,
    )
    samples = About(
        title="Events in the window",
        description=f"Live events that are compared; dashed: {settings.drift.min_samples}, below which there is no "
        "PSI.",
        steps=look.at_least(settings.drift.min_samples),
    )
    top_bins = Query(pick(names.top_contribution(WINDOW), ONE_FEATURE), "{{range}}")
    events = Query(pick(names.observations(WINDOW), ONE_FEATURE), "events against {{reference}}")
    return Section(
        title="Over time",
        lines=[
            [
                Placed(width=12, panel=_psi_over_time(settings)),
                Placed(width=12, panel=_other_statistics()),
            ],
            [
                Placed(width=8, panel=_missing_and_unseen()),
                Placed(width=8, panel=lines(top, top_bins, least=None)),
                Placed(width=8, panel=lines(samples, events, show_limits=True)),
            ],
        ],
    )


def _psi_over_time(settings: Settings) -> lines_build.Panel:
    about = About(
        title="PSI, with the smallest that means anything",
        description="PSI over the window; above the dashed line chance does not explain it. The shortest window "
        "shows first that drift has begun or ended. Thin dashed lines: where levels begin.",
        steps=look.psi_steps(settings.drift.thresholds),
        decimals=3,
        runbooks=links.runbook(settings.links, *(f"{level}DataDrift" for level in links.DRIFT_ALERTS)),
    )
    first = settings.drift.windows[0]
    return lines(
        about,
        Query(pick(names.psi(WINDOW), ONE_FEATURE), "PSI of {{reference}}"),
        Query(pick(names.psi_threshold(WINDOW), ONE_FEATURE), "smallest of {{reference}}"),
        Query(pick(names.psi(first), ONE_FEATURE), f"PSI over {first} of {{{{reference}}}}"),
        show_limits=True,
        colours=(look.LIVE, look.LIMIT, look.REFERENCE),
        dashed=("B",),
    )


def _missing_and_unseen() -> lines_build.Panel:
    about = About(
        title="Missing and unseen",
        description="The share of events without a value, live and in the reference, and the share of values never "
        "seen before: categories that the reference does not list, or numbers outside of its smallest and largest.",
        unit="percentunit",
        decimals=2,
    )
    absent, other = 'bin="missing"', 'bin="other"'
    listed = f"sum by ({_KEY}) ({pick(names.live_ratio(WINDOW), ONE_FEATURE, other)})"
    outside = f"sum by ({_KEY}) (rate({pick(model_metrics.OUT_OF_RANGE.name, _RAW)}[$__rate_interval]))"
    counted = f"sum by ({_KEY}) (rate({pick(model_metrics.BIN_OBSERVATIONS.name, _RAW)}[$__rate_interval]))"
    return lines(
        about,
        Query(pick(names.live_ratio(WINDOW), ONE_FEATURE, absent), "missing, live"),
        Query(pick(names.reference_ratio(WINDOW), ONE_FEATURE, absent), "missing, reference"),
        Query(f"{listed}\nor\n{outside} / ({counted} > 0)", "unseen values of {{feature}}"),
        colours=(look.LIVE, look.REFERENCE, look.LIMIT),
        dashed=("B",),
        most=1,
    )


def _other_statistics() -> lines_build.Panel:
    """Show the statistics that decide nothing; those without a record, which are of one replica, dashed."""
    statistics = other_statistics()
    titles = [statistic.title for statistic in statistics]
    about = About(
        title=f"{', '.join(titles[:-1])} and {titles[-1]}",
        description=f"Other measures of the same. {', '.join(statistic.words for statistic in statistics)}.",
        decimals=3,
    )
    queries, dashed = [], []
    for letter, statistic in zip(ascii_uppercase, statistics, strict=False):
        unit = f" ({statistic.unit})" if statistic.unit else ""
        if statistic.record:
            found, of = pick(names.statistic(statistic, WINDOW), ONE_FEATURE), "reference"
        else:
            found, of = f"max by ({_KEY}) ({pick(statistic.metric, _RAW, _WINDOWED)})", "feature"
            dashed.append(letter)
        queries.append(Query(found, f"{statistic.title}{unit} of {{{{{of}}}}}"))
    return lines(about, *queries, colours=look.SERIES[: len(queries)], dashed=tuple(dashed))


def _replicas(settings: Settings) -> Section:
    psi = About(
        title="PSI of each replica",
        description="What each replica says of its own traffic. All alike: the traffic moved. One apart: look at "
        "that replica and its callers.",
        decimals=3,
        steps=look.psi_steps(settings.drift.thresholds),
    )
    events = About(
        title="Events of each replica",
        description="How many events each replica counts, so that one that gets none or all of them is seen.",
        unit="eps",
    )
    own = pick(model_metrics.DRIFT["psi"].name, _RAW, _WINDOWED)
    counted = f"sum by (instance) (rate({pick(model_metrics.BIN_OBSERVATIONS.name, _RAW)}[$__rate_interval]))"
    return Section(
        title="Replicas",
        lines=[
            [
                Placed(panel=cells(psi, Query(f"max by (instance) ({own})", "{{instance}}")), width=12),
                Placed(panel=lines(events, Query(counted, "{{instance}}")), width=12),
            ]
        ],
    )
