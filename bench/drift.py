"""Drift: the time to read PSI, KL, JS and KS of every feature in three windows."""

from bench.figures import Figures
from bench.measure import median_milliseconds
from bench.work import bodies, monitor

FEATURES = (5, 200, 5000)


def main(figures: Figures) -> None:
    """Print the time of a reading, with events that came since the last one."""
    print("drift: milliseconds to read all statistics of all features in three windows")
    for features in FEATURES:
        watched = monitor(features)
        body = bodies(features, events=500)[4]
        comparison = watched.models["bench"].comparison
        assert comparison is not None  # it has a reference
        watched.submit(body.content, body.form, transport="bench", now=1.0)
        taken = figures[f"drift.{features}_ms"] = median_milliseconds(lambda: comparison.read(now=1.0))  # noqa: B023
        print(f"  {features:>5} features{taken:>22.3f}", flush=True)
