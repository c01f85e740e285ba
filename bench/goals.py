"""Goals: what the work is to cost at most, and what was measured, a line each.

Every ratio is to a floor or a peer of the same run. A goal is met by the median, without a margin.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.figures import Figures

Value = Callable[[Figures], float]


@dataclass(frozen=True, slots=True)
class Goal:
    """One line: a value, or its ratio to another, and the bound on it."""

    work: str
    aim: str
    unit: str
    value: Value
    other: Value | None
    bound: float
    at_least: bool = False

    def line(self, figures: Figures) -> str:
        """Return the line of the table."""
        try:
            value = self.value(figures)
            other = self.other(figures) if self.other else None
        except (KeyError, ValueError):  # not all that it needs was measured
            return f"| {self.work} | {self.aim} | not measured | – | – |"
        if other is None:
            measured = f"{number(value)} {self.unit}"
            met, ratio = value <= self.bound, f"{number(value / self.bound)} of the goal" if self.bound else "–"
        else:
            measured = f"{number(value)} to {number(other)} {self.unit}"
            quotient = other / value if self.at_least else value / other
            met = quotient >= self.bound if self.at_least else quotient <= self.bound
            ratio = f"{number(quotient)}x" + (" less" if self.at_least else "")
        return f"| {self.work} | {self.aim} | {measured} | {ratio} | {'yes' if met else '**no**'} |"


def number(value: float) -> str:
    """Write a number with two or three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def figure(name: str) -> Value:
    """Return the value of a figure."""
    return lambda figures: figures[name]


def within(work: str, aim: str, unit: str, name: str, other: str, most: float) -> Goal:
    """Have a figure be at most so many times another."""
    return Goal(work, aim, unit, figure(name), figure(other), most)


def less(work: str, aim: str, unit: str, name: str, other: str, least: float) -> Goal:
    """Have a figure be at least so many times less than another."""
    return Goal(work, aim, unit, figure(name), figure(other), least, at_least=True)


def at_most(work: str, aim: str, unit: str, value: Value | str, most: float) -> Goal:
    """Have a figure be at most so much."""
    return Goal(work, aim, unit, figure(value) if isinstance(value, str) else value, None, most)


def slowest_log(what: str) -> Value:
    """Return the worst of a figure of `log` over every transport and state of the sidecar, at a steady pace."""

    def worst(figures: Figures) -> float:
        return max(
            value
            for name, value in figures.below("client")
            if name.endswith(f".paced.{what}") and not name.startswith(("nothing.", "append."))
        )

    return worst


def growth_of_a_value(figures: Figures) -> float:
    """Return the most that a value costs with 500 or 5,000 features, in ns."""
    return max(figures[f"growth.{features}.event_us"] / features * 1e3 for features in (500, 5000))


def start_allowed(figures: Figures) -> float:
    """Return what a start may take, in seconds."""
    return max(0.6, 1.3 * figures["start.imports_s"])


_NDJSON, _BINARY = "NDJSON of 500", "columns of 500, MessagePack"
_SINGLE, _DATAGRAM = "single POST", "Unix datagram, one event each"
_SCRAPE = "scrape, 200 features x 12 bins"
_INSTRUCTIONS = "instructions"

GOALS = (
    within(
        _NDJSON, "<= 1.3x a minimal receiver", "µs", "ingest.5.ndjson.process_us", "ingest.5.ndjson.minimal_us", 1.3
    ),
    less(
        _NDJSON,
        ">= 7x fewer than `prometheus_client`",
        _INSTRUCTIONS,
        "instructions.ndjson",
        "instructions.client_library",
        7,
    ),
    less(_NDJSON, ">= 55x fewer than the seed's design", _INSTRUCTIONS, "instructions.ndjson", "instructions.seed", 55),
    within(
        "columns of 500, JSON",
        "<= 1.3x a minimal receiver",
        "µs",
        "ingest.5.columns.process_us",
        "ingest.5.columns.minimal_us",
        1.3,
    ),
    within(_BINARY, "<= 2x a minimal receiver", "µs", "ingest.5.msgpack.process_us", "ingest.5.msgpack.minimal_us", 2),
    at_most(_BINARY, "<= 2,000 instructions", _INSTRUCTIONS, "instructions.msgpack", 2000),
    within(
        _SINGLE,
        "<= 1.1x a minimal receiver that only decodes",
        "µs",
        "single.process_us",
        "single.minimal_decode_us",
        1.1,
    ),
    less(_SINGLE, ">= 2.5x less than the seed's design", "µs", "single.process_us", "single.seed_us", 2.5),
    at_most(_SINGLE, "<= 230,000 instructions", _INSTRUCTIONS, "instructions.one", 230_000),
    at_most(_SINGLE, "stretch: <= 48,000 instructions", _INSTRUCTIONS, "instructions.one", 48_000),
    less(
        _SINGLE,
        "stretch: >= 12x fewer than the seed's design",
        _INSTRUCTIONS,
        "instructions.one",
        "instructions.seed",
        12,
    ),
    within(
        _DATAGRAM, "<= 1.4x blocking receive, decode, bins", "µs", "datagram.process_us", "datagram.minimal_us", 1.4
    ),
    at_most(_DATAGRAM, "none lost at 50,000 a second", "lost", "datagram.lost", 0),
    Goal(_DATAGRAM, "50,000 a second sent", "a second", lambda _: 50_000, figure("datagram.per_second"), 1.02),
    within(
        "Unix datagram, NDJSON of 500",
        "<= 1.3x blocking receive, decode, bins",
        "µs",
        "datagram.ndjson_us",
        "datagram.ndjson_minimal_us",
        1.3,
    ),
    at_most("drift, 200 features, 3 windows", "<= 1 ms", "ms", "drift.200_ms", 1),
    at_most("drift, 5,000 features, 3 windows", "<= 20 ms", "ms", "drift.5000_ms", 20),
    within(_SCRAPE, "<= 2x the same series written by hand", "ms", "scrape.expose_ms", "scrape.by_hand_ms", 2),
    less(_SCRAPE, ">= 15x faster than `prometheus_client`", "ms", "scrape.expose_ms", "scrape.client_library_ms", 15),
    at_most(_SCRAPE, "holds up ingest <= 5 ms", "ms", "scrape.held_up_ms", 5),
    at_most("resident, at rest", "<= 56 MiB", "MiB", "memory.idle_mib", 56),
    at_most("resident, 200 features, 10 million events", "<= 64 MiB", "MiB", "memory.full_mib", 64),
    at_most("resident, 5,000 features", "<= 160 MiB", "MiB", "memory.many_mib", 160),
    Goal(
        "start to ready, 200 features", "<= 0.6 s, or 1.3x its imports", "s", figure("start.ready_s"), start_allowed, 1
    ),
    at_most("client `log()`, median", "<= 2 µs, whatever the sidecar's state", "µs", slowest_log("median_us"), 2),
    at_most("client `log()`, p99.9", "<= 50 µs, whatever the sidecar's state", "µs", slowest_log("p999_us"), 50),
    Goal(
        "growth, a value with 500 or 5,000 features",
        "<= 1.5x of one with 50",
        "ns",
        growth_of_a_value,
        lambda figures: figures["growth.50.event_us"] / 50 * 1e3,
        1.5,
    ),
    within(
        "growth, window of 30d",
        "<= 1.2x one of 5m",
        "µs",
        "growth.length.30d.event_us",
        "growth.length.5m.event_us",
        1.2,
    ),
    within(
        "growth, drift of a window of 30d",
        "<= 1.2x one of 5m",
        "ms",
        "growth.length.30d.drift_ms",
        "growth.length.5m.drift_ms",
        1.2,
    ),
    within(
        "growth, 33 days later",
        "<= 1.2x the start",
        "µs",
        "growth.uptime.later.event_us",
        "growth.uptime.begin.event_us",
        1.2,
    ),
    within(
        "growth, drift 33 days later",
        "<= 1.2x the start",
        "ms",
        "growth.uptime.later.drift_ms",
        "growth.uptime.begin.drift_ms",
        1.2,
    ),
)


def table(figures: Figures) -> str:
    """Return the table, as Markdown."""
    lines = ["| work | goal | measured | ratio | met |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(goal.line(figures) for goal in GOALS)])


def main(figures: Figures) -> None:
    """Print the table."""
    print(table(figures))
