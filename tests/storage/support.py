"""Stores whose clocks are turned by hand, and what a kill leaves of them."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sidecar.base.configfile import plain_special
from sidecar.base.duration import Duration
from sidecar.config import Config, LabelsConfig, Learn, ModelConfig
from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import StorageState
from sidecar.reference import Profile, build
from sidecar.statistics.season import Season
from sidecar.storage.clock import Clock
from sidecar.storage.store import Pace, Store
from tests.seasons import by_season

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(5)
COLUMNS = {"amount": RNG.normal(100, 20, 1000), "merchant": RNG.choice(["visa", "amex"], 1000)}
PROFILE = by_season(
    build(COLUMNS, model="fraud", created=CREATED),
    COLUMNS,
    RNG.integers(0, 24, 1000),
    Season(cycle="hour-of-day"),
)
WINDOWS = (Duration("1m"), Duration("5m"))
LABELS = LabelsConfig(ttl=Duration("50s"), most=40, positive="fraud", min_labels=1)
FRAUD = ModelConfig(name="fraud", reference="fraud.json", windows=WINDOWS, labels=LABELS)
LEARNING = ModelConfig(name="churn", learn=Learn(events=100), windows=WINDOWS)
CONFIG = Config(models=(FRAUD, LEARNING))
PROFILES: Mapping[str, Profile | None] = {"fraud": PROFILE, "churn": None}


@dataclass
class Time:
    """The clocks of a machine."""

    boottime: float = 1000.0
    wall: float = 1_800_000_000.0
    boot_id: str = "boot-1"

    def clock(self) -> Clock:
        return Clock(boottime=lambda: self.boottime, wall=lambda: self.wall, boot_id=self.boot_id)

    def pass_(self, seconds: float) -> None:
        self.boottime += seconds
        self.wall += seconds


@dataclass
class Kept:
    """A monitor that is kept in a directory."""

    path: Path
    time: Time
    config: Config = CONFIG
    profiles: Mapping[str, Profile | None] = field(default_factory=lambda: PROFILES)
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.state = StorageState()
        self.clock = self.time.clock()
        self.store = Store(self.path, self.clock, self.state, self.pace)
        self.monitor = self.store.begin(self.config, self.profiles)
        self.monitor.open_transport("http")

    def submit(self, body: bytes, form: Form = forms.JSON) -> int:
        return self.monitor.submit(body, form, transport="http", now=self.clock()).accepted

    def killed(self, copy: Path, **changes: Any) -> "Kept":
        """Go on with what a kill at this moment would leave."""
        shutil.copytree(self.path, copy)
        return dataclasses.replace(self, path=copy, **changes)

    def abandon(self) -> None:
        """Close what the end of a process would close."""
        self.store._recorder.replace(None)
        self.store._directory.release()
        self.monitor.journal = None

    def everything(self) -> bytes:
        """Return all that it holds, once everything is counted and all windows are at the present."""
        return everything(self.monitor, now=self.clock())


def everything(monitor: Monitor, *, now: float) -> bytes:
    monitor.flush(now=now)
    for model in monitor.models.values():
        model.traffic.readings([], now=now)
        if model.comparison is not None:
            model.comparison.counts(now=now)
        if model.labels is not None:
            model.labels.read(now=now)
    state = monitor.state(now=now)
    # What is known to be ignored is forgotten with every change of the configuration, and met again.
    models = {
        name: msgspec.structs.replace(model, schema=dataclasses.replace(model.schema, ignored=()))
        for name, model in state.models.items()
    }
    state = msgspec.structs.replace(state, models=models)
    return msgspec.msgpack.encode(state, enc_hook=plain_special)


def fraud(amount: float | None = 100.0, merchant: Any = "visa", **rest: Any) -> dict[str, Any]:
    return {"model": "fraud", "features": {"amount": amount, "merchant": merchant}, **rest}


def churn(age: Any = 40, **rest: Any) -> dict[str, Any]:
    return {"model": "churn", "features": {"age": age, "plan": "basic"}, "prediction": age > 50, **rest}


def body(*events: dict[str, Any]) -> bytes:
    return json.dumps(events).encode()


def spoiled(kept: Kept, copy: Path, content: bytes) -> Kept:
    shutil.copytree(kept.path, copy)
    (copy / "state").write_bytes(content)
    return Kept(copy, kept.time)


def is_fresh(kept: Kept) -> bool:
    return kept.monitor.events == {"http": 0} and all(m.traffic.events == 0 for m in kept.monitor.models.values())
