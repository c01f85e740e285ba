"""A real model on real flights, and when they came: the sidecar's statistics are those of scikit-learn.

The model is trained on January. On an ordinary July week and in the storm of February it is labelled with what came.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from demo.flights import LATE_MINUTES, load_flights, score, train
from demo.send import send
from tests.plugins.serving import NDJSON, get, request, samples, value
from tools.process import sidecar

CONFIG = "models: [{name: storm, labels: {positive: late, ttl: 1h}}, {name: july, labels: {positive: late, ttl: 1h}}]\n"
LABELLED = {"storm": 1.0, "july": 0.8}


def days(year: pd.DataFrame) -> dict[str, pd.DataFrame]:
    arrived = year[year.arr_delay.notna()]
    return {
        "storm": arrived[(arrived.month == 2) & (arrived.day == 9)],
        "july": arrived[(arrived.month == 7) & (arrived.day <= 3)],
    }


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what was said and came of the labelled flights by model, what /quality says, and the metrics."""
    year = load_flights()
    model = train(year[year.month == 1])
    folder: Path = tmp_path_factory.mktemp("flights")
    (folder / "sidecar.yml").write_text(CONFIG)
    found: dict[str, dict[str, Any]] = {}
    with sidecar(folder, config=folder / "sidecar.yml") as process:
        for name, flights in days(year).items():
            scored = score(model, flights)
            send(process.url, ({**event, "id": i} for i, event in enumerate(scored.events(name))))
            came = np.where(flights.arr_delay > LATE_MINUTES, "late", "on time")
            known = np.random.default_rng(1).permutation(len(flights))[: int(len(flights) * LABELLED[name])].tolist()
            labels = [{"model": name, "id": str(i), "label": str(came[i])} for i in known]
            body = b"\n".join(json.dumps(label).encode() for label in labels)
            answer = request(process.url, "POST", "/labels", body, {"Content-Type": NDJSON})
            assert (answer.status, answer.json()["accepted"]) == (202, len(known)), answer.text
            found[name] = {
                "said": np.array(scored.prediction)[known],
                "probability": scored.probability[known],
                "came": came[known],
                "flights": len(flights),
            }
        report, exposed = get(process.url, "/quality").json(), samples(process.url)
    for name in found:
        found[name] |= {"quality": report["models"][name], "metrics": exposed}
    return found


@pytest.mark.parametrize("window", ["5m", "1h", "24h"])
@pytest.mark.parametrize("name", LABELLED)
def test_statistics_of_real_predictions_are_those_of_scikit_learn(
    said: dict[str, dict[str, Any]], name: str, window: str
) -> None:
    of = said[name]
    quality = of["quality"]["windows"][window]
    assert quality["labels"] == len(of["came"]) > 250
    assert quality["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(of["came"], of["said"]), abs=1e-12)
    for label in ("late", "on time"):
        precision = sklearn_metrics.precision_score(of["came"], of["said"], pos_label=label)
        recall = sklearn_metrics.recall_score(of["came"], of["said"], pos_label=label)
        assert quality["classes"][label] == pytest.approx({"precision": precision, "recall": recall}, abs=1e-12)
    brier = sklearn_metrics.brier_score_loss(of["came"] == "late", of["probability"])
    assert quality["brier_score"] == pytest.approx(brier, abs=1e-12)
    frame = pd.DataFrame({"p": of["probability"], "y": of["came"] == "late"})
    groups = frame.groupby((frame.p * 10).astype(int).clip(upper=9))
    error = sum(len(g) / len(frame) * abs(g.p.mean() - g.y.mean()) for _, g in groups)
    assert quality["calibration_error"] == pytest.approx(error, abs=1e-12)
    gauges = {"model_accuracy_ratio": "accuracy", "model_brier_score": "brier_score"}
    for metric, key in gauges.items():
        assert value(of["metrics"], metric, model=name, window=window) == quality[key]


@pytest.mark.parametrize("name", LABELLED)
def test_counters_are_those_of_a_confusion_matrix(said: dict[str, dict[str, Any]], name: str) -> None:
    of = said[name]
    matrix = sklearn_metrics.confusion_matrix(of["came"], of["said"], labels=["late", "on time"])
    for i, actual in enumerate(("late", "on time")):
        for j, predicted in enumerate(("late", "on time")):
            labels = {"model": name, "predicted": predicted, "actual": actual}
            assert value(of["metrics"], "model_label_outcomes_total", **labels) == matrix[i, j]
    assert value(of["metrics"], "model_labels_correct_total", model=name) == np.trace(matrix)
    waiting = of["flights"] - len(of["came"])
    assert value(of["metrics"], "model_label_pending_predictions", model=name) == waiting
    assert (waiting == 0) == (LABELLED[name] == 1)
