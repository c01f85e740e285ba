"""Latency and errors: how fast, how often wrong, what is left of what was promised; and how right, by labels."""

from dataclasses import dataclass

from sidecar.alerting.rules import names
from sidecar.alerting.rules.recording.service import ERRORS_SLO, latency_slo
from sidecar.alerting.rules.settings import Objectives, Settings
from sidecar.dashboards import links, look
from sidecar.dashboards.board import Board, Section
from sidecar.dashboards.boards import quality
from sidecar.dashboards.links import SERVICE
from sidecar.dashboards.panels import About, Column, Placed, cells, heat, lines, number, rows
from sidecar.dashboards.promql import MODELS, Query, pick
from sidecar.dashboards.variables import models, namespaces
from sidecar.exposition import model_metrics

_BUCKETS = pick(f"{model_metrics.LATENCY.name}_bucket", MODELS)
_MODEL = "by (namespace, model)"
_RATE = "[$__rate_interval]"
_COMPLIANCE_WINDOWS = 4


@dataclass(frozen=True, slots=True)
class Promise:
    """An objective: its name in the label `slo`, and the share of events that keep it."""

    slo: str
    target: float
    text: str

    @property
    def budget(self) -> str:
        """The share of events that may miss it."""
        return f"{1 - self.target:.10g}"


def promises(objectives: Objectives) -> list[Promise]:
    """Return what was promised of latency and of success."""
    found = [
        Promise(latency_slo(o), o.target, f"{o.target * 100:g} % of predictions take at most {o.seconds:g} s")
        for o in objectives.latency
    ]
    return [*found, Promise(ERRORS_SLO, objectives.success, f"{objectives.success * 100:g} % of predictions succeed")]


def board(settings: Settings) -> Board:
    """Return the dashboard."""
    return Board(
        uid=SERVICE,
        description="How fast models answer, how often they fail, and how much of the budgets of their objectives "
        "is left.",
        variables=[namespaces(), models()],
        marks='model_namespace=~"$namespace", model=~"$model"',
        sections=[_now(settings), _latency(settings), _errors(settings), _budgets(settings), quality.section(settings)],
    )


def _now(settings: Settings) -> Section:
    service = settings.service
    p95 = About(
        title="Slowest p95",
        description=f"Of the models shown, the largest latency that 95 % of predictions keep, over {service.window}.",
        unit="s",
        steps=look.limit(service.p95_seconds),
        runbooks=links.runbook(settings.links, "HighP95Latency"),
    )
    p99 = About(
        title="Slowest p99",
        description=f"Of the models shown, the largest latency that 99 % of predictions keep, over {service.window}.",
        unit="s",
        steps=look.limit(service.p95_seconds, service.p99_seconds),
        runbooks=links.runbook(settings.links, "CriticalP99Latency"),
    )
    errors = About(
        title="Most errors",
        description=f"Of the models shown, the largest share of predictions that failed, over {service.window}.",
        unit="percentunit",
        decimals=2,
        steps=look.limit(service.error_ratio / 5, service.error_ratio),
        runbooks=links.runbook(settings.links, "HighErrorRate"),
    )
    rate = About(title="Predictions", description="Predictions a second of all models shown.", unit="reqps")
    predictions = f"sum(rate({pick(model_metrics.PREDICTIONS.name, MODELS)}{_RATE}))"
    numbers = [
        (p95, f"max({pick(names.latency_quantile(95, service.window), MODELS)})"),
        (p99, f"max({pick(names.latency_quantile(99, service.window), MODELS)})"),
        (errors, f"max({pick(names.error_ratio(service.window), MODELS)})"),
        (rate, predictions),
    ]
    return Section(
        title="Now",
        lines=[[Placed(panel=number(about, Query(e, form="instant")), width=6, height=4) for about, e in numbers]],
    )


def _latency(settings: Settings) -> Section:
    histogram = About(
        title="Latency of predictions",
        description="How many predictions took how long. Two bands: two kinds of requests or of replicas.",
        unit="s",
    )
    replicas = About(
        title="p99 of each replica",
        description="The slowest replica stands out: look at its node, its version and its traffic. Dashed: the "
        "limit of the alert.",
        unit="s",
        steps=look.limit(settings.service.p99_seconds),
    )
    traffic = About(
        title="Predictions a second",
        description="Traffic of each model. More of it, and all of them slower: too few replicas.",
        unit="reqps",
    )
    return Section(
        title="Latency",
        lines=[
            [
                _quantiles(settings),
                Placed(
                    width=12,
                    height=9,
                    panel=heat(
                        histogram,
                        Query(f"sum by (le) (increase({_BUCKETS}{_RATE}))", "{{le}}", form="heatmap"),
                    ),
                ),
            ],
            [
                Placed(
                    width=12,
                    panel=lines(
                        replicas,
                        Query(
                            f"histogram_quantile(0.99, sum by (instance, model, le) (rate({_BUCKETS}{_RATE})))",
                            "{{model}} {{instance}}",
                        ),
                        show_limits=True,
                    ),
                ),
                Placed(
                    width=12,
                    panel=lines(
                        traffic,
                        Query(
                            f"sum {_MODEL} (rate({pick(model_metrics.PREDICTIONS.name, MODELS)}{_RATE}))",
                            "{{namespace}} {{model}}",
                        ),
                    ),
                ),
            ],
        ],
    )


def _quantiles(settings: Settings) -> Placed:
    service = settings.service
    about = About(
        title="Latency: p50, p95, p99",
        description=f"Latency of the whole fleet over {service.window}. Dashed: the limits of the alerts on p95 and "
        "p99. The p50 moves: all predictions are slower. Only the p99 does: some of them, or some replicas.",
        unit="s",
        steps=look.limit(service.p95_seconds, service.p99_seconds),
        runbooks=links.runbook(settings.links, "HighP95Latency", "CriticalP99Latency"),
    )
    quantiles = [
        Query(pick(names.latency_quantile(p, service.window), MODELS), f"p{p} {{{{namespace}}}} {{{{model}}}}")
        for p in (50, 95, 99)
    ]
    return Placed(width=12, height=9, panel=lines(about, *quantiles, show_limits=True))


def _errors(settings: Settings) -> Section:
    service = settings.service
    ratio = About(
        title="Share of predictions that failed",
        description=f"Over {service.window}, of the whole fleet. Dashed: the limit of the alert.",
        unit="percentunit",
        decimals=2,
        steps=look.limit(service.error_ratio),
        runbooks=links.runbook(settings.links, "HighErrorRate"),
    )
    replicas = About(
        title="Share that failed, by replica",
        description="One replica alone fails: look at it. All do: look at the model, its inputs or what it depends on.",
        unit="percentunit",
        decimals=2,
        steps=look.limit(service.error_ratio / 5, service.error_ratio),
    )
    failed, all_ = (
        f"sum by (instance, model) (rate({pick(metric.name, MODELS)}{_RATE}))"
        for metric in (model_metrics.PREDICTION_ERRORS, model_metrics.PREDICTIONS)
    )
    return Section(
        title="Errors",
        lines=[
            [
                Placed(
                    width=12,
                    panel=lines(
                        ratio,
                        Query(pick(names.error_ratio(service.window), MODELS), "{{namespace}} {{model}}"),
                        show_limits=True,
                    ),
                ),
                Placed(
                    width=12,
                    panel=cells(replicas, Query(f"{failed} / ({all_} > 0)", "{{model}} {{instance}}")),
                ),
            ]
        ],
    )


def _budgets(settings: Settings) -> Section:
    objectives = settings.objectives
    promised = promises(objectives)
    windows = sorted({burn.long for burn in objectives.burn}, key=objectives.windows.index)[:_COMPLIANCE_WINDOWS]
    left = About(
        title="Error budget left, over the time shown",
        description="Of the predictions that may miss an objective, the share that has not yet done so in the time "
        "shown: 100 % is untouched, 0 % used up, below 0 % the promise is broken. Choose 30 days above for the "
        "budget of a month.",
        unit="percentunit",
        decimals=1,
        steps=((None, look.LEVELS["critical"]), (0, look.LEVELS["significant"]), (0.5, look.NEUTRAL)),
        runbooks=links.runbook(settings.links, "LatencyBudgetBurn", "ErrorBudgetBurn"),
    )
    longest = max(burn.factor for burn in objectives.burn)
    burning = About(
        title="Burn rate",
        description=f"How many times too fast the budget of each objective is used up, over {windows[0]} and "
        f"{windows[-1]}. At 1 it lasts exactly as long as planned. Dashed: where the alerts begin.",
        unit="none",
        decimals=2,
        steps=look.limit(1, longest),
        runbooks=links.runbook(settings.links, "LatencyBudgetBurn", "ErrorBudgetBurn"),
    )
    base = objectives.windows[0]
    burns = [
        Query(
            f"{pick(names.slo_error_ratio(w), MODELS, _is(p))} / {p.budget}",
            f"{{{{namespace}}}} {{{{model}}}} {{{{slo}}}} over {w}",
        )
        for p in promised
        for w in (windows[0], windows[-1])
    ]
    return Section(
        title="Objectives",
        lines=[
            [
                _compliance(settings, windows),
                Placed(
                    width=10,
                    panel=number(
                        left,
                        *(
                            Query(_budget_left(p, base), "{{namespace}} {{model}} {{slo}}", form="instant")
                            for p in promised
                        ),
                    ),
                ),
            ],
            [Placed(width=24, height=10, panel=lines(burning, *burns, show_limits=True))],
        ],
    )


def _compliance(settings: Settings, windows: list[str]) -> Placed:
    text = "; ".join(promise.text for promise in promises(settings.objectives))
    about = About(
        title="Promises kept",
        description="The share of predictions that kept each objective, over longer and longer windows. Promised: "
        f"{text}.",
        unit="percentunit",
        runbooks=links.runbook(settings.links, "LatencyBudgetBurn", "ErrorBudgetBurn"),
    )
    shares = [Query(f"1 - {pick(names.slo_error_ratio(w), MODELS)}", form="table") for w in windows]
    columns = [
        Column(of="namespace", title="Namespace"),
        Column(of="model", title="Model"),
        Column(of="slo", title="Objective"),
        *(Column(of=f"#{letter}", title=f"Over {w}", decimals=3) for letter, w in zip("ABCD", windows, strict=False)),
    ]
    return Placed(width=14, panel=rows(about, columns, *shares, sort="Objective", descending=False))


def _budget_left(promise: Promise, base: str) -> str:
    """Overlapping counts weigh every event alike, so their sums are in the ratio of the events."""
    missed, counted = (
        f"sum by (namespace, model, slo) (sum_over_time({pick(name(base), MODELS, _is(promise))}[$__range]))"
        for name in (names.slo_errors, names.slo_events)
    )
    return f"1 - {missed} / ({counted} > 0) / {promise.budget}"


def _is(promise: Promise) -> str:
    return f'slo="{promise.slo}"'
