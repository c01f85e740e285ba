"""Tune: which duration, levels or window would have kept to a number of false alarms a week.

Each way is tried alone, so that one can choose; what it costs is what it no longer finds, or finds later.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from sidecar.alerting.backtest.conditions import (
    DRIFT_ALERTS,
    LEVELS,
    Band,
    Exceeding,
    bands,
    concerned,
    drift_firings,
    level_of,
)
from sidecar.alerting.backtest.score import Known, Score, score
from sidecar.alerting.rules.policy import PolicyChange
from sidecar.alerting.rules.settings import Settings, Thresholds
from sidecar.base.duration import milliseconds
from sidecar.events.batch import Key

WAITS = ("2m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "2d")
"""Durations of `for:` that are tried."""

_STEPS = 14
_REPAIRS = 60


@dataclass(frozen=True, slots=True)
class Goal:
    """At most so many false alarms a week of each alert, given what is known of the history."""

    per_week: float
    known: Known

    def met(self, found: Score) -> bool:
        """Tell whether an alert keeps to it."""
        return found.false_per_week <= self.per_week


@dataclass(frozen=True, slots=True)
class Way:
    """Settings that were tried: what they change, and what each drift alert would have come to by them.

    `effects` are design effects to go with them, where the reference is tuned rather than the settings.
    """

    name: str
    settings: Settings
    scores: Mapping[str, Score]
    effects: Mapping[Key, float] | None = None

    def worst(self) -> float:
        """Return the most false alarms a week of any alert."""
        return max((found.false_per_week for found in self.scores.values()), default=0.0)

    def meets(self, goal: Goal) -> bool:
        """Tell whether every alert keeps to the goal."""
        return self.worst() <= goal.per_week

    def found(self) -> int:
        """Count the incidents that at least one alert found."""
        return sum(seconds is not None for seconds in self.delays())

    def delays(self) -> list[float | None]:
        """Return for each incident how soon the first alert found it, in seconds, or None."""
        columns = zip(*(found.detections for found in self.scores.values()), strict=True)
        return [min((d.seconds for d in column if d.seconds is not None), default=None) for column in columns]


def drift_scores(
    settings: Settings, found: Sequence[Exceeding], known: Known, *, beyond: Mapping[Key, float] | None = None
) -> dict[str, Score]:
    """Score every drift alert that is switched on; `beyond` raises what chance explains, by feature."""
    if beyond is not None:
        found = [_raised(e, beyond[e.feature]) for e in found]
    scores = {}
    limits = bands(settings.drift.thresholds)
    for alert in DRIFT_ALERTS:
        if settings.policy(alert).enabled and concerned(found, alert):
            firings = drift_firings(alert, found, limits[level_of(alert)], wait=wait_of(settings, alert))
            scores[alert] = score(alert, firings, known)
    return scores


def _raised(e: Exceeding, beyond: float) -> Exceeding:
    kept = e.ratio > beyond
    return Exceeding(e.feature, e.evaluated, e.at[kept], e.psi[kept], e.ratio[kept])


def wait_of(settings: Settings, alert: str) -> int:
    """Return the duration of an alert in milliseconds."""
    return milliseconds(settings.policy(alert).for_ or "0s")


def longer_waits(settings: Settings, found: Sequence[Exceeding], goal: Goal) -> Settings | None:
    """Raise `for:` of each drift alert as little as keeps it to the goal; None where no duration does."""
    limits, changes = bands(settings.drift.thresholds), dict(settings.alerts)
    for alert in drift_scores(settings, found, goal.known):

        def alarms(wait: int, alert: str = alert) -> Score:
            firings = drift_firings(alert, found, limits[level_of(alert)], wait=wait)
            return score(alert, firings, goal.known)

        wait = least_wait(wait_of(settings, alert), alarms, goal)
        if wait is None:
            return None
        if wait:
            changes[alert] = msgspec.structs.replace(changes.get(alert, PolicyChange()), for_=wait)
    return msgspec.structs.replace(settings, alerts=changes)


def least_wait(now: int, alarms: Callable[[int], Score], goal: Goal) -> str | None:
    """Return the shortest of WAITS above `now` milliseconds that keeps to the goal, '' for `now` itself, or None."""
    if goal.met(alarms(now)):
        return ""
    return next((w for w in WAITS if milliseconds(w) > now and goal.met(alarms(milliseconds(w)))), None)


def higher_levels(settings: Settings, found: Sequence[Exceeding], goal: Goal) -> Settings:
    """Raise the levels of drift as little as keeps every alert to the goal."""
    thresholds = settings.drift.thresholds
    limits = [getattr(thresholds, level.lower()) for level in LEVELS]
    raised: list[float] = []
    for level, limit in zip(LEVELS, limits, strict=True):
        least = limit
        for alert in DRIFT_ALERTS:
            if level_of(alert) == level and settings.policy(alert).enabled and concerned(found, alert):
                least = max(least, _least_level(alert, found, limit, wait_of(settings, alert), goal))
        # Levels ascend, with room for each.
        raised.append(least if not raised or least > raised[-1] else _up(raised[-1] * 1.25))
    for _ in range(_REPAIRS):
        tried = _with_levels(settings, raised)
        failing = {level_of(a) for a, s in drift_scores(tried, found, goal.known).items() if not goal.met(s)}
        if not failing:
            break
        # A band that PSI crosses to and fro may fire more often than all that is above its lower end.
        for i, level in enumerate(LEVELS):
            low = raised[i] * 1.05 if level in failing else raised[i]
            raised[i] = _up(max(low, raised[i - 1] * 1.1 if i and low <= raised[i - 1] else low))
    return _with_levels(settings, raised)


def _with_levels(settings: Settings, limits: Sequence[float]) -> Settings:
    thresholds = Thresholds(**{level.lower(): limit for level, limit in zip(LEVELS, limits, strict=True)})
    return msgspec.structs.replace(settings, drift=msgspec.structs.replace(settings.drift, thresholds=thresholds))


def _least_level(alert: str, found: Sequence[Exceeding], limit: float, wait: int, goal: Goal) -> float:
    """Return the lowest level, from `limit` on, at and above which an alert would have kept to the goal."""

    def met(level: float) -> bool:
        return goal.met(score(alert, drift_firings(alert, found, Band(level), wait=wait), goal.known))

    if met(limit):
        return limit
    highest = max((float(e.psi.max()) for e in concerned(found, alert) if e.psi.size), default=limit)
    low, high = math.log(limit), math.log(highest * 1.01)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if met(math.exp(middle)) else (middle, high)
    level = _up(math.exp(high))
    while not met(level):  # fewer alarms at a higher level is the rule, not a law: two may be one before
        level = _up(level * 1.05)
    return level


def _up(level: float) -> float:
    """Round a level up to hundredths."""
    return math.ceil(level * 100 - 1e-9) / 100


def design_effects(
    settings: Settings, found: Sequence[Exceeding], goal: Goal, effects: Mapping[Key, float]
) -> dict[Key, float]:
    """Return the design effect of each feature that keeps its alerts to the goal, at the levels there are.

    It raises the smallest PSI that means anything for a feature that varies more than the reference shows, and leaves
    the others as they are. The goal is shared among the features that raise false alarms.
    """
    noisy = [e for e in found if _alarms(settings, e, 1.0, goal) > 0]
    raised = dict(effects)
    for e in noisy:
        share = goal.per_week / len([n for n in noisy if n.feature.role == e.feature.role])
        if _alarms(settings, e, 1.0, goal) <= share:
            continue
        low, high = 0.0, math.log(float(e.ratio.max()) * 1.001)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if _alarms(settings, e, math.exp(middle), goal) <= share else (middle, high)
        raised[e.feature] = math.ceil(effects[e.feature] * math.exp(high) * 1e4) / 1e4
    return raised


def _alarms(settings: Settings, e: Exceeding, beyond: float, goal: Goal) -> float:
    """Return the most false alarms a week of any alert about one feature."""
    scores = drift_scores(settings, [e], goal.known, beyond={e.feature: beyond})
    return max((s.false_per_week for s in scores.values()), default=0.0)


def best(ways: Sequence[Way], goal: Goal) -> Way:
    """Choose among ways: first those that keep to the goal, then what finds most incidents, then the soonest.

    Without incidents, or where they are equal, the first one.
    """

    def cost(way: Way) -> tuple[bool, int, float, float]:
        delays = way.delays()
        known = [seconds for seconds in delays if seconds is not None]
        meets = way.meets(goal)
        return (not meets, -len(known), float(np.sum(known)), 0.0 if meets else way.worst())

    return min(ways, key=cost)
