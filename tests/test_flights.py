"""Real flights through a real sidecar: what it says equals NumPy's arithmetic on the same rows and bins.

The formulas are written out here once more; nothing of `sidecar.statistics.drift` or `sidecar.statistics.bins` is used.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from demo.flights import DAY_ROWS, FEATURES, load_flights
from sidecar.reference import build, save
from tests import oracle
from tests.plugins.serving import JSON, MSGPACK, NDJSON, Samples, get, post, samples, value
from tools.process import SidecarProcess, sidecar

Counts = NDArray[np.int64]
NUMERIC = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "probability"]
OUTPUTS = ["prediction", "probability"]
DAYS = ["january", "july", "storm"]
WINDOWS = ["5m", "1h", "24h"]
SLO_SECONDS = {0.95: 0.1, 0.99: 0.5}


@dataclass(frozen=True)
class Watched:
    """The rows that were sent, the reference as written in its file, and what the sidecar answered."""

    rows: dict[str, pd.DataFrame]
    reference: dict[str, Any]
    drift: dict[str, Any]
    latency: dict[str, Any]
    metrics: Samples
    storm_bins: list[dict[str, Any]]


def with_outputs(flights: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add a simple rule as the model, and latencies like those of a model server with a long tail."""
    probability = 1 / (1 + np.exp(-(flights.dep_delay.fillna(0) - 15) / 10))
    latency = np.random.default_rng(seed).lognormal(mean=3, sigma=0.9, size=len(flights))
    return flights[FEATURES].assign(
        prediction=np.where(probability > 0.5, "late", "on time"), probability=probability, latency_ms=latency
    )


def none_for_missing(column: Any) -> list[Any]:
    return [None if v != v else v for v in column.tolist()]


def send_as_buffers(process: SidecarProcess, model: str, rows: pd.DataFrame) -> None:
    def packed(name: str) -> Any:
        numeric = name in (*NUMERIC, "latency_ms")
        return rows[name].to_numpy("<f8").tobytes() if numeric else none_for_missing(rows[name])

    columns = {"features": {f: packed(f) for f in FEATURES}} | {c: packed(c) for c in (*OUTPUTS, "latency_ms")}
    accepted(process, msgspec.msgpack.encode({"model": model, "columns": columns}), MSGPACK, len(rows))


def send_as_columns(process: SidecarProcess, model: str, rows: pd.DataFrame) -> None:
    lists = {name: none_for_missing(rows[name]) for name in rows}
    columns = {"features": {f: lists[f] for f in FEATURES}} | {c: lists[c] for c in (*OUTPUTS, "latency_ms")}
    accepted(process, msgspec.json.encode({"model": model, "columns": columns}), JSON, len(rows))


def send_as_lines(process: SidecarProcess, model: str, rows: pd.DataFrame) -> None:
    lists = {name: none_for_missing(rows[name]) for name in rows}
    events = (
        {"model": model, "features": {f: lists[f][i] for f in FEATURES}}
        | {c: lists[c][i] for c in (*OUTPUTS, "latency_ms")}
        for i in range(len(rows))
    )
    accepted(process, "\n".join(map(json.dumps, events)).encode(), NDJSON, len(rows))


def accepted(process: SidecarProcess, body: bytes, content_type: str, count: int) -> None:
    assert post(process.url, body, content_type).json() == {"accepted": count, "rejected": 0}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    flights = load_flights()
    february_9 = flights[(flights.month == 2) & (flights.day == 9)]
    rows = {
        "january": with_outputs(flights[flights.month == 1], 1),
        "storm": with_outputs(february_9, 2),
        "july": with_outputs(flights[flights.month == 7], 7),
    }
    directory = tmp_path_factory.mktemp("flights")
    reference = build(
        rows["january"][[*FEATURES, *OUTPUTS]],
        prediction="prediction",
        probability="probability",
        window_rows=DAY_ROWS,
    )
    save(reference, directory / "january.json")
    config = directory / "sidecar.yml"
    config.write_text("models:\n" + "".join(f"- {{name: {day}, reference: january.json}}\n" for day in DAYS))
    with sidecar(directory, config=config) as process:
        send_as_buffers(process, "january", rows["january"])
        send_as_lines(process, "storm", rows["storm"])
        send_as_columns(process, "july", rows["july"])
        [storm] = get(process.url, "/drift?model=storm&feature=dep_delay").json()["models"]["storm"]["features"]
        yield Watched(
            rows=rows,
            reference=json.loads((directory / "january.json").read_bytes()),
            drift=get(process.url, "/drift").json(),
            latency=get(process.url, "/latency").json(),
            metrics=samples(process.url),
            storm_bins=storm["bins"],
        )


# The same once more, by NumPy


def counted(rows: pd.DataFrame, feature: dict[str, Any]) -> Counts:
    """Count rows in the bins of a feature of the reference, `missing` last."""
    column = rows[feature["name"]]
    present = column[column.notna()]
    missing = len(column) - len(present)
    if feature["kind"] == "categorical":
        in_bins = [int((present == category).sum()) for category in feature["categories"]]
        return np.array([*in_bins, len(present) - sum(in_bins), missing])
    edges = [-math.inf, *feature["edges"], math.inf]
    at_most = np.array([int((present <= edge).sum()) for edge in edges])
    return np.array([*np.diff(at_most), missing])


def statistics(reference: Counts, live: Counts, feature: dict[str, Any]) -> dict[str, float | None]:
    bins, m, n = len(reference), reference.sum(), live.sum()
    r = oracle.reference_shares(reference)
    q = oracle.live_shares(live, r)
    return {
        "psi": oracle.psi(q, r),
        "kl": oracle.kl(q, r),
        "js": oracle.js(q, r),
        "ks": oracle.ks(live[:-1], reference[:-1]) if feature["kind"] == "numeric" else None,
        "threshold": float(chi2.isf(0.001, bins - 1) * feature["design_effect"] * (1 / n + 1 / m)),
    }


def features_of(watched: Watched) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = watched.reference["features"]
    return features


def test_reference_counts_are_those_of_january(watched: Watched) -> None:
    assert [f["name"] for f in features_of(watched)] == [*FEATURES, *OUTPUTS]
    for feature in features_of(watched):
        in_file = [*feature["counts"], *([feature["other"]] if "other" in feature else []), feature["missing"]]
        assert counted(watched.rows["january"], feature).tolist() == in_file, feature["name"]


def test_design_effect_is_the_drift_of_days_over_that_of_independent_rows(watched: Watched) -> None:
    january = watched.rows["january"]
    for feature in features_of(watched):
        whole = counted(january, feature)
        blocks = [
            counted(january.iloc[i : i + DAY_ROWS], feature) for i in range(0, len(january) - DAY_ROWS + 1, DAY_ROWS)
        ]
        drift = np.mean([statistics(whole, block, feature)["psi"] for block in blocks])
        degrees = max(int(np.count_nonzero(whole)) - 1, 1)
        expected = max(1.0, float(drift / (degrees * (1 / DAY_ROWS - 1 / len(january)))))
        assert feature["design_effect"] == pytest.approx(expected, abs=1e-4), feature["name"]


@pytest.mark.parametrize("day", DAYS)
def test_drift_equals_numpys_in_every_window(watched: Watched, day: str) -> None:
    entries = {entry["feature"]: entry for entry in watched.drift["models"][day]["features"]}
    assert set(entries) == {*FEATURES, *OUTPUTS}
    for feature in features_of(watched):
        live = counted(watched.rows[day], feature)
        expected = statistics(counted(watched.rows["january"], feature), live, feature)
        entry = entries[feature["name"]]
        assert entry["psi"] == entry["windows"]["1h"]["psi"]
        assert set(entry["windows"]) == set(WINDOWS)
        for window in entry["windows"].values():
            assert window["samples"] == len(watched.rows[day])
            assert window["missing_ratio"] == live[-1] / live.sum()
            for name, number in expected.items():
                assert window[name] == (None if number is None else pytest.approx(number, abs=1e-9, rel=1e-9)), name


METRICS = {
    "psi": "model_drift_psi",
    "kl": "model_drift_kl_divergence",
    "js": "model_drift_js_divergence",
    "ks": "model_drift_ks_statistic",
    "threshold": "model_drift_psi_threshold",
}


@pytest.mark.parametrize("day", DAYS)
def test_metrics_equal_numpys(watched: Watched, day: str) -> None:
    for feature in features_of(watched):
        labels = {"model": day, "role": feature.get("role", "input"), "feature": feature["name"]}
        live = counted(watched.rows[day], feature)
        reference = counted(watched.rows["january"], feature)
        for name, number in statistics(reference, live, feature).items():
            for window in WINDOWS:
                if number is not None:
                    found = value(watched.metrics, METRICS[name], **labels, window=window)
                    assert found == pytest.approx(number, abs=1e-9, rel=1e-9), (name, labels)
        ratios = oracle.reference_shares(reference)
        width = len(live) - (2 if feature["kind"] == "categorical" else 1)
        names = [f"{i:02d}" for i in range(width)] + ["other", "missing"][-(len(live) - width) :]
        for bin_name, count, ratio in zip(names, live, ratios, strict=True):
            found = value(watched.metrics, "model_bin_observations_total", **labels, bin=bin_name)
            assert found == count, (labels, bin_name)
            found = value(watched.metrics, "model_bin_reference_ratio", **labels, bin=bin_name)
            assert found == pytest.approx(ratio, abs=1e-12)
        if feature["kind"] == "numeric":
            column = watched.rows[day][feature["name"]]
            outside = int(((column < feature["min"]) | (column > feature["max"])).sum())
            assert value(watched.metrics, "model_out_of_range_total", **labels) == outside


def test_january_against_itself_reads_none_everywhere(watched: Watched) -> None:
    for entry in watched.drift["models"]["january"]["features"]:
        assert entry["level"] == "none"
        assert all(window["level"] == "none" for window in entry["windows"].values())
        assert 0 <= entry["psi"] < 0.001


def test_departure_delay_is_critical_on_the_day_of_the_storm_because_most_of_it_is_missing(watched: Watched) -> None:
    [entry] = [e for e in watched.drift["models"]["storm"]["features"] if e["feature"] == "dep_delay"]
    assert entry["level"] == "critical"
    assert entry["windows"]["1h"]["missing_ratio"] == pytest.approx(0.57, abs=0.01)
    worst = max(watched.storm_bins, key=lambda b: b["contribution"])
    assert worst["bin"] == "missing"
    assert worst["contribution"] > entry["psi"] / 2
    assert sum(b["contribution"] for b in watched.storm_bins) == pytest.approx(entry["psi"], abs=1e-9)
    assert "storm/dep_delay" in watched.drift["drifted_features"]
    assert not [name for name in watched.drift["drifted_features"] if name.startswith("january/")]


def test_summary_lists_what_drifted_worst_first_over_all_models(watched: Watched) -> None:
    scores, drifted = watched.drift["psi_scores"], watched.drift["drifted_features"]
    assert watched.drift["drift_detected"]
    assert watched.drift["features_monitored"] == len(DAYS) * len(FEATURES) == len(scores)
    assert {name.partition("/")[0] for name in drifted} == {"storm", "july"}
    assert drifted == sorted(drifted, key=lambda name: -scores[name])


@pytest.mark.parametrize("day", DAYS)
def test_latency_quantiles_are_within_the_error_of_the_sketch(watched: Watched, day: str) -> None:
    seconds = watched.rows[day].latency_ms.to_numpy() / 1000
    for window in watched.latency["models"][day]["windows"].values():
        assert (window["count"], window["events"], window["errors"]) == (len(seconds), len(seconds), 0)
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            exact = float(np.quantile(seconds, q, method="inverted_cdf"))
            assert window[name] == pytest.approx(exact, rel=0.011)
        assert window["mean"] == pytest.approx(float(seconds.mean()), rel=0.011)
        for slo in window["slos"]:
            assert slo["seconds"] == SLO_SECONDS[slo["target"]]
            assert slo["within"] == float((seconds <= slo["seconds"]).mean())
            assert slo["met"] == (slo["within"] >= slo["target"])


@pytest.mark.parametrize("day", DAYS)
def test_latency_buckets_are_exact(watched: Watched, day: str) -> None:
    seconds = watched.rows[day].latency_ms.to_numpy() / 1000
    buckets = {
        dict(labels)["le"]: count
        for (name, labels), count in watched.metrics.items()
        if name == "model_latency_seconds_bucket" and dict(labels)["model"] == day
    }
    assert len(buckets) > 10
    for bound, count in buckets.items():
        assert count == int((seconds <= float(bound)).sum()), bound
    assert value(watched.metrics, "model_latency_seconds_sum", model=day) == pytest.approx(float(seconds.sum()))
    assert value(watched.metrics, "model_predictions_total", model=day) == len(seconds)
