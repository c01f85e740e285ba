"""Run a module with one more statistic of drift: `python -m tests.statistics.hellinger sidecar serve …`."""

import runpy
import sys

import numpy as np

from sidecar.statistics import drift_table
from sidecar.statistics.bins import Floats


def hellinger(compared: drift_table.Compared) -> Floats:
    """Return the Hellinger distance, `sqrt(1 - sum sqrt(q_i r_i))`."""
    overlap = np.add.reduceat(np.sqrt(compared.live * compared.reference), compared.starts, axis=-1)
    return np.asarray(np.sqrt(np.maximum(1 - overlap, 0)))


HELLINGER = drift_table.Statistic(
    name="hellinger",
    title="Hellinger",
    words="Hellinger distance (0 to 1)",
    formula=hellinger,
    metric="model_drift_hellinger_distance",
    help="Hellinger distance of the window from the reference, between 0 and 1.",
    record="drift_hellinger_distance:ratio",
    promql="sqrt(clamp_min(1 - sum by ({key}) (sqrt({live} * {reference})), 0))",
)

if __name__ == "__main__":
    drift_table.STATISTICS = (*drift_table.STATISTICS, HELLINGER)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
