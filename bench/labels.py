"""Labels: what an id adds to an event where labels are awaited and where not, what a label costs, and memory."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

from bench.measure import here, in_turn, repeated
from bench.work import profile, values
from sidecar.config import Config, LabelsConfig, ModelConfig
from sidecar.events import forms
from sidecar.events.batch import Identified
from sidecar.events.forms import Form
from sidecar.monitor.label_join import Labels
from sidecar.monitor.monitor import Monitor

FEATURES, EVENTS, BODIES = 5, 500, 40
MOST = 100_000
IDS = "00000000-0000-4000-8000-{:012d}"
"""As long as a UUID."""


def main() -> None:
    """Print CPU time an event and a label, and bytes a prediction that is kept."""
    print(f"labels: CPU µs an event of {FEATURES} features, {EVENTS} at once, without an id, and with")
    print(f"{'':<24}{'no id':>8}{'off':>8}{'ratio':>7}{'on':>8}{'ratio':>7}")
    for name, form in (("NDJSON", forms.NDJSON), ("columns in JSON", forms.JSON)):
        off, on = _monitor(None), _monitor(LabelsConfig(most=MOST))
        works = {
            "plain": _submitting(off, [_body(name, None)] * (ROUNDS * BODIES), form),
            "off": _submitting(off, list(_bodies(name)), form),
            "on": _submitting(on, list(_bodies(name)), form),
        }
        found = in_turn({key: here(repeated(work, BODIES)) for key, work in works.items()}, events=BODIES * EVENTS)
        plain = found["plain"]
        print(
            f"{name:<24}{plain:>8.2f}{found['off']:>8.2f}{found['off'] / plain:>7.2f}"
            f"{found['on']:>8.2f}{found['on'] / plain:>7.2f}"
        )
    _joining()
    _memory()


ROUNDS = 8


def _monitor(labels: LabelsConfig | None) -> Monitor:
    model = ModelConfig(name="bench", reference="-", labels=labels)
    monitor = Monitor(Config(models=(model,)), {"bench": profile(FEATURES)}, now=0.0, start=datetime.now(UTC))
    monitor.open_transport("bench")
    return monitor


def _submitting(monitor: Monitor, bodies: list[bytes], form: Form) -> Callable[[], object]:
    following = iter(bodies)
    return lambda: monitor.submit(next(following), form, transport="bench", now=1.0)


def _bodies(name: str) -> Iterator[bytes]:
    numbers = count()
    for _ in range(ROUNDS * BODIES):
        yield _body(name, [IDS.format(next(numbers)) for _ in range(EVENTS)])


def _body(name: str, ids: list[str] | None) -> bytes:
    names = [f"feature_{i:03d}" for i in range(FEATURES)]
    rows = values(EVENTS, FEATURES)
    given = {"prediction": "fraud", "probability": 0.75}
    if name == "columns in JSON":
        columns = {"features": dict(zip(names, rows.T.tolist(), strict=True))}
        outputs = {key: [value] * EVENTS for key, value in given.items()}
        return json.dumps({"columns": columns | outputs | ({} if ids is None else {"id": ids})}).encode()
    events = [{"features": dict(zip(names, row, strict=True)), **given} for row in rows.tolist()]
    if ids is not None:
        events = [{**event, "id": id_} for event, id_ in zip(events, ids, strict=False)]
    return b"\n".join(json.dumps(event).encode() for event in events)


def _joining() -> None:
    monitor = _monitor(LabelsConfig(most=2 * ROUNDS * BODIES * EVENTS))
    for body in _bodies("NDJSON"):
        monitor.submit(body, forms.NDJSON, transport="bench", now=1.0)
    numbers = count()
    bodies = [
        json.dumps([{"id": IDS.format(next(numbers)), "label": "fraud"} for _ in range(EVENTS)]).encode()
        for _ in range(ROUNDS * BODIES)
    ]
    following = iter(bodies)

    def join() -> None:
        assert monitor.submit_labels(next(following), forms.JSON, transport="bench", now=2.0).accepted == EVENTS

    found = in_turn({"label": here(repeated(join, BODIES))}, events=BODIES * EVENTS)
    print(f"a label, {EVENTS} at once: {found['label']:.2f} µs")


def _memory() -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    labels = Labels(LabelsConfig(most=MOST), (), now=0.0)
    for first in range(0, 2 * MOST, EVENTS):
        ids = [IDS.format(i) for i in range(first, first + EVENTS)]
        labels.keep(Identified(ids, ["fraud"] * EVENTS, [0.5] * EVENTS), now=0.0)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(labels.pending) == MOST
    print(f"a prediction that is kept: {kept / MOST:.0f} bytes, {kept / 1e6:.0f} MB for {MOST:,}")
