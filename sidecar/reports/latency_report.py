"""The latency report: latency and errors in every window, and whether the objectives are met."""

import math
from typing import Literal

from sidecar.config import ERROR_RATIO_LIMIT, MIN_PREDICTIONS
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.traffic import TrafficReading
from sidecar.reports.report import Count, Report, Share, Time, choose_models, finite_or_none, utc_text


class Objective(Report, frozen=True):
    """Tell the share of predictions `within` the `seconds` of an objective, and whether it is met."""

    target: float
    seconds: float
    within: Share | None
    met: bool | None


class WindowLatency(Report, frozen=True):
    """Give latency, in seconds, and errors in one window."""

    count: Count
    p50: float | None
    p95: float | None
    p99: float | None
    mean: float | None
    events: Count
    errors: Count
    error_ratio: Share | None
    slos: list[Objective]


class ModelLatency(Report, frozen=True):
    """Give latency and errors of one model, and the limits of the alert on errors."""

    error_limit: Share
    min_predictions: Count
    windows: dict[str, WindowLatency]


class Latency(Report, frozen=True):
    """Give latency, errors and objectives of each model."""

    timestamp: Time
    unit: Literal["seconds"]
    models: dict[str, ModelLatency]


def latency_report(monitor: Monitor, *, now: float, model: str | None = None) -> Latency:
    """Report latency, in seconds, and errors of every model in every window, and whether the objectives are met.

    Raises NotThere.
    """
    monitor.flush(now=now)
    models = {m.name: _model_latency(m, now=now) for m in choose_models(monitor, model)}
    return Latency(timestamp=utc_text(monitor.wall(now)), unit="seconds", models=models)


def _model_latency(model: Model, *, now: float) -> ModelLatency:
    readings = model.traffic.readings([slo.seconds for slo in model.config.latency.slos], now=now)
    return ModelLatency(
        error_limit=ERROR_RATIO_LIMIT,
        min_predictions=MIN_PREDICTIONS,
        windows={
            window.text: _window_latency(model, reading)
            for window, reading in zip(model.config.windows, readings, strict=True)
        },
    )


def _window_latency(model: Model, reading: TrafficReading) -> WindowLatency:
    p50, p95, p99 = map(finite_or_none, reading.quantiles)
    return WindowLatency(
        count=reading.latencies,
        p50=p50,
        p95=p95,
        p99=p99,
        mean=finite_or_none(reading.mean),
        events=reading.events,
        errors=reading.errors,
        error_ratio=reading.errors / reading.events if reading.events else None,
        slos=[
            Objective(
                target=slo.target,
                seconds=slo.seconds,
                within=finite_or_none(share),
                met=None if math.isnan(share) else bool(share >= slo.target),
            )
            for slo, share in zip(model.config.latency.slos, reading.within, strict=True)
        ],
    )
