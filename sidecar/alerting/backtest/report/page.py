"""Page: the report as one HTML file that needs nothing from elsewhere and runs no script."""

from collections.abc import Sequence
from html import escape

import numpy as np

from sidecar import __version__
from sidecar.alerting.backtest.conditions import DRIFT_ALERTS, LEVELS
from sidecar.alerting.backtest.report import text
from sidecar.alerting.backtest.report.plot import PsiPlot, TimeAxis, psi_plot, timeline
from sidecar.alerting.backtest.study import Study, caught, keys_of, totals
from sidecar.statistics.bins import Floats

MOST_PLOTS = 12
"""Features that are drawn, those with most firings and the highest PSI first."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #fff; --panel: #f6f8fa;
  --psi: #0072b2; --least: #57606a; --incident: #f0e44266; --moderate: #56b4e9; --significant: #e69f00;
  --critical: #d55e00; --rollback: #7b2d8e; --service: #009e73; --good: #00664b; --bad: #a33b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --line: #3d444d; --paper: #0d1117;
  --panel: #161b22; --psi: #56b4e9; --least: #9aa4af; --incident: #f0e44233; --rollback: #cc79a7; --good: #4fd1a5;
  --bad: #ff9a57; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1120px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 0; }
p { max-width: 46rem; margin: .4rem 0; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td:first-child { white-space: nowrap; } td:last-child { min-width: 13rem; }
th.number, td.number { text-align: right; white-space: nowrap; } td.number:last-child { min-width: 0; }
tr.chosen td { background: var(--panel); font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); }
svg { width: 100%; min-width: 720px; height: auto; display: block; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); } .name { text-anchor: end; } .tick { text-anchor: middle; }
.psi { fill: none; stroke: var(--psi); stroke-width: 1.4; stroke-linejoin: round; }
.least { fill: none; stroke: var(--least); stroke-width: 1.2; stroke-dasharray: 4 3; }
.level { stroke: var(--line); stroke-width: 1; } .grid { stroke: var(--line); stroke-width: .5; opacity: .6; }
.axis { stroke: var(--soft); stroke-width: 1; } .incident { fill: var(--incident); }
.moderate { fill: var(--moderate); } .significant { fill: var(--significant); } .critical { fill: var(--critical); }
.rollback { fill: var(--rollback); } .service { fill: var(--service); }
.key span { display: inline-block; margin-right: 1.4rem; } .key svg { display: inline; width: 28px; min-width: 0;
  height: 10px; margin-right: .4rem; }
ul { padding-left: 1.2rem; max-width: 46rem; }
"""


def page(study: Study) -> str:
    """Write the report."""
    name = study.plan.model.name
    axis = TimeAxis(study.first, max(study.last, study.first + 1))
    body = [
        f"<h1>What the alerts would have said of {escape(name)}</h1>",
        f'<p class="soft">{_facts(study)}</p>',
        _summary(study),
        "<h2>Alerts</h2>",
        _alerts(study),
        _explained(study),
        '<div class="scroll" tabindex="0">',
        timeline(list(study.scores), study.firings, axis, study.plan.incidents),
        "</div>",
        "<h2>What calibration does</h2>",
        "<p>All drift alerts together, if they asked for less or more than they do. A level alone is what a fixed "
        "threshold gives.</p>",
        _calibration(study),
        *_ways(study),
        "<h2>Drift by time</h2>",
        _key(study),
        *_plots(study, axis),
        f'<p class="soft">Written by model-sidecar {__version__}. Times are UTC.</p>',
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Backtest of {escape(name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _facts(study: Study) -> str:
    drift, profile = study.plan.settings.drift, study.comparison.profile
    return escape(
        f"{study.rows:,} events from {text.moment(study.first)} to {text.moment(study.last)}, "
        f"{study.known.seconds / 604_800:.1f} weeks; reference {profile.fingerprint} of {profile.rows:,} rows"
        f"{'' if profile.season is None else f' by {profile.season}'}"
        f"{' from ' + profile.source if profile.source else ''}. Drift alerts read the last {drift.alert_window}, "
        f"every {drift.interval}."
    )


def _summary(study: Study) -> str:
    told = [f"<li>{escape(note)}</li>" for note in (text.headline(study), *text.notes(study))]
    return f"<ul>{''.join(told)}</ul>"


def _alerts(study: Study) -> str:
    plan = study.plan
    head = ["alert", "#for", "#firings", "#false alarms a week", "#of the time"]
    head += [f"found the incident of {text.moment(i.start)[:10]}" for i in plan.incidents]
    head += ["about"]
    rows = []
    for alert, score in study.scores.items():
        good = text.verdict(study, score)
        kind = {"yes": "good", "no": "bad"}.get(good, "")
        mark = {"yes": " ✓", "no": " ✗"}.get(good, "")
        cells = [escape(alert), plan.settings.policy(alert).for_ or "", str(score.firings)]
        cells += [f'<span class="{kind}">{score.false_per_week:.2f}{mark}</span>', f"{score.firing_share:.1%}"]
        cells += [escape(text.detection(d)) for d in score.detections]
        rows.append([*cells, escape(text.subjects(score))])
    return _table(head, rows)


def _explained(study: Study) -> str:
    most = study.plan.most_per_week
    told = (
        "A false alarm is a stretch of time in which an alert fires, for any feature, that began neither in an "
        "incident nor while a window still held one. It counts again for each day it goes on."
    )
    if most is not None:
        told += f" ✓ and ✗ say whether an alert keeps to {most:g} a week."
    return f'<p class="soft">{told}</p>'


def _calibration(study: Study) -> str:
    rows = []
    for name, scores in study.calibration.items():
        false, share = totals(scores)
        found = f"{caught(scores)} of {len(study.plan.incidents)}"
        rows.append([escape(name), f"{false:.2f}", f"{share:.1%}", found])
    return _table(["PSI at the level", "#false alarms a week", "#busiest alert, of the time", "#incidents found"], rows)


def _ways(study: Study) -> list[str]:
    if not study.ways:
        return []
    rows, chosen = [], []
    for way in study.ways:
        delays = ", ".join(text.length(d) for d in way.delays() if d is not None)
        found = f"{way.found()} of {len(study.plan.incidents)}"
        change = escape(text.changes(study.plan.settings, way))
        rows.append([escape(way.name), f"{way.worst():.2f}", found, delays, change])
        chosen.append(way is study.chosen)
    head = ["way", "#most false alarms a week of one alert", "#incidents found", "soonest after", "what changes"]
    told = (
        f"Each way alone, to keep every drift alert to {study.plan.most_per_week:g} false alarms a week. Chosen is "
        "what keeps to it and finds most incidents, soonest. It was found on this very history: try it on another "
        "stretch of time before you trust it."
    )
    return ["<h2>Ways to fewer false alarms</h2>", f"<p>{told}</p>", _table(head, rows, chosen=chosen)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, chosen: Sequence[bool] = ()) -> str:
    """Write a table; columns whose title begins with # are numbers. Cells are HTML."""
    classes = [' class="number"' if title.startswith("#") else "" for title in head]
    titles = "".join(f"<th{c}>{escape(t.removeprefix('#'))}</th>" for t, c in zip(head, classes, strict=True))
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td{c}>{cell}</td>" for cell, c in zip(row, classes, strict=True))
        lines.append(f'<tr class="chosen">{cells}</tr>' if i < len(chosen) and chosen[i] else f"<tr>{cells}</tr>")
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _key(study: Study) -> str:
    line = '<svg viewBox="0 0 28 10"><path class="{}" d="M0 5L28 5"/></svg>'
    box = '<svg viewBox="0 0 28 10"><rect class="{}" width="28" height="10"/></svg>'
    entries = [
        (line.format("psi"), f"PSI of the last {study.plan.settings.drift.alert_window}"),
        (line.format("least"), "what chance explains: a level needs more"),
    ]
    if study.plan.incidents:
        entries.append((box.format("incident"), "incident"))
    told = "".join(f"<span>{drawn}{escape(name)}</span>" for drawn, name in entries)
    return (
        f'<p class="key soft">{told}</p><p class="soft">Heights go by the square root. There is no line where the '
        f"window holds fewer than {study.plan.settings.drift.min_samples} samples.</p>"
    )


def _finite(values: Floats) -> Floats:
    """Leave out where there were no samples."""
    return np.where(np.isfinite(values), values, np.nan)


def _plots(study: Study, axis: TimeAxis) -> list[str]:
    series, settings = study.alert_series, study.plan.settings
    thresholds = settings.drift.thresholds
    levels = [(level.lower(), getattr(thresholds, level.lower())) for level in LEVELS]
    keys = keys_of(study.comparison)
    peaks = [float(np.nanmax(psi, initial=0.0)) for psi in series.psi]
    alarms = [sum(f.subject == key.name and f.alert in DRIFT_ALERTS for f in study.firings) for key in keys]
    order = sorted(range(len(keys)), key=lambda i: (-alarms[i], -peaks[i]))
    drawn = []
    for i in order[:MOST_PLOTS]:
        key = keys[i]
        kind = "DataDrift" if key.role == "input" else "PredictionDrift"
        rows = [alert for alert in DRIFT_ALERTS if alert.endswith(kind) and settings.policy(alert).enabled]
        plot = PsiPlot(
            title=key.name,
            first=series.evaluated.first / 1000,
            step=series.evaluated.interval / 1000,
            psi=np.asarray(series.psi[i]),
            least=_finite(series.threshold(i, study.comparison.significance_factor[i])),
            levels=levels,
            firings=[f for f in study.firings if f.subject == key.name and f.alert in rows],
            rows=rows,
        )
        drawn.append(f"<h3>{escape(key.role)} {escape(key.name)}</h3>")
        drawn.append(f'<div class="scroll" tabindex="0">{psi_plot(plot, axis, study.plan.incidents)}</div>')
    left = len(order) - MOST_PLOTS
    if left > 0:
        drawn.append(f'<p class="soft">{left} more features, with fewer firings and a lower PSI, are not drawn.</p>')
    return drawn
