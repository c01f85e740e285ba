"""Document: write what was measured between the marks of docs/performance.md and README.md, and draw the pictures.

A mark is `<!-- measured: NAME -->`, and its end `<!-- end -->`.
"""

import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from bench import goals
from bench.figures import Figures
from bench.goals import number
from bench.peers.run import LIBRARIES

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "docs" / "performance.md", ROOT / "README.md")
MARKED = re.compile(r"(?s)(<!-- measured: (\w+) -->\n).*?(<!-- end -->)")

FORMS = {
    "one": "one object",
    "array": "array of 500",
    "ndjson": "NDJSON of 500",
    "columns": "columns of 500, JSON",
    "msgpack": "columns of 500, MessagePack",
}


def main(figures: Figures) -> None:
    """Write the documents and the pictures, and say which."""
    for path in DOCUMENTS:
        path.write_text(written(path.read_text(encoding="utf-8"), figures), encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    if find_spec("matplotlib") is None:
        print("no pictures: matplotlib is not installed: pip install 'model-sidecar[bench]'")
        return
    from bench import pictures

    for path in pictures.draw(figures, ROOT / "docs" / "images"):
        print(f"wrote {path.relative_to(ROOT)}")


def written(text: str, figures: Figures) -> str:
    """Return a text with the parts between marks made anew; raises KeyError where a mark names none."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]](figures)}\n{found[3]}", text)


def _machine(figures: Figures) -> str:
    return f"Measured on {figures.measured}: {figures.machine}."


def _ingest(features: int) -> Callable[[Figures], str]:
    def table(figures: Figures) -> str:
        lines = [
            f"| {features} features | decode | and bins | counted | minimal | process | ratio | events a second |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for key, name in FORMS.items():
            start = f"ingest.{features}.{key}"
            cells = [figures.get(f"{start}.{what}_us") for what in ("decode", "bins", "counted", "minimal", "process")]
            ratio = _quotient(cells[4], cells[3])
            rate = figures.get(f"{start}.per_second")
            texts = [_cell(cell, " µs") for cell in cells] + [ratio, "–" if rate is None else f"{rate:,.0f}"]
            lines.append(f"| {name} | {' | '.join(texts)} |")
        return "\n".join(lines)

    return table


def _ways(figures: Figures) -> str:
    names = {
        "single.process_us": "single POST, loopback HTTP",
        "single.unix_stream_us": "single POST, Unix stream",
        "single.minimal_decode_us": "single POST, minimal receiver that only decodes",
        "single.seed_us": "single POST, the seed's design",
        "datagram.process_us": "Unix datagram, one event each",
        "datagram.minimal_us": "the same, blocking receive, decode and bins",
        "datagram.receive_us": "the same, blocking receive alone",
        "datagram.ndjson_us": "Unix datagram, NDJSON of 500",
        "datagram.ndjson_minimal_us": "the same, blocking receive, decode and bins",
        "datagram.msgpack_us": "Unix datagram, MessagePack of 1,000",
    }
    lines = ["| 5 numeric features | CPU an event |", "|---|---|"]
    lines += [f"| {text} | {_cell(figures.get(name), ' µs')} |" for name, text in names.items()]
    return "\n".join(lines)


def _instructions(figures: Figures) -> str:
    names = {
        **{key: name for key, name in FORMS.items() if key != "array"},
        "minimal_one": "one object, minimal receiver",
        "minimal_ndjson": "NDJSON of 500, minimal receiver",
        "client_library": "`prometheus_client` histograms by hand",
        "seed": "the seed's design, one object",
    }
    lines = ["| 5 numeric features | thousand instructions an event |", "|---|---|"]
    for key, name in names.items():
        value = figures.get(f"instructions.{key}")
        lines.append(f"| {name} | {'–' if value is None else number(value / 1000)} |")
    return "\n".join(lines)


def _peers(figures: Figures) -> str:
    lines = [
        "| | CPU an event, 5 / 200 features | drift of all, 5 / 200 | scrape, 200 | resident, 200 |",
        "|---|---|---|---|---|",
    ]
    ours = {"cpu_us": ("ingest.5.one.process_us", "ingest.200.one.process_us"),
            "drift_ms": ("drift.5_ms", "drift.200_ms")}  # fmt: skip
    single = " / ".join(_cell(figures.get(name), "") for name in ours["cpu_us"])
    batch = " / ".join(_cell(figures.get(f"ingest.{features}.ndjson.process_us"), "") for features in (5, 200))
    drift = " / ".join(_cell(figures.get(name), "") for name in ours["drift_ms"])
    scrape, resident = _cell(figures.get("scrape.expose_ms"), " ms"), _cell(figures.get("memory.full_mib"), " MiB")
    lines.append(f"| model-sidecar, single POSTs | {single} µs | {drift} ms | {scrape} | {resident} |")
    lines.append(f"| model-sidecar, NDJSON of 500 | {batch} µs | {drift} ms | {scrape} | {resident} |")
    rows: Mapping[str, str] = {"seed": "the seed's design, single POSTs", **LIBRARIES}
    for key, name in rows.items():
        few, many = f"peers.5.{key}", f"peers.200.{key}"
        cpu, drift = _both(figures, few, many, "cpu_us", "µs"), _both(figures, few, many, "drift_ms", "ms")
        scrape, resident = (
            _cell(figures.get(f"{many}.{what}"), unit)
            for what, unit in (("scrape_ms", " ms"), ("resident_mib", " MiB"))
        )
        lines.append(f"| {name} | {cpu} | {drift} | {scrape} | {resident} |")
    also = {
        "whylogs_rolling.frames_cpu_us": "whylogs, the same given frames of 1,000",
        "river_detectors.page_hinkley_cpu_us": "river, Page-Hinkley",
        "river_detectors.kswin_cpu_us": "river, KSWIN",
    }
    for key, name in also.items():
        cells = [_cell(figures.get(f"peers.{features}.{key}"), "") for features in (5, 200)]
        lines.append(f"| {name} | {cells[0]} / {cells[1]} µs | – | – | – |")
    return "\n".join(lines)


def _both(figures: Figures, few: str, many: str, what: str, unit: str) -> str:
    cells = [figures.get(f"{few}.{what}"), figures.get(f"{many}.{what}")]
    return "–" if cells == [None, None] else f"{_cell(cells[0], '')} / {_cell(cells[1], '')} {unit}"


def _client(figures: Figures) -> str:
    lines = [
        "| µs, HTTP to datagram | paced, median | p99.9 | flat out, median | p99.9 |",
        "|---|---|---|---|---|",
        f"| an empty function | {' | '.join(_client_cells(figures, ['nothing']))} |",
        f"| a copy and an append | {' | '.join(_client_cells(figures, ['append']))} |",
    ]
    states = {
        "up": "sidecar up",
        "slow": "sidecar slow",
        "hung": "sidecar hung (SIGSTOP)",
        "stopped": "sidecar stopped",
    }
    for key, name in states.items():
        cells = _client_cells(figures, [f"{scheme}.{key}" for scheme in ("http", "unix", "unixgram")])
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _client_cells(figures: Figures, starts: list[str]) -> list[str]:
    cells = []
    for what in ("paced.median_us", "paced.p999_us", "flat.median_us", "flat.p999_us"):
        found = [value for start in starts if (value := figures.get(f"client.{start}.{what}")) is not None]
        cells.append("–".join(dict.fromkeys(map(number, (min(found), max(found))))) if found else "–")
    return cells


def _claims(figures: Figures) -> str:
    wanted = ("ingest.5.ndjson.process_us", "scrape.expose_ms", "memory.idle_mib")
    cells = [figures.get(name) for name in wanted]
    event, scrape, memory = ("–" if cell is None else f"{cell:.2g}" if cell < 10 else f"{cell:.0f}" for cell in cells)
    return (
        f"About {event} µs of CPU an event in batches of 500, {scrape} ms a scrape with 200 features, "
        f"{memory} MiB of memory\n([how that was measured](docs/performance.md))."
    )


def _cell(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{number(value)}{unit}"


def _quotient(value: float | None, other: float | None) -> str:
    return "–" if value is None or not other else f"{value / other:.2f}"


PARTS: Mapping[str, Callable[[Figures], str]] = {
    "machine": _machine,
    "goals": goals.table,
    "ingest_5": _ingest(5),
    "ingest_200": _ingest(200),
    "ways": _ways,
    "instructions": _instructions,
    "peers": _peers,
    "client": _client,
    "claims": _claims,
}
