"""The design this project set out from: FastAPI and Pydantic, windows of lists, PSI by quantiles at each read.

`python -m bench.peers.seed FEATURES` serves `/monitor`, `/drift`, `/latency` and `/metrics` on a free port of the
loopback interface, with uvicorn. A window keeps the last 10,000 values of each feature, the reference has as many.
"""

import socket

import numpy as np
import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from pydantic import BaseModel, Field

from bench.peers.work import features, rows

WINDOW = 10_000
BINS = 10


class Prediction(BaseModel):
    """An event."""

    features: dict[str, float]
    prediction: str | None = None
    probability: float | None = Field(default=None, ge=0, le=1)
    latency_ms: float | None = Field(default=None, ge=0)
    error: bool = False


class DriftDetector:
    """Keep the last values of every feature, and compare them with the reference when asked."""

    def __init__(self, reference: dict[str, list[float]]) -> None:
        self.reference = reference
        self.windows: dict[str, list[float]] = {name: [] for name in reference}

    def add(self, values: dict[str, float]) -> None:
        """Append to the windows."""
        for name, value in values.items():
            window = self.windows.get(name)
            if window is not None:
                window.append(value)
                if len(window) > WINDOW:
                    window.pop(0)

    def psi(self) -> dict[str, float]:
        """Return the PSI of each feature that has a window, with bins at the quantiles of the reference."""
        return {name: self._psi(self.reference[name], window) for name, window in self.windows.items() if window}

    def _psi(self, reference: list[float], window: list[float]) -> float:
        expected, live = np.array(reference), np.array(window)
        edges = np.percentile(expected, np.linspace(0, 100, BINS + 1))
        edges[0], edges[-1] = -np.inf, np.inf
        r = np.histogram(expected, edges)[0] / len(expected) + 1e-4
        q = np.histogram(live, edges)[0] / len(live) + 1e-4
        return float(np.sum((q - r) * np.log(q / r)))


def application(count: int) -> FastAPI:
    """Return the service for so many features."""
    app = FastAPI()
    names = [f"feature_{i:03d}" for i in range(count)]
    reference = {name: column.tolist() for name, column in zip(names, rows(WINDOW, count).T, strict=True)}
    detector, latencies = DriftDetector(reference), list[float]()
    registry = CollectorRegistry()
    predictions = Counter("model_predictions", "Predictions", registry=registry)
    errors = Counter("model_errors", "Errors", registry=registry)
    drift = Gauge("model_drift_psi", "PSI", ["feature"], registry=registry)
    latency = Gauge("model_latency_ms", "Latency", ["quantile"], registry=registry)

    def quantiles() -> dict[str, float]:
        if not latencies:
            return {}
        p50, p95, p99 = np.percentile(latencies, [50, 95, 99]).tolist()
        return {"p50": p50, "p95": p95, "p99": p99}

    @app.post("/monitor", status_code=202)
    async def monitor(event: Prediction) -> dict[str, str]:
        predictions.inc()
        if event.error:
            errors.inc()
        if event.latency_ms is not None:
            latencies.append(event.latency_ms)
            if len(latencies) > WINDOW:
                latencies.pop(0)
        detector.add(event.features)
        return {"status": "accepted"}

    @app.get("/drift")
    async def read_drift() -> dict[str, object]:
        scores = detector.psi()
        return {"psi_scores": scores, "drifted_features": [name for name, psi in scores.items() if psi > 0.1]}

    @app.get("/latency")
    async def read_latency() -> dict[str, float]:
        return quantiles()

    @app.get("/metrics")
    async def metrics() -> Response:
        for name, value in quantiles().items():
            latency.labels(name).set(value)
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    for name in names:
        drift.labels(name)  # gauges are there from the start; a task would set them now and then
    return app


def main() -> None:
    """Serve until the process is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    config = uvicorn.Config(application(features()), loop="uvloop", http="httptools", log_level="error")
    print(f"msg=listening address={host}:{port}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
