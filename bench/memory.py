"""Memory: resident size at rest, and after a million events of 200 features; time from start to ready."""

import http.client
import time
from urllib.parse import urlsplit

from bench.work import bodies, resident_mebibytes, running_sidecar

FEATURES = 200
EVENTS = 1_000_000
BODY_EVENTS = 2000


def main() -> None:
    """Print the resident size of a sidecar before and after."""
    columns = bodies(FEATURES, events=BODY_EVENTS)[-1]
    began = time.perf_counter()
    with running_sidecar(FEATURES) as process:
        pid = process.process.pid
        print(f"memory: {FEATURES} features, 3 windows; resident MiB")
        print(f"  at rest                           {resident_mebibytes(pid):8.1f}")
        connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=30)
        for sent in range(0, EVENTS, BODY_EVENTS):
            connection.request("POST", "/monitor", columns.content, {"Content-Type": columns.form.value})
            reply = connection.getresponse()
            if reply.read() and reply.status != 202:
                raise RuntimeError(f"status {reply.status} after {sent} events")
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        print(f"  after {EVENTS:,} events and a scrape {resident_mebibytes(pid):5.1f}")
        connection.close()
    print(f"  (start, events and stop took {time.perf_counter() - began:.1f} s)")
