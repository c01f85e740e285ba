"""A made-up history of an afternoon, with a storm in it, and a reference of calm days."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sidecar.alerting.backtest.history import History, Named
from sidecar.alerting.backtest.study import Plan, Study, run
from sidecar.alerting.rules import Settings
from sidecar.base.duration import Duration
from sidecar.config import DriftConfig, ModelConfig
from sidecar.reference import Profile, build
from sidecar.statistics.season import Season
from tests.alerting.rules.promtool import call
from tests.seasons import by_season

START = 1_360_360_020
"""A Saturday in February 2013, a whole number of minutes."""

SETTINGS: Mapping[str, Any] = {
    "drift": {"windows": ["5m", "20m"], "alert_window": "20m", "slices": 1, "min_samples": 50},
    "service": {"interval": "1m", "min_predictions": 40},
    "objectives": {
        "min_predictions": 50,
        "burn": [{"factor": 3, "long": "20m", "short": "5m", "severity": "critical", "for": "3m"}],
    },
}


def settings(**changes: Any) -> Settings:
    return msgspec.convert({**SETTINGS, **changes}, Settings)


@dataclass(frozen=True)
class Events:
    """Columns of events by name, in the order of their times."""

    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.columns["timestamp"])

    def lines(self, path: Path, order: Any = None) -> Path:
        """Write them as events, one JSON object a line."""
        with path.open("w") as file:
            for i in range(len(self)) if order is None else order:
                row = {name: plain(column[i]) for name, column in self.columns.items()}
                features = {name: row.pop(name) for name in ("amount", "merchant")}
                file.write(json.dumps({"features": features, **row}) + "\n")
        return path

    def parquet(self, path: Path, order: Any = None) -> Path:
        """Write them as a table."""
        import pyarrow as pa
        import pyarrow.parquet

        table = pa.table(self.columns)
        pyarrow.parquet.write_table(table if order is None else table.take(pa.array(order)), path)
        return path


def plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if value != value else value


@cache
def afternoon(minutes: int = 150, storm: tuple[int, int] = (60, 80), seed: int = 1) -> Events:
    """Return about 12 events a minute; in the storm amounts are higher, many are missing, slow or failed."""
    random = np.random.default_rng(seed)
    number = 12 * minutes
    times = np.sort(random.uniform(0, 60 * minutes, number))
    stormy = (times >= storm[0] * 60) & (times < storm[1] * 60)
    amount = random.exponential(50, number) + np.where(stormy, 60 * random.random(number), 0)
    amount[stormy & (random.random(number) < 0.3)] = np.nan
    merchants = np.where(random.random(number) < np.where(stormy, 0.4, 0.7), "visa", "amex").astype(object)
    merchants[random.random(number) < 0.02] = "new"
    return Events(
        {
            "timestamp": np.round(START + times, 3),
            "amount": np.round(amount, 2),
            "merchant": merchants.tolist(),
            "prediction": np.where(random.random(number) < np.where(stormy, 0.4, 0.05), "fraud", "ok").tolist(),
            "latency_ms": np.round(random.lognormal(np.where(stormy, 4.2, 3.3), 0.6), 2),
            "error": (random.random(number) < np.where(stormy, 0.12, 0.003)).tolist(),
        }
    )


@cache
def reference() -> Profile:
    """Return a profile of the same traffic without a storm."""
    calm = afternoon(minutes=1000, storm=(0, 0), seed=2).columns
    columns = {name: calm[name] for name in ("amount", "merchant", "prediction")}
    return build(columns, prediction="prediction", bins=6, window_rows=240, model="fraud")


@cache
def reference_by_season() -> Profile:
    """Return the same profile by hour of the day; by chance no hour is quite as another."""
    calm = afternoon(minutes=1000, storm=(0, 0), seed=2).columns
    day = Season(cycle="hour-of-day")
    return by_season(reference(), calm, day.slots_of(calm["timestamp"]), day)


def model() -> ModelConfig:
    drift = DriftConfig(min_samples=50)
    return ModelConfig(name="fraud", drift=drift, windows=(Duration("5m"), Duration("20m")))


def history(*paths: Path, profile: Profile | None = None, **options: Any) -> History:
    return History(paths, profile or reference(), Named(), **options)


def plan(**changes: Any) -> Plan:
    return Plan(**{"model": model(), "settings": settings(), "prometheus": prometheus_major(), **changes})


def study(*paths: Path, **changes: Any) -> Study:
    return run(history(*paths), plan(**changes))


@cache
def prometheus_major() -> int:
    """Return the major version of the Prometheus that is installed."""
    version = call("promtool", "--version")
    return int(((version.stdout or version.stderr).split("version ")[1]).split(".")[0])
