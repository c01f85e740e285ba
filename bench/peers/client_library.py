"""`prometheus_client` by hand: a histogram child for each feature, with as many buckets as the sidecar has bins."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bench.peers.work import cpu_us, events, features, milliseconds, tell
from bench.work import profile
from sidecar.reference import NumericProfile


def main() -> None:
    """Measure an event and an exposition."""
    count = features()
    registry = CollectorRegistry()
    predictions = Counter("model_predictions", "Predictions", registry=registry)
    latency = Histogram("model_latency_seconds", "Latency", registry=registry)
    children = {}
    for feature in profile(count).features:
        assert isinstance(feature, NumericProfile)
        name = feature.name
        children[name] = Histogram(f"model_{name}", "Values", buckets=feature.edges, registry=registry)
    sent = events(2_000 if count < 50 else 200, count)

    def log() -> None:
        for event in sent:
            predictions.inc()
            latency.observe(0.0125)
            for name, value in event.items():
                children[name].observe(value)

    cpu = cpu_us(log, events=len(sent))
    text = generate_latest(registry)
    scrape = milliseconds(lambda: generate_latest(registry))
    tell({"cpu_us": cpu, "scrape_ms": scrape, "scrape_bytes": len(text)})


if __name__ == "__main__":
    main()
