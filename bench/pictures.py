"""Pictures of what was measured, in colours of Okabe and Ito, which the colour-blind can tell apart."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

from bench.figures import Figures

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#8A8A8A"
CALLERS = {
    "log": "client log()",
    "datagram": "Unix datagram",
    "http_client": "http.client POST\n(connection kept)",
    "requests_session": "requests POST\n(session)",
    "requests": "requests.post",
}
WAYS = {
    "single POST, HTTP": ("single.process_us", "single.minimal_decode_us"),
    "single POST, Unix stream": ("single.unix_stream_us", ""),
    "datagram, one event": ("datagram.process_us", "datagram.minimal_us"),
    "datagram, NDJSON of 500": ("datagram.ndjson_us", ""),
    "HTTP, NDJSON of 500": ("ingest.5.ndjson.process_us", "ingest.5.ndjson.minimal_us"),
    "HTTP, JSON columns of 500": ("ingest.5.columns.process_us", "ingest.5.columns.minimal_us"),
    "HTTP, MessagePack of 500": ("ingest.5.msgpack.process_us", "ingest.5.msgpack.minimal_us"),
    "datagram, MessagePack of 1,000": ("datagram.msgpack_us", ""),
}
GROWTH = {
    "event_us": ("CPU an event", "µs"),
    "drift_ms": ("drift of all features", "ms"),
    "scrape_ms": ("scrape", "ms"),
    "resident_mib": ("resident memory", "MiB"),
}
COUNTS = (5, 50, 500, 5000)


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw what has been measured; returns the files."""
    folder.mkdir(exist_ok=True)
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    drawn = []
    if "callers.log.median_us" in figures and "single.process_us" in figures:
        drawn.append(_transports(figures, folder / "transports.png", plain))
    if "growth.5000.event_us" in figures:
        drawn.append(_growth(figures, folder / "growth.png", plain))
    return drawn


def _transports(figures: Figures, path: Path, plain: Any) -> Path:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6))
    names = [name for name in CALLERS if f"callers.{name}.median_us" in figures]
    at = range(len(names))
    medians, highs = ([figures[f"callers.{name}.{what}"] for name in names] for what in ("median_us", "p99_us"))
    left.barh(at, medians, color=BLUE, height=0.55, label="median")
    left.plot(highs, at, "D", color=ORANGE, markeredgecolor="black", markersize=7, label="p99")
    for i, value in enumerate(medians):
        left.annotate(_short(value), (value, i), xytext=(4, 9), textcoords="offset points", fontsize=9)
    _axes(left, [CALLERS[name] for name in names], plain)
    left.set_xlabel("µs added to the caller by one event (log scale)")
    left.set_title("What the application waits")
    ways = {name: keys for name, keys in WAYS.items() if keys[0] in figures}
    values = [figures[key] for key, _ in ways.values()]
    right.barh(range(len(ways)), values, color=BLUE, height=0.6, label="sidecar")
    floors = [(figures[floor], i) for i, (_, floor) in enumerate(ways.values()) if floor in figures]
    right.plot(
        *zip(*floors, strict=True), "|", color=ORANGE, markersize=20, markeredgewidth=3, label="minimal receiver"
    )
    for i, value in enumerate(values):
        beyond = max([value, *(floor for floor, where in floors if where == i)])
        right.annotate(_short(value), (beyond, i), xytext=(6, -3), textcoords="offset points", fontsize=9)
    _axes(right, list(ways), plain)
    right.set_xlabel("µs of CPU an event, whole process (log scale)")
    right.set_title("What the sidecar uses, 5 features")
    return _save(figure, path)


def _axes(axes: Any, names: list[str], plain: Any) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 1.6)
    axes.xaxis.set_major_formatter(plain)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower center", bbox_to_anchor=(0.5, -0.36), ncols=2, frameon=False)


def _growth(figures: Figures, path: Path, plain: Any) -> Path:
    figure, panels = plt.subplots(1, 4, figsize=(13, 3.4))
    for axes, (what, (title, unit)) in zip(panels, GROWTH.items(), strict=True):
        values = [figures[f"growth.{count}.{what}"] for count in COUNTS]
        axes.semilogx(COUNTS, values, "o-", color=BLUE, label="measured")
        if what != "resident_mib":
            axes.set_yscale("log")
            line = [values[-1] * count / COUNTS[-1] for count in COUNTS]
            axes.loglog(COUNTS, line, "--", color=GREY, label="in proportion to features")
        for count, value in zip(COUNTS, values, strict=True):
            axes.annotate(
                _short(value), (count, value), xytext=(-3, 6), textcoords="offset points", ha="right", fontsize=9
            )
        axes.set_xticks(COUNTS)
        axes.set_xlim(1.2, 10_000)
        axes.set_ylim(*((min(values) / 3, max(values) * 3) if what != "resident_mib" else (0, max(values) * 1.2)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(plain)
        axes.minorticks_off()
        axes.grid(color="#dddddd")
        axes.set_title(title)
        axes.set_ylabel(unit)
        axes.set_xlabel("features")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
    return _save(figure, path)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=110, facecolor="white", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return path
