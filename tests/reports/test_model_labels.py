"""A label on every metric of a model is written in two places: its name in `metric`, its value in `model_labels`."""

import subprocess
import sys

PROGRAM = """
from sidecar.exposition import metric

metric.MODEL = ("model", "team")

from sidecar.reports import model_labels

model_labels.model_labels = lambda model: (model.name, "risk")

from tests.reports.test_collector import exposed, labelled_state

print(exposed(labelled_state()))
"""


def test_one_more_label_is_on_every_sample_of_a_model() -> None:
    text = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    samples = [line for line in text.splitlines() if line.startswith("model_")]
    of_models = [line for line in samples if '{model="' in line]
    assert len(of_models) > 300
    assert all('",team="risk"' in line for line in of_models)
    rest = {line.partition("{")[0].partition(" ")[0] for line in samples if line not in of_models}
    assert {name for name in rest if not name.startswith("model_sidecar_")} == set()
