"""Drift overview: which models have moved, how far, in which features, and since when."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import links, look, promql
from sidecar.dashboards.board import Board, Section
from sidecar.dashboards.links import DRIFT, SERVICE
from sidecar.dashboards.panels import About, Column, Placed, cells, lines, number, rows, states
from sidecar.dashboards.promql import FEATURES, MODELS, WINDOW, Query, pick
from sidecar.dashboards.variables import features, models, namespaces, window

FIRING = f'ALERTS{{alertstate="firing", {MODELS}}}'
_MODEL = "by (namespace, model)"
_KEYS = "namespace, model, role, feature"
_NAMED = "{{namespace}} {{model}} {{feature}}"


def board(settings: Settings) -> Board:
    """Return the dashboard."""
    return Board(
        uid=DRIFT,
        description="Which models have moved away from their references, how far, in which features and since when. "
        "All replicas of a model are counted together.",
        variables=[namespaces(), models(), features(), window(settings.drift)],
        marks='model_namespace=~"$namespace", model=~"$model"',
        sections=[_now(settings), _over_time(settings), _which(settings), _candidate(settings)],
    )


def _now(settings: Settings) -> Section:
    level = promql.level(FEATURES, settings.drift.thresholds)
    psi = pick(names.psi(WINDOW), FEATURES)
    worst = About(
        title="Worst level",
        description="The worst level of any feature shown. A level above none needs a PSI that chance does not "
        "explain. No data means that no window holds enough events to tell.",
        steps=look.LEVEL_STEPS,
        mappings=look.level_words,
        runbooks=links.runbook(settings.links, "CriticalDataDrift", "RollbackDataDrift"),
    )
    beyond = About(
        title="Features with drift",
        description="How many features have any level above none.",
        steps=look.limit(1),
    )
    compared = About(
        title="Features compared",
        description=f"How many features have at least {settings.drift.min_samples} events in the window, and so a PSI.",
    )
    firing = About(
        title="Alerts firing",
        description="Alerts of these models that fire, of any kind.",
        steps=look.limit(1),
    )
    numbers = [
        (worst, f"max({level})"),
        (beyond, f"count(({level}) > 0) or vector(0)"),
        (compared, f"count({psi}) or vector(0)"),
        (firing, f"count({FIRING}) or vector(0)"),
    ]
    stats = [Placed(panel=number(about, Query(expr, form="instant")), width=6, height=4) for about, expr in numbers]
    return Section(title="Now", lines=[stats, [_models(settings, level, psi), _alerts(settings)]])


def _models(settings: Settings, level: str, psi: str) -> Placed:
    about = About(
        title="Models, worst first",
        description="For each model: its worst level, how many features have moved, the largest PSI of an input and "
        "of an output, and events in the window.",
    )
    inputs, outputs = (pick(names.psi(WINDOW), FEATURES, f'role="{role}"') for role in ("input", "output"))
    to = [links.model_of_row(DRIFT), links.model_of_row(SERVICE)]
    steps = look.psi_steps(settings.drift.thresholds)
    return Placed(
        width=14,
        panel=rows(
            about,
            [
                Column(of="namespace", title="Namespace"),
                Column(of="model", title="Model", links=to),
                Column(of="#A", title="Level", steps=look.LEVEL_STEPS, mappings=look.level_words, width=110),
                Column(of="#B", title="Features with drift", unit="short"),
                Column(of="#C", title="Largest PSI, inputs", decimals=3, steps=steps),
                Column(of="#D", title="Largest PSI, outputs", decimals=3, steps=steps),
                Column(of="#E", title="Events", unit="short", decimals=1),
            ],
            Query(f"max {_MODEL} ({level})", form="table"),
            Query(f"sum {_MODEL} (({level}) > bool 0)", form="table"),
            Query(f"max {_MODEL} ({inputs})", form="table"),
            Query(f"max {_MODEL} ({outputs})", form="table"),
            Query(f"max {_MODEL} ({pick(names.observations(WINDOW), FEATURES)})", form="table"),
            sort="Level",
        ),
    )


def _alerts(settings: Settings) -> Placed:
    about = About(
        title="Alerts firing, by name",
        description="What fires for these models now. The name leads to its runbook.",
        runbooks=links.runbook(settings.links, "CriticalDataDrift"),
        no_value="none",
    )
    keys = ("alertname", "severity", "model", "feature")
    return Placed(
        width=10,
        panel=rows(
            about,
            [
                Column(of="alertname", title="Alert", links=[links.runbook_of_row(settings.links, "Alert")]),
                Column(of="severity", title="Severity", width=90),
                Column(of="model", title="Model"),
                Column(of="feature", title="Feature"),
                Column(of="#A", title="Series", unit="short", width=70),
            ],
            Query(f"count by ({', '.join(keys)}) ({FIRING})", form="table"),
            sort="Severity",
            descending=False,
        ),
    )


def _over_time(settings: Settings) -> Section:
    psi = pick(names.psi(WINDOW), FEATURES)
    level = promql.level(FEATURES, settings.drift.thresholds)
    steps = look.psi_steps(settings.drift.thresholds)
    heat = About(
        title="PSI of each feature over time",
        description="A row for each feature, a cell for each moment, coloured by the level at which its PSI would "
        "be. A cell leads to Feature detail. A gap means too few events. One row: that feature changed. All rows at "
        "once: the traffic changed, or the reference is the wrong one.",
        steps=steps,
        decimals=3,
        links=[links.feature_of_series()],
    )
    level_of = About(
        title="Level of each model over time",
        description="The worst level of any feature shown, in words; only what chance does not explain counts.",
        steps=look.LEVEL_STEPS,
        mappings=look.level_words,
    )
    predictions = About(
        title="Drift of predictions",
        description="PSI of what the models answer: class or value, and probability. Inputs that move while "
        "predictions stay do less harm than the other way round. Dashed: where levels begin.",
        steps=steps,
        decimals=3,
        links=[links.feature_of_series()],
        runbooks=links.runbook(settings.links, *(f"{level}PredictionDrift" for level in links.DRIFT_ALERTS)),
    )
    outputs = pick(names.psi(WINDOW), FEATURES, 'role="output"')
    return Section(
        title="Over time",
        lines=[
            [Placed(panel=cells(heat, Query(psi, _NAMED)), width=24, height=12)],
            [
                Placed(panel=states(level_of, Query(f"max {_MODEL} ({level})", "{{namespace}} {{model}}")), width=12),
                Placed(panel=lines(predictions, Query(outputs, _NAMED), show_limits=True), width=12),
            ],
        ],
    )


def _which(settings: Settings) -> Section:
    psi = pick(names.psi(WINDOW), FEATURES)
    least = pick(names.psi_threshold(WINDOW), FEATURES)
    beyond = About(
        title="Beyond chance",
        description="Features whose PSI is larger than the smallest that means anything for the events at hand (the "
        "calibrated threshold), furthest first. A small PSI can be beyond chance where there are many events: see "
        "the level.",
        no_value="none",
    )
    crossed = f"{psi} > {least}"
    level = promql.level(FEATURES, settings.drift.thresholds)
    return Section(
        title="Which features",
        lines=[
            [
                Placed(
                    width=14,
                    height=10,
                    panel=rows(
                        beyond,
                        [
                            *_identity(),
                            Column(
                                of="#A", title="Level", steps=look.LEVEL_STEPS, mappings=look.level_words, width=110
                            ),
                            Column(of="#B", title="PSI", decimals=3),
                            Column(of="#C", title="Times its threshold", decimals=1),
                        ],
                        Query(f"max by ({_KEYS}) (({level}) and ({crossed}))", form="table"),
                        Query(f"max by ({_KEYS}) ({crossed})", form="table"),
                        Query(f"max by ({_KEYS}) (({crossed}) / {least})", form="table"),
                        sort="Times its threshold",
                    ),
                ),
                _movers(settings),
            ]
        ],
    )


def _movers(settings: Settings) -> Placed:
    psi, steps = pick(names.psi(WINDOW), FEATURES), look.psi_steps(settings.drift.thresholds)
    about = About(
        title="Top movers",
        description="Features whose PSI has risen most above the lowest it was in the time shown. What was high all "
        "the time is not here.",
    )
    rise = f"topk(10, max by ({_KEYS}) ({psi} - min_over_time({psi}[$__range])))"
    columns = [*_identity(), Column(of="#A", title="Rise of PSI", decimals=3, steps=steps)]
    return Placed(width=10, height=10, panel=rows(about, columns, Query(rise, form="table"), sort="Rise of PSI"))


def _identity() -> list[Column]:
    return [
        Column(of="namespace", title="Namespace"),
        Column(of="model", title="Model"),
        Column(of="role", title="Role", width=80),
        Column(of="feature", title="Feature", links=[links.feature_of_row()]),
    ]


def _candidate(settings: Settings) -> Section:
    window = settings.canary.window
    psi, least = (pick(name(window), FEATURES) for name in (names.candidate_psi, names.candidate_psi_threshold))
    differs = About(
        title="Candidate against stable, features",
        description=f"How far inputs and outputs of a candidate are from those of the stable version, over the last "
        f"{window}, whatever window is chosen above. Above 1, chance does not explain it. Empty without a candidate.",
        runbooks=links.runbook(settings.links, "CandidateDataDrift", "CandidatePredictionDrift"),
        no_value="no candidate, or too few events",
    )
    steps = look.limit(settings.canary.psi)
    return Section(
        title="Candidate against stable",
        lines=[
            [
                Placed(
                    width=14,
                    height=10,
                    panel=rows(
                        differs,
                        [
                            *_identity(),
                            Column(of="#A", title="PSI", decimals=3, steps=steps),
                            Column(of="#B", title="Times its threshold", decimals=1),
                        ],
                        Query(f"max by ({_KEYS}) ({psi})", form="table"),
                        Query(f"max by ({_KEYS}) ({psi} / {least})", form="table"),
                        sort="Times its threshold",
                    ),
                ),
                _candidate_service(settings),
            ]
        ],
    )


def _candidate_service(settings: Settings) -> Placed:
    canary = settings.canary
    window = canary.window
    about = About(
        title="Candidate against stable, errors and latency",
        description="How much larger the candidate's share of failed predictions is, and how many times as long its "
        "slowest 5 % of predictions take.",
        runbooks=links.runbook(settings.links, "CandidateHighErrorRate"),
        no_value="no candidate, or too few events",
    )
    excess = pick(names.candidate_excess_errors(window), MODELS)
    slower = pick(names.candidate_latency_ratio(window), MODELS)
    served = pick(names.side_predictions("candidate", window), MODELS)
    columns = [
        Column(of="namespace", title="Namespace"),
        Column(of="model", title="Model", links=[links.model_of_row(SERVICE)]),
        Column(of="#A", title="More failures", unit="percentunit", decimals=2, steps=look.limit(canary.error_ratio)),
        Column(of="#B", title="Times p95", decimals=2, steps=look.limit(canary.latency_ratio)),
        Column(of="#C", title="Predictions of the candidate", unit="short", decimals=1),
    ]
    panel = rows(
        about,
        columns,
        Query(f"max {_MODEL} ({excess})", form="table"),
        Query(f"max {_MODEL} ({slower})", form="table"),
        Query(f"max {_MODEL} ({served})", form="table"),
        sort="More failures",
    )
    return Placed(width=10, height=10, panel=panel)
