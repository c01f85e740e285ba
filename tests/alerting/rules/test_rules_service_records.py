"""Latency, errors and objectives of the fleet as recorded equal their definitions."""

from pathlib import Path

import numpy as np

from sidecar.alerting.rules import Settings, names

from .fleet import Floats
from .promtool import SERVICE_RECORDING, Check, check_rules

SCRAPE = 15
MODEL = '{namespace="prod", model="fraud"}'
EDGES = (0.05, 0.1, 0.25, 0.5, 1.0)
TEXTS = ("0.05", "0.1", "0.25", "0.5", "1.0", "+Inf")


def slo(name: str) -> str:
    return f'{MODEL[:-1]}, slo="{name}"}}'


def counter(rate: float, minutes: int, *, restart: float = float("inf")) -> str:
    """Write a counter that rises by `rate` a second and begins again at `restart`."""
    times = np.arange(0, minutes * 60 + 1, SCRAPE)
    return " ".join(repr(float(rate * (at if at < restart else at - restart))) for at in times)


def replica(name: str, *, by_bucket: list[float], error_rate: float, minutes: int, restart: float) -> dict[str, str]:
    """Return the series of a replica with so many predictions a second in each latency bucket."""
    labels = f'namespace="prod",job="model-sidecar",instance="{name}",model="fraud"'
    series = {
        f'model_latency_seconds_bucket{{{labels},le="{text}"}}': counter(rate, minutes, restart=restart)
        for text, rate in zip(TEXTS, np.cumsum(by_bucket), strict=True)
    }
    total = sum(by_bucket)
    series[f"model_latency_seconds_count{{{labels}}}"] = counter(total, minutes, restart=restart)
    series[f"model_predictions_total{{{labels}}}"] = counter(total, minutes, restart=restart)
    series[f"model_prediction_errors_total{{{labels}}}"] = counter(error_rate, minutes, restart=restart)
    return series


def quantile(share: float, by_bucket: Floats) -> float:
    """Return a quantile by straight lines between the edges, as `histogram_quantile` does."""
    cumulated = np.concatenate([[0], np.cumsum(by_bucket)[:-1]])
    return float(np.interp(share * by_bucket.sum(), cumulated, [0.0, *EDGES]))


def near(record: str, value: float, labels: str, at: str) -> Check:
    return Check(at, f"abs({record} - {value!r}) < bool 1e-6", {labels: 1})


FAST = [8.0, 1.5, 0.3, 0.1, 0.06, 0.04]
SLOW = [2.0, 1.0, 1.0, 0.5, 0.3, 0.1]
MINUTES = 130


def fleet(*, restart: float) -> dict[str, str]:
    return {
        **replica("a:1", by_bucket=FAST, error_rate=0.2, minutes=MINUTES, restart=float("inf")),
        **replica("b:1", by_bucket=SLOW, error_rate=0.1, minutes=MINUTES, restart=restart),
    }


def test_quantiles_are_those_of_all_replicas_together(tmp_path: Path) -> None:
    both = np.array(FAST) + np.array(SLOW)
    checks = [
        near(names.latency_quantile(percent, "5m"), quantile(percent / 100, both), MODEL, f"{MINUTES}m")
        for percent in (50, 95, 99)
    ]
    check_rules(tmp_path, files=[SERVICE_RECORDING], series=fleet(restart=1e9), checks=checks, interval=f"{SCRAPE}s")


def shares(by_bucket: Floats, error_rate: float) -> dict[str, float]:
    """Return the share of predictions that miss each objective."""
    total = float(by_bucket.sum())
    return {
        "latency_100ms": float(by_bucket[2:].sum()) / total,
        "latency_500ms": float(by_bucket[4:].sum()) / total,
        "errors": error_rate / total,
    }


def test_shares_are_those_of_all_replicas_together(tmp_path: Path) -> None:
    missed = shares(np.array(FAST) + np.array(SLOW), 0.3)
    checks = [
        near(f'{names.slo_error_ratio(window)}{{slo="{name}"}}', share, slo(name), f"{MINUTES}m")
        for name, share in missed.items()
        for window in ("5m", "30m", "1h", "2h")
    ]
    checks.append(near(names.error_ratio("5m"), missed["errors"], MODEL, f"{MINUTES}m"))
    check_rules(tmp_path, files=[SERVICE_RECORDING], series=fleet(restart=1e9), checks=checks, interval=f"{SCRAPE}s")


def test_a_restart_is_not_an_error(tmp_path: Path) -> None:
    # What came between the last scrape and the restart is lost for good and bad predictions alike.
    alone = replica("a:1", by_bucket=SLOW, error_rate=0.1, minutes=MINUTES, restart=MINUTES * 60 - 120)
    checks = [
        near(f'{names.slo_error_ratio(window)}{{slo="{name}"}}', share, slo(name), f"{MINUTES}m")
        for name, share in shares(np.array(SLOW), 0.1).items()
        for window in ("5m", "1h")
    ]
    check_rules(tmp_path, files=[SERVICE_RECORDING], series=alone, checks=checks, interval=f"{SCRAPE}s")


def test_long_windows_count_every_event_once(tmp_path: Path) -> None:
    rate = sum(FAST) + sum(SLOW)
    checks = [
        near(f'{names.slo_events(window)}{{slo="errors"}}', rate * minutes * 60, slo("errors"), f"{MINUTES}m")
        for window, minutes in (("5m", 5), ("30m", 30), ("1h", 60), ("2h", 120))
    ]
    checks.append(near(names.predictions("1h"), rate * 3600, MODEL, f"{MINUTES}m"))
    check_rules(tmp_path, files=[SERVICE_RECORDING], series=fleet(restart=1e9), checks=checks, interval=f"{SCRAPE}s")


def test_without_traffic_no_share_is_recorded(tmp_path: Path) -> None:
    series = replica("a:1", by_bucket=[0.0] * 6, error_rate=0.0, minutes=70, restart=1e9)
    windows = Settings().objectives.windows
    ratios = [names.error_ratio("5m"), *(names.slo_error_ratio(window) for window in windows)]
    check_rules(
        tmp_path,
        files=[SERVICE_RECORDING],
        series=series,
        checks=[Check("70m", ratio, {}) for ratio in ratios],
        interval=f"{SCRAPE}s",
    )
