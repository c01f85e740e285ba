"""Judge: build a reference from rows and replay others against it, as the commands do."""

import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from bench.trust.streams import Rows
from sidecar.alerting.backtest import study
from sidecar.alerting.backtest.history import History, Named
from sidecar.alerting.backtest.score import Incident, Score
from sidecar.alerting.rules.settings import Settings
from sidecar.config import ModelConfig
from sidecar.reference.files.build import build
from sidecar.reference.profile import Profile
from sidecar.statistics.season import Season

Order = Literal["file", "timestamp", "season"]
"""What `reference build` is told of the order of rows: nothing, `--timestamp`, or that and `--season`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """False alarms a week of all drift alerts together, and of those that ask for a rollback.

    `fixed` is what PSI above 0.25 alone would have raised. `minutes` are those from when a drift began until the first
    alert fired, None if none did; `peak_psi` is that of the first feature in the window of alerts, after it.
    """

    weeks: float
    alarms_per_week: float
    rollbacks_per_week: float
    fixed_per_week: float
    found_minutes: float | None = None
    fixed_minutes: float | None = None
    peak_psi: float = math.nan


def reference_of(rows: Rows, order: Order) -> Profile:
    """Build a reference by the code of `reference build`."""
    with _file(rows) as path:
        return build(
            [path],
            features=list(rows.columns),
            timestamp=None if order == "file" else "timestamp",
            season=Season(cycle="hour-of-day") if order == "season" else None,
        )


def replay(rows: Rows, reference: Profile, *, drift_at: float | None = None) -> Verdict:
    """Replay rows by the code of `backtest`; `drift_at`, in seconds of Unix time, is when a drift began."""
    incidents = [] if drift_at is None else [Incident(drift_at, float(rows.times[-1]))]
    with _file(rows) as path:
        history = History([path], reference, Named())
        plan = study.Plan(model=ModelConfig(name="trust"), settings=Settings(), incidents=incidents)
        with study.run(history, plan) as found:
            weeks = found.known.seconds / 604_800
            fixed = found.calibration["fixed levels alone"]["CriticalDataDrift"]
            alarms = study.totals(found.scores)[0]
            rollbacks = study.totals({n: s for n, s in found.scores.items() if n.startswith("Rollback")})[0]
            peak = math.nan
            if drift_at is not None:
                series = found.alert_series
                peak = float(series.psi[0, series.evaluated.at(drift_at * 1000) :].max(initial=0.0))
            return Verdict(
                weeks,
                alarms,
                rollbacks,
                fixed.false_per_week,
                _first(found.scores.values()),
                _first([fixed]),
                peak,
            )


def _first(scores: Iterable[Score]) -> float | None:
    found = [d.seconds / 60 for score in scores for d in score.detections if d.seconds is not None]
    return min(found, default=None)


@contextmanager
def _file(rows: Rows) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "rows.parquet")
        times = pa.array((rows.times * 1e6).astype("int64"), pa.timestamp("us"))
        columns = {name: pa.array(column, from_pandas=True) for name, column in rows.columns.items()}
        pq.write_table(pa.table({"timestamp": times, **columns}), path)
        yield path
