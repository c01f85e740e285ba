"""river: a detector of change for each feature, updated with each value."""

from river import drift

from bench.peers.work import cpu_us, events, features, tell

DETECTORS = {"adwin": (drift.ADWIN, 1000), "page_hinkley": (drift.PageHinkley, 1000), "kswin": (drift.KSWIN, 150)}


def main() -> None:
    """Measure an event with each kind of detector."""
    count = features()
    found = {}
    for name, (kind, size) in DETECTORS.items():
        if count > 50 and name == "kswin":
            continue  # a sixth of a second an event
        sent = events(size if count < 50 else size // 10, count)
        detectors = {feature: kind() for feature in sent[0]}

        def update(detectors: dict = detectors, sent: list = sent) -> None:  # type: ignore[type-arg]
            for event in sent:
                for feature, value in event.items():
                    detectors[feature].update(value)

        found[f"{name}_cpu_us"] = cpu_us(update, events=len(sent), rounds=3)
    tell({"cpu_us": found["adwin_cpu_us"], **found})


if __name__ == "__main__":
    main()
