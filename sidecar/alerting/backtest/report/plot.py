"""Plot: pictures of the page, as SVG without scripts; colours are those of its style sheet."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

import numpy as np

from sidecar.alerting.backtest.report.text import length, moment
from sidecar.alerting.backtest.score import Incident
from sidecar.alerting.backtest.states import Firing
from sidecar.statistics.bins import Floats

WIDTH = 1080
LEFT, RIGHT = 170, 14
_TOP, _HEIGHT, _ROW = 18, 170, 13
_BOTTOM = 24
_MOST_TICKS = 12
_STEPS = [60 * m for m in (1, 5, 15, 30, 60, 180, 360, 720)] + [86_400 * d for d in (1, 2, 7, 14)]


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Where a time lies between the edges of a picture; times are seconds of Unix time."""

    first: float
    last: float

    def x(self, time: float) -> float:
        """Return the place of a time, within the picture."""
        share = (min(max(time, self.first), self.last) - self.first) / (self.last - self.first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return round times and what they are called."""
        span = self.last - self.first
        step = next((s for s in _STEPS if span / s <= _MOST_TICKS), None)
        if step is None:
            return list(self._months())
        times = np.arange(-(-self.first // step) * step, self.last, step).tolist()
        return [(t, _clock(t, step)) for t in times]

    def _months(self) -> Iterable[tuple[float, str]]:
        start, end = (datetime.fromtimestamp(t, UTC) for t in (self.first, self.last))
        months = (end.year - start.year) * 12 + end.month - start.month
        every = -(-months // _MOST_TICKS) or 1
        at = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        number = 0
        while at <= end:
            if at >= start and number % every == 0:
                yield at.timestamp(), at.strftime("%b" if at.month > 1 and every == 1 else "%b %Y")
            at = (at + timedelta(days=32)).replace(day=1)
            number += 1


def _clock(time: float, step: int) -> str:
    at = datetime.fromtimestamp(time, UTC)
    return f"{at:%b} {at.day}" if step >= 86_400 or at.hour == at.minute == 0 else f"{at:%H:%M}"


@dataclass(frozen=True, slots=True)
class PsiPlot:
    """PSI of one feature: `psi` and the `least` that means anything, at times from `first` every `step` seconds."""

    title: str
    first: float
    step: float
    psi: Floats
    least: Floats
    levels: Sequence[tuple[str, float]]
    firings: Sequence[Firing]
    rows: Sequence[str]


def psi_plot(plot: PsiPlot, axis: TimeAxis, incidents: Sequence[Incident]) -> str:
    """Draw PSI by time over the levels and what chance explains, and below it when each alert fired."""
    top, bottom = _TOP, _TOP + _HEIGHT
    height = bottom + 6 + _ROW * len(plot.rows) + _BOTTOM
    highest = float(np.nanmax(plot.psi, initial=plot.levels[-1][1])) * 1.05

    def y(value: float) -> float:
        # By the square root: the levels lie low, and a broken input a hundred times higher.
        return round(bottom - math.sqrt(min(max(value, 0.0), highest) / highest) * _HEIGHT, 1)

    parts = [_open(height, f"PSI of {plot.title} by time")]
    parts += _incidents(incidents, axis, top, bottom + 6 + _ROW * len(plot.rows))
    parts += _grid(axis, top, height - _BOTTOM, labels=True)
    last_y = np.inf
    for name, level in plot.levels:
        place = y(level)
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place}" y2="{place}"/>')
        if last_y - place >= 11:  # else it would be written over the one below
            parts.append(f'<text class="name" x="{LEFT - 8}" y="{place + 3.5}">{name} {level:g}</text>')
            last_y = place
    if last_y - top > 14:
        parts.append(f'<text class="name" x="{LEFT - 8}" y="{top + 3.5}">PSI {highest:.2g}</text>')
    times, least = _thinned(plot.first, plot.step, plot.least, highest=False)
    parts.append(f'<path class="least" d="{_path(times, least, axis, y)}"/>')
    times, psi = _thinned(plot.first, plot.step, plot.psi, highest=True)
    parts.append(f'<path class="psi" d="{_path(times, psi, axis, y)}"/>')
    for i, row in enumerate(plot.rows):
        parts += _strip(row, [f for f in plot.firings if f.alert == row], axis, bottom + 6 + _ROW * i)
    return "".join([*parts, "</svg>"])


def timeline(rows: Sequence[str], firings: Sequence[Firing], axis: TimeAxis, incidents: Sequence[Incident]) -> str:
    """Draw when each alert fired, a row for each."""
    bottom = _TOP + 20 * len(rows)
    parts = [_open(bottom + _BOTTOM, "When each alert fired")]
    parts += _incidents(incidents, axis, _TOP - 4, bottom)
    parts += _grid(axis, _TOP - 4, bottom, labels=True)
    for i, row in enumerate(rows):
        parts += _strip(row, [f for f in firings if f.alert == row], axis, _TOP + 20 * i, height=14)
    return "".join([*parts, "</svg>"])


def _open(height: float, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">'


def _incidents(incidents: Sequence[Incident], axis: TimeAxis, top: float, bottom: float) -> list[str]:
    parts = []
    for incident in incidents:
        left, right = axis.x(incident.start), axis.x(incident.end)
        if incident.end < axis.first or incident.start > axis.last:
            continue
        said = escape(f"incident, {moment(incident.start)} to {moment(incident.end)}")
        parts.append(
            f'<rect class="incident" x="{left}" y="{top}" width="{max(right - left, 3):.1f}" height="{bottom - top}">'
            f"<title>{said}</title></rect>"
        )
        parts.append(f'<text class="tick" x="{(left + right) / 2:.1f}" y="{top - 4}">incident</text>')
    return parts


def _grid(axis: TimeAxis, top: float, bottom: float, *, labels: bool) -> list[str]:
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>']
    for time, name in axis.ticks():
        x = axis.x(time)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        if labels and LEFT + 12 < x < WIDTH - RIGHT - 20:
            parts.append(f'<text class="tick" x="{x}" y="{bottom + 15}">{name}</text>')
    return parts


def _strip(row: str, firings: Sequence[Firing], axis: TimeAxis, top: float, *, height: float = 10) -> list[str]:
    kind = _kind(row)
    parts = [f'<text class="name" x="{LEFT - 8}" y="{top + height - 2}">{escape(row)}</text>']
    drawn = -1.0
    for firing in sorted(firings, key=lambda f: f.start):
        left = axis.x(firing.start)
        right = max(axis.x(firing.end), left + 1.5)
        if right <= drawn:  # it lies within what is drawn already
            continue
        about = f"{firing.subject}: " if firing.subject else ""
        said = f"{about}from {moment(firing.start)} for {length(firing.seconds)}, up to {firing.peak:.3g}"
        parts.append(
            f'<rect class="{kind}" x="{left}" y="{top}" width="{right - left:.1f}" height="{height}">'
            f"<title>{escape(said)}</title></rect>"
        )
        drawn = right
    return parts


def _kind(alert: str) -> str:
    for kind in ("moderate", "significant", "critical", "rollback"):
        if alert.lower().startswith(kind) and alert.endswith("Drift"):
            return kind
    return "service"


def _thinned(first: float, step: float, values: Floats, *, highest: bool) -> tuple[Floats, Floats]:
    """Keep about as many points as the picture has across: of each stretch the highest, or the middle one."""
    size = max(1, -(-values.size // (WIDTH - LEFT - RIGHT)))
    padded = np.full(-(-values.size // size) * size, np.nan)
    padded[: values.size] = values
    stretches = padded.reshape(-1, size)
    there = ~np.isnan(stretches).all(axis=1)
    kept = np.full(len(stretches), np.nan)
    kept[there] = np.nanmax(stretches[there], axis=1) if highest else np.nanmedian(stretches[there], axis=1)
    times = first + step * (np.arange(len(stretches)) * size + (size - 1) / 2)
    return np.asarray(times, dtype=np.float64), kept


def _path(times: Floats, values: Floats, axis: TimeAxis, y: Callable[[float], float]) -> str:
    parts, pen = [], "M"
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        if value != value:  # nothing is drawn where drift could not be judged
            pen = "M"
            continue
        parts.append(f"{pen}{axis.x(time)} {y(value)}")
        pen = "L"
    return "".join(parts)
