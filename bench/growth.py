"""Growth: what 5, 50, 500 and 5,000 features cost; and that length of windows and uptime cost nothing."""

from bench.figures import Figures
from bench.measure import cpu_seconds, here, in_turn, median_milliseconds, repeated, resident_mebibytes
from bench.work import bodies, connect, monitor, posting, running_sidecar, samples
from sidecar.monitor.status import LoadState
from sidecar.reports.collector import Collector

FEATURES = (5, 50, 500, 5000)
EVENTS = 500
"""Events of a body: as many for few features as for many, since a column costs something whatever its length."""
VALUES = 100_000
LENGTHS = {"5m": ("5m",), "1d": ("1d",), "30d": ("30d",)}
PANES, PANE_SECONDS = 2000, 24 * 60.0
"""Panes of the longest window, 24h, in each of which an event comes: every ring has turned over 33 times."""
STEADY = 200


def main(figures: Figures) -> None:
    """Print the cost by features, by length of the window, and by time."""
    print("growth by features: CPU of the process, drift and scrape in ms, resident MiB")
    print(f"{'features':>10}{'µs/event':>12}{'ns/value':>10}{'drift':>10}{'scrape':>10}{'resident':>10}")
    for features in FEATURES:
        _by_features(figures, features)
    print(f"\ngrowth by length of one window, {STEADY} features: CPU µs an event, drift ms")
    for text, windows in LENGTHS.items():
        _one(figures, f"length.{text}", text, windows, now=1.0)
    print(f"\ngrowth by uptime, {STEADY} features, windows of 5m, 1h, 24h: CPU µs an event, drift ms")
    _one(figures, "uptime.begin", "at the start", ("5m", "1h", "24h"), now=1.0)
    later = f"{round(PANES * PANE_SECONDS / 86400)} days later"
    _one(figures, "uptime.later", later, ("5m", "1h", "24h"), now=1.0, panes=PANES)


def _by_features(figures: Figures, features: int) -> None:
    body = bodies(features, events=EVENTS)[4]
    watched = monitor(features)
    watched.submit(body.content, body.form, transport="bench", now=1.0)
    comparison = watched.models["bench"].comparison
    assert comparison is not None  # it has a reference
    name = f"growth.{features}"
    drift = figures[f"{name}.drift_ms"] = median_milliseconds(lambda: comparison.read(now=1.0))
    collector = Collector(watched, LoadState())
    scrape = figures[f"{name}.scrape_ms"] = median_milliseconds(lambda: collector.expose("", now=1.0), rounds=7)
    with running_sidecar(features) as process:
        pid, connection = process.process.pid, connect(process.url)
        times = max(3, VALUES // (body.events * features))
        work = repeated(posting(connection, body), times), lambda: cpu_seconds(pid)
        event = in_turn({"process": work}, events=times * body.events, rounds=5)["process"]
        samples(process.url)
        resident = figures[f"{name}.resident_mib"] = resident_mebibytes(pid)
        connection.close()
    figures[f"{name}.event_us"] = event
    value = event * 1e3 / features
    print(f"{features:>10,}{event:>12.2f}{value:>10.1f}{drift:>10.3f}{scrape:>10.2f}{resident:>10.1f}", flush=True)


def _one(figures: Figures, name: str, text: str, windows: tuple[str, ...], *, now: float, panes: int = 0) -> None:
    watched, body = monitor(STEADY, windows=windows), bodies(STEADY, events=EVENTS)[4]
    small = bodies(STEADY, events=1)[4]
    for _ in range(panes):  # an event in each pane, so that every pane of every ring has been used and used again
        now += PANE_SECONDS
        watched.submit(small.content, small.form, transport="bench", now=now)
    comparison = watched.models["bench"].comparison
    assert comparison is not None  # it has a reference

    def submit() -> None:
        watched.submit(body.content, body.form, transport="bench", now=now)

    event = in_turn({"here": here(repeated(submit, 5))}, events=5 * body.events)["here"]
    drift = median_milliseconds(lambda: comparison.read(now=now))
    figures[f"growth.{name}.event_us"], figures[f"growth.{name}.drift_ms"] = event, drift
    print(f"  {text:<26}{event:>10.2f}{drift:>10.3f}", flush=True)
