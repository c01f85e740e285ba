"""whylogs: a rolling logger that is given row after row, or a frame of 1,000; drift by its own scores."""

import os
import tempfile

os.environ["WHYLOGS_NO_ANALYTICS"] = "True"  # it would tell its makers about every run

import pandas as pd
import whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

from bench.peers.work import cpu_us, events, features, milliseconds, rows, tell


def main() -> None:
    """Measure rows, frames and drift."""
    count = features()
    sent = events(200 if count < 50 else 20, count)
    frame = pd.DataFrame(rows(1_000, count), columns=[f"feature_{i:03d}" for i in range(count)])
    reference = whylogs.log(frame).view()
    with tempfile.TemporaryDirectory() as folder:
        logger = whylogs.logger(mode="rolling", interval=1, when="H", base_name="bench")
        logger.append_writer("local", base_dir=folder)

        def log_rows() -> None:
            for event in sent:
                logger.log(event)

        row = cpu_us(log_rows, events=len(sent))
        frames = cpu_us(lambda: logger.log(frame), events=len(frame))
        live = whylogs.log(frame).view()
        drift = milliseconds(lambda: calculate_drift_scores(live, reference), rounds=3)
        tell({"cpu_us": row, "frames_cpu_us": frames, "drift_ms": drift})
        os._exit(0)  # the timer of a rolling logger holds up the end of the process


if __name__ == "__main__":
    main()
