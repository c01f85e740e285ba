"""Memory: resident size at rest, after ten million events of 200 features, and with 5,000 features."""

import time

from bench.figures import Figures
from bench.measure import resident_mebibytes
from bench.work import bodies, connect, posting, running_sidecar, samples, total

FEATURES, MANY = 200, 5000
EVENTS = 10_000_000
BODY_EVENTS = 500


def main(figures: Figures) -> None:
    """Print the resident size of a sidecar before, in between and after."""
    print("memory: resident MiB, 3 windows")
    body = bodies(MANY, events=200)[4]
    with running_sidecar(MANY) as process:
        connection = connect(process.url)
        post = posting(connection, body)
        for _ in range(20):
            post()
        samples(process.url)
        connection.close()
        _tell(figures, "many", f"{MANY:,} features, 4,000 events, a scrape", process.process.pid)
    body = bodies(FEATURES, events=BODY_EVENTS)[4]
    with running_sidecar(FEATURES) as process:
        pid = process.process.pid
        time.sleep(1)  # it gives back what its start has freed just after it listens
        _tell(figures, "idle", f"{FEATURES} features, at rest", pid)
        connection = connect(process.url)
        post, sent = posting(connection, body), 0
        for goal, name in ((EVENTS // 10, "tenth"), (EVENTS, "full")):
            while sent < goal:
                post()
                sent += BODY_EVENTS
            found = samples(process.url)
            if total(found, "model_sidecar_events_total") != sent:
                raise RuntimeError(f"{sent} events were sent, {found} counted")
            _tell(figures, name, f"after {sent:,} events and a scrape", pid)
        connection.close()


def _tell(figures: Figures, name: str, text: str, pid: int) -> None:
    size = figures[f"memory.{name}_mib"] = resident_mebibytes(pid)
    print(f"  {text:<42}{size:8.1f}", flush=True)
