"""Bodies of labels in every form, to monitors that keep predictions of classes, of numbers, and of probabilities alone.

The first byte says which form and which monitor, the rest is the body. Whatever it is, a label that is accepted ends
the wait of one prediction, once; what is refused is counted as refused; and nothing that is counted of events changes.
"""

import json
import math
from functools import cache
from typing import Any

import msgspec

from sidecar.base.duration import Duration
from sidecar.config import Config, LabelsConfig, Learn, ModelConfig
from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.events.refusals import TooMany, Unreadable
from sidecar.monitor.label_join import Labels
from sidecar.monitor.monitor import Monitor
from sidecar.reports.quality_report import quality_report
from tests.fuzz.bodies import LIMITS, START, TRANSPORT, changes, counted
from tests.fuzz.scraped import read_back

FORMS = forms.FORMS
_SCRAPED: set[str] = set()
_PREDICTIONS: dict[str, list[dict[str, Any]]] = {
    "fraud": [
        {"id": "a", "prediction": "fraud", "probability": 0.9},
        {"id": "b", "prediction": "legitimate", "probability": 0.1},
        {"id": 1, "probability": 0.5},
        {"id": 2, "prediction": "fraud"},
    ],
    "price": [
        {"id": "a", "prediction": 10.5},
        {"id": "b", "prediction": -1e308},
        {"id": 1, "prediction": True, "probability": 1.0},
        {"id": 2, "probability": 0.25},
    ],
    "unlabelled": [{"id": "a", "prediction": "fraud"}],
}


@cache
def _setups() -> tuple[tuple[Config, bytes], ...]:
    """Return configurations with the predictions that are there: of each model that is labelled, and of all."""
    windows, few = (Duration("5m"),), Learn(events=100, bins=4, categories=5)
    fraud = LabelsConfig(positive="fraud", classes=("fraud", "legitimate"), min_labels=1)
    labels = {"fraud": fraud, "price": LabelsConfig(min_labels=1), "unlabelled": None}
    models = [ModelConfig(name=name, windows=windows, learn=few, labels=of) for name, of in labels.items()]
    setups = []
    for chosen in (models[:1], models[1:2], models):
        events = [{**event, "features": {}, "model": m.name} for m in chosen for event in _PREDICTIONS[m.name]]
        setups.append((Config(models=tuple(chosen), limits=LIMITS), json.dumps(events).encode()))
    return tuple(setups)


def fuzz(data: bytes) -> None:
    """Submit a body twice to a new monitor: what was joined the first time is refused the second."""
    if not data:
        return
    form, (config, events) = FORMS[data[0] % len(FORMS)], _setups()[data[0] // len(FORMS) % 3]
    monitor = Monitor(config, {model.name: None for model in config.models}, now=0.0, start=START)
    monitor.open_transport(TRANSPORT)
    monitor.submit(events, forms.JSON, transport=TRANSPORT, now=0.0)
    monitor.flush(now=0.0)
    if _submit(monitor, data[1:], form, now=0.5):
        assert not _submit(monitor, data[1:], form, now=0.75), "a label counted twice"
        _read(monitor, now=1.0)


def _submit(monitor: Monitor, body: bytes, form: Form, *, now: float) -> int:
    """Submit a body, check what is counted, and return how many labels were."""
    of_events, refused, waiting = counted(monitor, now=now), dict(monitor.labels_rejected), _waiting(monitor)
    taken = monitor.labels[TRANSPORT]
    accepted, by_kind = 0, dict[str, int]()
    try:
        decoded = monitor.submit_labels(body, form, transport=TRANSPORT, now=now)
    except Unreadable:
        by_kind = {"unreadable": 1}
    except TooMany:
        by_kind = {"too_many_labels": 1}
    else:
        accepted, by_kind = decoded.accepted, {str(reason): n for reason, n in decoded.refusals.by_kind.items()}
        assert sum(by_kind.values()) == decoded.refusals.total
        assert len(decoded.refusals.first) <= min(10, decoded.refusals.total)
        assert accepted + decoded.refusals.total <= LIMITS.events_per_body
        msgspec.json.encode([(r.index, r.path, r.reason) for r in decoded.refusals.first])
    assert {key[1]: n - refused[key] for key, n in monitor.labels_rejected.items() if n != refused[key]} == by_kind
    assert monitor.labels[TRANSPORT] - taken == accepted
    assert waiting - _waiting(monitor) == accepted
    assert not changes(of_events, counted(monitor, now=now)), "labels changed what is counted of events"
    return accepted


def _labels(monitor: Monitor) -> dict[str, Labels]:
    return {name: model.labels for name, model in monitor.models.items() if model.labels is not None}


def _waiting(monitor: Monitor) -> int:
    return sum(labels.pending.waiting for labels in _labels(monitor).values())


def _read(monitor: Monitor, *, now: float) -> None:
    """Read every statistic: shares are shares, and nothing is infinite; a scrape can be read, whatever classes came."""
    for labels in _labels(monitor).values():
        reading, ever = labels.read(now=now), labels.ever()
        shares = (reading.accuracy, reading.precision, reading.recall, reading.brier_score, reading.calibration_error)
        for values in shares:
            assert all(math.isnan(v) or -1e-9 <= v <= 1 + 1e-9 for v in values.flat), values
        for values in (reading.mean_absolute_error, reading.root_mean_square_error):
            assert not any(map(math.isinf, values.flat)), values
        assert int(ever.labels) == labels.kept - labels.pending.waiting
        assert int(ever.correct) <= int(ever.outcomes.sum()) <= int(ever.labels)
    msgspec.json.encode(quality_report(monitor, now=now))
    classes = {name for labels in _labels(monitor).values() for name in labels.classes}
    if not classes <= _SCRAPED:  # a scrape takes longer than all else, and new classes are what it has to write
        _SCRAPED.update(classes)
        read_back(monitor)
