"""Text: what numbers, times and results are called where people read them, on a terminal and on the page."""

from datetime import UTC, datetime

from sidecar.alerting.backtest.score import Detection, Score
from sidecar.alerting.backtest.study import Study, caught, totals
from sidecar.alerting.backtest.tune import Way
from sidecar.alerting.rules.settings import Settings
from sidecar.events.batch import Key


def moment(seconds: float) -> str:
    """Write a Unix time for people, in UTC.

    >>> moment(1360368000.0)
    '2013-02-09 00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def length(seconds: float) -> str:
    """Write a length of time with its two largest units.

    >>> [length(s) for s in (40, 5400, 90000, 172800)]
    ['40s', '1h 30m', '1d 1h', '2d']
    """
    rest, parts = round(seconds), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def detection(found: Detection) -> str:
    """Say how soon an incident was found."""
    if found.seconds is not None:
        return length(found.seconds)
    return "fired already" if found.already else "not found"


def subjects(found: Score, most: int = 4) -> str:
    """List what an alert fired about, the most frequent first."""
    listed = [f"{name} {count}" for name, count in found.subjects[:most] if name]
    more = len(found.subjects) - most
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")


def verdict(study: Study, found: Score) -> str:
    """Say whether an alert keeps to the number of false alarms that was asked for, in a word."""
    most = study.plan.most_per_week
    if most is None:
        return ""
    return "yes" if found.false_per_week <= most else "no"


def changes(now: Settings, way: Way) -> str:
    """Say what settings change."""
    before, after, told = now.drift, way.settings.drift, []
    if before.alert_window != after.alert_window:
        told.append(f"alert_window {after.alert_window}")
    levels = [
        f"{level} {getattr(after.thresholds, level):g}"
        for level in ("moderate", "significant", "critical", "rollback")
        if getattr(after.thresholds, level) != getattr(before.thresholds, level)
    ]
    if levels:
        told.append("levels " + ", ".join(levels))
    waits = [
        f"{alert} {way.settings.policy(alert).for_}"
        for alert in way.scores
        if way.settings.policy(alert).for_ != now.policy(alert).for_
    ]
    if waits:
        told.append("for " + ", ".join(waits))
    if way.effects is not None:
        told.append("design effects of the reference")
    return "; ".join(told) or "nothing"


def headline(study: Study) -> str:
    """Say in one sentence what the drift alerts would have come to."""
    drifts = study.calibration["and more than chance, design effect of the reference"]
    alone, _ = totals(study.calibration["fixed levels alone"])
    false, _ = totals(drifts)
    told = (
        f"The drift alerts together would have raised {false:.2f} false alarms a week; fixed levels alone {alone:.2f}"
    )
    if study.plan.incidents:
        told += f"; they found {caught(drifts)} of {len(study.plan.incidents)} incidents"
    return told + "."


def notes(study: Study) -> list[str]:
    """Say what has to be known to read the results, a sentence each."""
    settings = study.plan.settings
    told = []
    if study.refused:
        told.append(
            f"{study.refused} rows were left out, as the sidecar refuses them: "
            "a probability beyond [0, 1] or a latency below 0."
        )
    for incident in study.plan.incidents:
        if incident.end <= study.first or incident.start >= study.last:
            told.append(f"The incident of {moment(incident.start)} is not within the history.")
    for judged in study.judged():
        if judged.window == settings.drift.alert_window and judged.share < 0.5:
            told.append(
                f"The window that alerts read, {judged.window}, holds the {settings.drift.min_samples} samples that "
                f"drift needs only {judged.share:.0%} of the time (half of the windows hold at most "
                f"{judged.median_samples:.0f}): a longer alert_window sees more."
            )
    if study.effects is not None:
        before = {Key(f.role, f.name): f.design_effect for f in study.comparison.features}
        raised = {key.name: (before[key], effect) for key, effect in study.effects.items() if effect > before[key]}
        if raised:
            listed = ", ".join(f"{name} {was:.3g} to {effect:.3g}" for name, (was, effect) in raised.items())
            told.append(
                "With the settings as they are, these design effects would have kept to the number of false alarms, "
                f"feature by feature: {listed}."
            )
    if study.chosen is not None and study.plan.most_per_week is not None:
        if study.chosen.worst() <= study.plan.most_per_week:
            told.append(f"Chosen: {study.chosen.name} ({changes(settings, study.chosen)}).")
        else:
            told.append("No settings that were tried keep to that number of false alarms; the best of them is chosen.")
    return told
