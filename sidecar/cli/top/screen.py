"""A reading as what a terminal shows: a table for each model, and lines on latency, errors and the sidecar."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sidecar.cli.terminal import bar, printable
from sidecar.cli.top.read import Reading, Report
from sidecar.statistics.levels import LEVELS, UNKNOWN

STYLES = {
    "critical": "bold red",
    "significant": "bold dark_orange",
    "moderate": "yellow",
    "none": "green",
    UNKNOWN: "dim",
}
FULL_PSI = 0.5
BAR_WIDTH = 16

_LINES_A_MODEL = 7
"""Lines of a model beside its features: between, title, head of the table and its rule, latency, goals, errors."""
_FEW_ROWS = 5
"""Features for which a model is shown in full rather than by its title alone."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How much of a reading to show: models in full, the others by their title, and features of each."""

    models: int
    rows: int


def fit(models: int, *, height: int, rows: int | None) -> Fit:
    """Return what a terminal of so many lines shows, with `rows` features of each model, or as many as there is room.

    >>> fit(1, height=24, rows=None), fit(4, height=24, rows=None)
    (Fit(models=1, rows=13), Fit(models=1, rows=9))
    """
    room = height - 3
    least = _LINES_A_MODEL + (rows or _FEW_ROWS) + 1
    full = max(1, min(models, (room - models) // (least - 1)))
    others = (models - full) + (1 if models > full else 0)
    return Fit(full, rows or max(1, (room - others) // full - _LINES_A_MODEL - 1))


def screen(reading: Reading, sidecar: str, shown: Fit, *, width: int, window: str | None) -> Group:
    """Show a reading, the models that drifted furthest first."""
    parts: list[RenderableType] = [_health(reading, sidecar), _ingest(reading)]
    models = sorted(reading.drift.items(), key=lambda item: _gravity(item[1], window or item[1]["window"]))
    for name, drift in models[: shown.models]:
        chosen = window or drift["window"]
        parts += [Text(), _title(name, drift, chosen)]
        if drift["features"]:
            parts.append(_features(drift["features"][: shown.rows], chosen, width=width))
        hidden = drift["matched"] - min(shown.rows, len(drift["features"]))
        if hidden > 0:
            parts.append(Text(f"and {hidden:,} more", style="dim"))
        parts += _service(reading.latency[name], chosen)
    others = models[shown.models :]
    return Group(*parts, *([Text()] if others else []), *(_title(n, d, window or d["window"]) for n, d in others))


def _gravity(drift: Report, window: str) -> int:
    return list(STYLES).index(_worst(drift, window))


def _worst(drift: Report, window: str) -> str:
    """Return the gravest level of any feature, `unknown` before there is one."""
    counts = _counts(drift, window)
    return next((word for word in STYLES if counts[word]), UNKNOWN)


def _counts(drift: Report, window: str) -> dict[str, int]:
    levels = drift["levels"].get(window, {})
    return {word: sum(by_level[word] for by_level in levels.values()) for word in STYLES}


def loss(reason: str, reading: Reading | None, *, age: float) -> Text:
    """Say that the sidecar does not answer, and how old what is shown is, in seconds."""
    shown = f"; what is shown is of {_clock(reading.timestamp)}, {_lasting(age)} old" if reading else ""
    return Text(f" NO ANSWER: {printable(reason)}{shown} ", style="bold white on red")


def _health(reading: Reading, sidecar: str) -> Text:
    health = reading.health
    line = _line("").append(f"model-sidecar {health['version']}", style="bold")
    line.append(f" at {printable(sidecar)}, up {_lasting(health['uptime_seconds'])}, at {_clock(reading.timestamp)}")
    if not health["last_load"]["successful"]:
        line.append("; last load FAILED", style=STYLES["critical"])
    return line


def _ingest(reading: Reading) -> Text:
    """Say what came by each transport, and what of it was lost, by reason."""
    line = _line("ingest   ")
    for i, (transport, counts) in enumerate(reading.health["ingest"].items()):
        line.append(f"{'; ' if i else ''}{transport.replace('_', ' ')} {counts['events']:,} taken")
        for word, by_reason in (("refused", counts["rejected"]), ("dropped", counts["dropped"])):
            for reason, count in by_reason.items():
                if count:
                    line.append(f", {count:,} {word} ({reason.replace('_', ' ')})", style=STYLES["moderate"])
    return line


def _title(name: str, drift: Report, window: str) -> Text:
    text = _line("").append(printable(name), style="bold").append("  ")
    if drift["learning"]:
        done, of = drift["learning"]["events"], drift["learning"]["of"]
        return text.append(f"learning: {done:,} of {of:,} events {bar(done / of, width=BAR_WIDTH)}")
    counts, worst = _counts(drift, window), _worst(drift, window)
    moved = sum(counts[word] for word in LEVELS[1:])
    text.append(_said(worst), style=STYLES[worst])
    text.append(f"  {moved:,} of {sum(counts.values()):,} moved in {window}")
    reference = drift["reference"]
    source = f"{printable(reference['source'])}, " if reference["source"] else ""
    rows = f"{reference['rows']:,} rows{_season(reference.get('season'))}"
    return text.append(f"; reference {source}{rows}, {reference['fingerprint']}", style="dim")


def _season(season: Mapping[str, str] | None) -> str:
    return f" by {season['cycle'].replace('-', ' ')} in {printable(season['time_zone'])}" if season else ""


def _features(entries: list[Report], window: str, *, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("level", no_wrap=True, min_width=11)
    table.add_column("feature", no_wrap=True, overflow="ellipsis")
    table.add_column("PSI", justify="right", no_wrap=True, min_width=6)
    with_bar, with_more = width >= 80, width >= 60
    if with_bar:
        table.add_column(f"0 to {FULL_PSI}", width=BAR_WIDTH, no_wrap=True)
    table.add_column("chance", justify="right", no_wrap=True, min_width=6)
    if with_more:
        table.add_column("missing", justify="right", no_wrap=True, min_width=7)
        table.add_column("samples", justify="right", no_wrap=True, min_width=7)
    for entry in entries:
        statistics: Mapping[str, Any] = entry["windows"][window]
        style = STYLES[statistics["level"]]
        psi = statistics["psi"]
        name = Text(printable(entry["feature"]))
        if entry["role"] == "output":
            name.append(" output", style="dim")
        cells: list[Text | str] = [Text(_said(statistics["level"]), style=style), name, _fixed(psi)]
        if with_bar:
            cells.append(Text(bar(min(psi or 0.0, FULL_PSI) / FULL_PSI, width=BAR_WIDTH), style=style))
        cells.append(_fixed(statistics["threshold"]))
        if with_more:
            cells += [_percent(statistics["missing_ratio"]), f"{statistics['samples']:,}"]
        table.add_row(*cells)
    return table


def _line(start: str) -> Text:
    return Text(start, overflow="ellipsis", no_wrap=True)


def _service(latency: Report, window: str) -> Iterator[Text]:
    reading = latency["windows"][window]
    yield _line("latency  ").append("  ".join(f"{name} {_time(reading[name])}" for name in ("p50", "p95", "p99")))
    line = _line("goals    ")
    for i, slo in enumerate(reading["slos"]):
        line.append(f"{'  ' if i else ''}{slo['target'] * 100:g}% within {_time(slo['seconds'])}: ")
        if slo["met"] is None or reading["count"] < latency["min_predictions"]:
            line.append("too few", style=STYLES[UNKNOWN])
        else:
            word, style = ("met", "none") if slo["met"] else ("missed", "significant")
            line.append(f"{word} {slo['within'] * 100:.2f}%", style=STYLES[style])
    yield line
    ratio, events = reading["error_ratio"], reading["events"]
    high = events >= latency["min_predictions"] and ratio > latency["error_limit"]
    line = _line("errors   ")
    line.append(f"{_percent(ratio)}{' high' if high else ''}", style=STYLES["critical"] if high else "")
    yield line.append(f", {reading['errors']:,} of {events:,} predictions")


def _said(level: str) -> str:
    return "no drift" if level == "none" else level


def _fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f}%"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _clock(timestamp: str) -> str:
    return f"{datetime.fromisoformat(timestamp).astimezone():%H:%M:%S}"


def _lasting(seconds: float) -> str:
    whole = max(0, round(seconds))
    for size, unit, smaller, smaller_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {smaller_unit}"
    return f"{whole} s"
