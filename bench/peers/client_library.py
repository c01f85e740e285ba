"""`prometheus_client` by hand: a histogram for each feature, with as many buckets as the sidecar has bins."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bench.peers.work import cpu_us, events, features, milliseconds, tell
from bench.work import profile
from sidecar.reference import NumericProfile


def logging_by_hand(count: int) -> tuple[Callable[[dict[str, float]], None], CollectorRegistry]:
    """Return what counts an event in a histogram for each of so many features, and their registry."""
    registry = CollectorRegistry()
    predictions = Counter("model_predictions", "Predictions", registry=registry)
    latency = Histogram("model_latency_seconds", "Latency", registry=registry)
    histograms = {}
    for feature in profile(count).features:
        assert isinstance(feature, NumericProfile)  # what normal values are profiled with
        name = feature.name
        histograms[name] = Histogram(f"model_{name}", "Values", buckets=feature.edges, registry=registry)

    def log(event: dict[str, float]) -> None:
        predictions.inc()
        latency.observe(0.0125)
        for name, value in event.items():
            histograms[name].observe(value)

    return log, registry


def main() -> None:
    """Measure an event and an exposition."""
    count = features()
    log, registry = logging_by_hand(count)
    sent = events(2_000 if count < 50 else 200, count)

    def log_all() -> None:
        for event in sent:
            log(event)

    cpu = cpu_us(log_all, events=len(sent))
    text = generate_latest(registry)
    scrape = milliseconds(lambda: generate_latest(registry))
    tell({"cpu_us": cpu, "scrape_ms": scrape, "scrape_bytes": len(text)})


if __name__ == "__main__":
    main()
