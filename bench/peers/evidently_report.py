"""Evidently: a report of drift (PSI) every 10,000 events, from two data frames."""

import os
import time

os.environ["DO_NOT_TRACK"] = "1"

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

from bench.peers.work import features, rows, tell

EVENTS = 10_000


def main() -> None:
    """Measure one report; what an event costs is its share of the report and nothing else."""
    count = features()
    names = [f"feature_{i:03d}" for i in range(count)]
    data = rows(2 * EVENTS, count)
    reference, live = (pd.DataFrame(part, columns=names) for part in (data[:EVENTS], data[EVENTS:]))
    began, cpu_before = time.perf_counter(), time.process_time()
    Report([DataDriftPreset(method="psi")]).run(live, reference).dict()
    cpu, taken = time.process_time() - cpu_before, time.perf_counter() - began
    tell({"cpu_us": cpu / EVENTS * 1e6, "drift_ms": taken * 1e3})


if __name__ == "__main__":
    main()
