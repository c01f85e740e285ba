"""Study: one backtest, from the history to its results."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType

import msgspec
import numpy as np

from sidecar.alerting.backtest.conditions import Exceeding, bands, drift_firings, exceeding, level_of
from sidecar.alerting.backtest.counters import Layout, counted, scrapes_between
from sidecar.alerting.backtest.drifts import Drifts, DriftSeries
from sidecar.alerting.backtest.history import History, HistoryError
from sidecar.alerting.backtest.recorded import PROMETHEUS, Evaluations, evaluations
from sidecar.alerting.backtest.score import Incident, Known, Score, score
from sidecar.alerting.backtest.service import Budgets, ServiceNow, Span
from sidecar.alerting.backtest.states import Firing, States
from sidecar.alerting.backtest.tune import Goal, Way, best, design_effects, drift_scores, higher_levels, longer_waits
from sidecar.alerting.rules.settings import Settings
from sidecar.base.duration import milliseconds
from sidecar.config import ModelConfig
from sidecar.data.table import Progress, silent
from sidecar.events.batch import Key
from sidecar.monitor.comparison import Comparison
from sidecar.monitor.traffic import Traffic
from sidecar.reference.profile import Profile
from sidecar.statistics.bins import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a backtest assumes, and what it is to look for."""

    model: ModelConfig
    settings: Settings
    scrape_seconds: int = 60
    incidents: Sequence[Incident] = ()
    most_per_week: float | None = None
    prometheus: int = PROMETHEUS


@dataclass(frozen=True, slots=True)
class Judged:
    """How often a window held enough samples to be judged, and how many it held in the middle of the history."""

    window: str
    share: float
    median_samples: float


@dataclass(slots=True)
class Study(AbstractContextManager["Study"]):
    """The results. Series lie in temporary files until it is left."""

    plan: Plan
    reference: Profile
    comparison: Comparison
    span: Span
    first: float
    last: float
    rows: int
    refused: int
    known: Known
    drifts: Drifts
    series: list[DriftSeries]
    states: list[States]
    scores: dict[str, Score] = field(default_factory=dict)
    firings: list[Firing] = field(default_factory=list)
    calibration: dict[str, dict[str, Score]] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    chosen: Way | None = None
    effects: dict[Key, float] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary files."""
        self.series = []
        self.drifts.close()

    @property
    def alert_series(self) -> DriftSeries:
        """The window that alerts read."""
        return self.series_of(self.plan.settings.drift.alert_window)

    def series_of(self, window: str) -> DriftSeries:
        """Return the series of a window."""
        return next(s for s in self.series if s.window == window)

    def judged(self) -> list[Judged]:
        """Tell of each window how often it could be judged."""
        least = self.plan.settings.drift.min_samples
        return [
            Judged(s.window, float((s.samples[0] >= least).mean()), float(np.median(s.samples[0])))
            for s in self.series
            if s.evaluated.number
        ]

    def profile(self) -> Profile:
        """Return the whole reference with the design effects that the history shows."""
        effects = self.effects or {}
        features = tuple(
            msgspec.structs.replace(f, design_effect=effects.get(Key(f.role, f.name), f.design_effect))
            for f in self.reference.features
        )
        return msgspec.structs.replace(self.reference, features=features)


def keys_of(comparison: Comparison) -> list[Key]:
    """Return the features in the order of the bins."""
    return [Key(f.role, f.name) for f in comparison.features]


def run(history: History, plan: Plan, *, progress: Progress = silent) -> Study:
    """Replay the history and judge every alert; raises HistoryError where it is too short to evaluate anything."""
    model, settings = plan.model, plan.settings
    comparison = Comparison(model.name, history.profile, model.drift, (), now=history.first)
    bounds = Traffic(model.latency, (), now=history.first).bounds
    layout = Layout.of(comparison, bounds)
    begin, end = scrapes_between(history.first, history.last, plan.scrape_seconds)
    span = Span(begin, end, plan.scrape_seconds * 1000, plan.prometheus)
    evaluated = evaluations(begin, end, scrape=span.scrape, interval=milliseconds(settings.drift.interval))
    if evaluated.number < 2:
        raise HistoryError(f"the history is shorter than the interval of the rules, {settings.drift.interval}")
    drifts = Drifts(
        comparison, settings.drift, layout, evaluated, begin=begin, scrape=span.scrape, prometheus=plan.prometheus
    )
    try:
        there = {"latency": history.has_latency, "errors": history.has_errors}
        service: list[ServiceNow | Budgets] = [
            ServiceNow(settings, layout, span, **there),
            Budgets(settings, layout, span, **there),
        ]
        for scrapes in counted(history.batches(), comparison, layout, scrape_seconds=plan.scrape_seconds):
            drifts.add(scrapes.counts)
            for part in service:
                part.add(scrapes.counts)
        study = Study(
            plan=plan,
            reference=history.reference,
            comparison=comparison,
            span=span,
            first=history.first,
            last=history.last,
            rows=history.rows - history.refused,
            refused=history.refused,
            known=known_of(plan, evaluated, settings.drift.alert_window),
            drifts=drifts,
            series=drifts.series,
            states=[states for part in service for states in part.states],
        )
        _judge(study, progress)
    except BaseException:
        drifts.close()
        raise
    return study


def known_of(plan: Plan, evaluated: Evaluations, window: str) -> Known:
    """Say what is known of the history, for alerts that read a window."""
    seconds = evaluated.number * evaluated.interval / 1000
    return Known(seconds, plan.incidents, milliseconds(window) / 1000)


def _judge(study: Study, progress: Progress) -> None:
    plan = study.plan
    settings = plan.settings
    found = exceed(study, settings)
    limits = bands(settings.drift.thresholds)
    study.scores = drift_scores(settings, found, study.known)
    for alert in study.scores:
        wait = milliseconds(settings.policy(alert).for_ or "0s")
        study.firings += drift_firings(alert, found, limits[level_of(alert)], wait=wait)
    for alert in dict.fromkeys(states.alert for states in study.states):
        firings = [f for states in study.states if states.alert == alert for f in states.firings()]
        study.scores[alert] = score(alert, firings, study.known)
        study.firings += firings
    factors = study.comparison.significance_factor
    plain = factors / np.array([f.design_effect for f in study.comparison.features])
    study.calibration = {
        "fixed levels alone": drift_scores(settings, exceed(study, settings, np.zeros_like(factors)), study.known),
        "and more than chance, rows independent": drift_scores(settings, exceed(study, settings, plain), study.known),
        "and more than chance, design effect of the reference": drift_scores(settings, found, study.known),
    }
    if plan.most_per_week is not None:
        _tune(study, plan.most_per_week, progress)


def exceed(study: Study, settings: Settings, factors: Floats | None = None) -> list[Exceeding]:
    """Find where features exceed the lowest level of settings in their alert window."""
    comparison = study.comparison
    return exceeding(
        study.series_of(settings.drift.alert_window),
        keys_of(comparison),
        comparison.significance_factor if factors is None else factors,
        lowest=settings.drift.thresholds.moderate,
    )


def _tune(study: Study, per_week: float, progress: Progress) -> None:
    plan = study.plan
    now = plan.settings
    windows = [now.drift.alert_window, *(w for w in now.drift.windows if w != now.drift.alert_window)]
    for number, window in enumerate(windows):
        progress("tuning", number, len(windows) + 1)
        settings = msgspec.structs.replace(now, drift=msgspec.structs.replace(now.drift, alert_window=window))
        found = exceed(study, settings)
        goal = Goal(per_week, known_of(plan, study.alert_series.evaluated, window))
        name = "as it is" if settings == now else f"window {window}"
        study.ways.append(Way(name, settings, drift_scores(settings, found, goal.known)))
        if study.ways[-1].meets(goal):
            continue
        prefix = "" if settings == now else f"window {window}, "
        longer = longer_waits(settings, found, goal)
        if longer is not None:
            study.ways.append(Way(f"{prefix}longer for", longer, drift_scores(longer, found, goal.known)))
        higher = higher_levels(settings, found, goal)
        study.ways.append(Way(f"{prefix}higher levels", higher, drift_scores(higher, found, goal.known)))
    goal = Goal(per_week, study.known)
    study.chosen = best(study.ways, goal)
    study.calibration["tuned settings"] = dict(study.chosen.scores)
    progress("tuning", len(windows), len(windows) + 1)
    _calibrate(study, goal)


def _calibrate(study: Study, goal: Goal) -> None:
    """Find the design effects that would have kept to the goal, with the settings there are."""
    settings, found = study.plan.settings, exceed(study, study.plan.settings)
    effects = {Key(f.role, f.name): f.design_effect for f in study.comparison.features}
    study.effects = design_effects(settings, found, goal, effects)
    if study.effects != effects:
        beyond = {key: study.effects[key] / effect for key, effect in effects.items()}
        scores = drift_scores(settings, found, study.known, beyond=beyond)
        study.ways.insert(1, Way("tuned reference", settings, scores, study.effects))
        study.calibration["and more than chance, design effect of the history"] = scores


def caught(scores: Mapping[str, Score]) -> int:
    """Count the incidents that at least one alert found."""
    columns = zip(*(score.detections for score in scores.values()), strict=True)
    return sum(any(detection.seconds is not None for detection in column) for column in columns)


def totals(scores: Mapping[str, Score]) -> tuple[float, float]:
    """Return false alarms a week of all alerts together, and the share of time that the busiest fires."""
    return (
        sum(s.false_per_week for s in scores.values()),
        max((s.firing_share for s in scores.values()), default=0.0),
    )
