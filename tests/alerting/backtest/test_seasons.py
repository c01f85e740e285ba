"""History against a reference by season: each hour with its like."""

from pathlib import Path

import numpy as np
import pytest

from sidecar.alerting.backtest.counters import Layout, counted
from sidecar.alerting.backtest.drifts import reference_rows
from sidecar.alerting.backtest.openmetrics import backfill
from sidecar.alerting.backtest.recorded import Evaluations
from sidecar.config import DriftConfig
from sidecar.exposition import model_metrics
from sidecar.monitor.comparison import Comparison

from .support import START, afternoon, history, plan, reference, reference_by_season

MINUTE, HOUR = 60_000, 3_600_000


def _comparison() -> Comparison:
    return Comparison("fraud", reference_by_season(), DriftConfig(), (), now=0.0)


def test_what_is_expected_of_events_is_what_the_sidecar_would_have_counted(tmp_path: Path) -> None:
    path = afternoon().parquet(tmp_path / "x.parquet")
    comparison = _comparison()
    layout = Layout.of(comparison, (0.1,))
    batches = history(path, profile=reference_by_season()).batches()
    counts = np.concatenate([s.counts for s in counted(batches, comparison, layout, scrape_seconds=60)])

    scraped = tmp_path / "history.om"
    backfill(history(path, profile=reference_by_season()), plan(), scraped, labels={})
    of_bin: dict[str, list[float]] = {}
    for line in scraped.read_text().splitlines():
        if line.startswith(model_metrics.BIN_EXPECTED_OBSERVATIONS.name + "{"):
            series, value, _ = line.rsplit(" ", 2)
            of_bin.setdefault(series, []).append(float(value))
    by_sidecar = np.array(list(of_bin.values())).T
    np.testing.assert_allclose(np.cumsum(counts[:, layout.expected], axis=0), by_sidecar[1:], rtol=1e-12)
    assert by_sidecar[-1].sum() == pytest.approx(len(afternoon()) * len(comparison.features))


def test_a_reference_without_season_expects_nothing() -> None:
    comparison = Comparison("fraud", reference(), DriftConfig(), (), now=0.0)
    layout = Layout.of(comparison, (0.1,))
    assert layout.expected.start == layout.expected.stop == layout.events


@pytest.mark.parametrize("window", [5 * MINUTE, HOUR, 3 * HOUR, 30 * HOUR])
def test_a_window_is_compared_with_the_rows_of_the_hours_that_it_spans(window: int) -> None:
    comparison = _comparison()
    assert comparison.seasonal is not None
    evaluated = Evaluations(START * 1000 + 7, MINUTE, 40 * 60)
    found = reference_rows(comparison, evaluated, scrape=MINUTE, window=window)
    season, rows, everything = comparison.seasonal.season, comparison.seasonal.rows, comparison.profile.rows
    for number in (0, 3, 61, 200, 1000, 2399):
        before = range(max(0, number + 1 - window // MINUTE), number + 1)
        each = [rows[season.slots_of(np.array([START + 60.0 * n]))[0]] for n in before]
        by_hand = np.mean(each) if window <= HOUR else np.sum(each) / 60
        assert found[number] == pytest.approx(min(by_hand, everything))
