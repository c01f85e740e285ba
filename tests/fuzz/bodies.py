"""Bodies of events in every form, to monitors that compare with a reference, learn one, or keep two models.

The first byte says which form and which monitor, the rest is the body. Whatever it is, what is accepted is counted,
what is refused is counted as refused, and nothing else changes.
"""

from datetime import UTC, datetime
from functools import cache

import msgspec

from sidecar.base.duration import Duration
from sidecar.config import Config, Learn, Limits, ModelConfig
from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.events.refusals import TooMany, Unreadable
from sidecar.monitor.monitor import Monitor
from sidecar.reference import Profile
from tests.plugins.serving import fraud_profile

TRANSPORT = "http"
START = datetime(2026, 11, 2, tzinfo=UTC)
FORMS = (forms.JSON, forms.NDJSON, forms.MSGPACK, None)
"""Forms of bodies; None is datagrams of one event each, a line each."""

LIMITS = Limits(events_per_body=50, features=8, string_length=32)

Counts = dict[tuple[str, ...], int]


@cache
def setups() -> tuple[tuple[Config, dict[str, Profile | None]], ...]:
    """Return configurations and references: one that compares, one that learns, and both at once."""
    windows = (Duration("5m"),)
    fraud = ModelConfig(name="fraud", windows=windows)
    learning = ModelConfig(name="default", windows=windows, learn=Learn(events=100, bins=4, categories=5))
    return (
        (Config(models=(fraud,), limits=LIMITS), {"fraud": fraud_profile()}),
        (Config(models=(learning,), limits=LIMITS), {"default": None}),
        (Config(models=(fraud, learning), limits=LIMITS), {"fraud": fraud_profile(), "default": None}),
    )


def fuzz(data: bytes) -> None:
    """Submit a body of the form that the first byte names."""
    if data:
        submit(data[1:], FORMS[data[0] % 4], *setups()[data[0] // 4 % 3])


def fuzz_columns(data: bytes) -> None:
    """Submit a columnar body, in JSON or MessagePack, to a monitor that compares."""
    if data:
        form = forms.JSON if data[0] % 2 else forms.MSGPACK
        submit(data[1:], form, *setups()[data[0] // 2 % 3])


def submit(body: bytes, form: Form | None, config: Config, profiles: dict[str, Profile | None]) -> None:
    """Submit a body twice to a new monitor, and check what is counted each time."""
    monitor = Monitor(config, profiles, now=0.0, start=START)
    monitor.open_transport(TRANSPORT)
    # Twice: what the first one taught (unknown features, columns while learning) must not change the answer's sense.
    for now in (1.0, 2.0):
        _submit(monitor, body, form, now=now)


def _submit(monitor: Monitor, body: bytes, form: Form | None, *, now: float) -> None:
    before = counted(monitor, now=now)
    try:
        if form is None:
            decoded = monitor.submit_texts(body.split(b"\n"), transport=TRANSPORT, now=now)
        else:
            decoded = monitor.submit(body, form, transport=TRANSPORT, now=now)
    except Unreadable:
        assert changes(before, counted(monitor, now=now)) == {("rejected", "unreadable"): 1}
        return
    except TooMany:
        assert changes(before, counted(monitor, now=now)) == {("rejected", "too_many_events"): 1}
        return
    refusals = decoded.refusals
    assert sum(refusals.by_kind.values()) == refusals.total
    assert len(refusals.first) <= min(10, refusals.total)
    msgspec.json.encode([(r.index, r.path, r.reason) for r in refusals.first])  # the answer can be written
    changed = changes(before, counted(monitor, now=now))
    assert {key[1]: n for key, n in changed.items() if key[0] == "rejected"} == refusals.by_kind
    counts = {key: n for key, n in changed.items() if key[0] != "rejected"}
    if not decoded.accepted:
        assert not counts, "refused events changed a count"
        return
    assert min(counts.values()) > 0
    assert counts["events",] == decoded.accepted
    assert sum(n for key, n in counts.items() if key[0] == "predictions") == decoded.accepted
    for name in monitor.models:
        predictions = counts.get(("predictions", name), 0)
        for what in ("errors", "latencies"):
            assert counts.get((what, name), 0) <= predictions
        rows = {n for key, n in counts.items() if key[:2] == ("feature", name)}
        assert not rows or (len(rows) == 1 and max(rows) <= predictions), "features have different numbers of rows"


def counted(monitor: Monitor, *, now: float) -> Counts:
    """Return everything that is counted."""
    monitor.flush(now=now)
    counts: Counts = {("events",): monitor.events[TRANSPORT]}
    counts |= {("rejected", reason): n for (_, reason), n in monitor.rejected.items()}
    counts |= {("dropped", reason): n for (_, reason), n in monitor.dropped.items()}
    for name, model in monitor.models.items():
        counts["predictions", name] = model.traffic.events
        counts["errors", name] = model.traffic.errors
        counts["latencies", name] = int(model.traffic.histogram()[-1])
        counts["unknown", name] = model.unknown
        if model.learner:
            counts["learned", name] = model.learner.rows
        if model.comparison:
            ends = [*model.comparison.starts[1:], None]
            observations = model.comparison.observations()
            for feature, start, end in zip(model.comparison.features, model.comparison.starts, ends, strict=True):
                counts["feature", name, feature.role, feature.name] = int(observations[start:end].sum())
            for key, n in zip(model.comparison.schema.numeric, model.comparison.out_of_range.tolist(), strict=True):
                counts["out_of_range", name, *key] = n
    return counts


def changes(before: Counts, after: Counts) -> Counts:
    """Return by how much every count changed; what was learned meanwhile begins at zero."""
    return {key: n - before.get(key, 0) for key, n in after.items() if n != before.get(key, 0)}
