"""References by season: the fleet is compared with the hours in which its events came, and others as ever."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sidecar.alerting.rules import Settings, names
from sidecar.alerting.rules.files import product
from sidecar.alerting.rules.settings import Drift
from sidecar.reference.seasonal import Seasonal
from sidecar.statistics.drift_table import PSI, other_statistics
from sidecar.statistics.season import Season
from tests import oracle

from .fleet import (
    BIN_NAMES,
    Floats,
    Replica,
    input_series,
    recorded_counts,
    recorded_expected,
    recorded_slots,
    season_rows,
    statistics,
    statistics_against,
)
from .promtool import DRIFT_RECORDING, RULES, Check, check_rules
from .test_rules_drift_records import absent, key
from .test_rules_whole import FAILING, firing

SCRAPE = 15
HOUR = 3600

NIGHT = np.array([280.0, 60.0, 32.0, 20.0, 8.0])
DAY = np.array([160.0, 320.0, 480.0, 608.0, 32.0])
SLOT_COUNTS: Floats = np.array([NIGHT + hour if hour in {0, 22, 23} else DAY - hour for hour in range(24)])
"""Reference rows by hour of the day and bin: few in nights, of another kind, and no two hours the same."""
WHOLE: Floats = SLOT_COUNTS.sum(axis=0)
SEASON = Seasonal(
    Season(cycle="hour-of-day"), SLOT_COUNTS.sum(axis=1), SLOT_COUNTS, oracle.reference_shares(WHOLE), np.array([0])
)

NIGHTLY = tuple(SLOT_COUNTS[0] / 250)
DAILY = tuple(SLOT_COUNTS[1] / 500)
USUAL = Replica(rates=NIGHTLY, later=DAILY, shift=HOUR, reference_counts=WHOLE, season=SEASON)
"""Events like those of the reference at night, which is until one o'clock, and by day."""
ODD = replace(USUAL, rates=(0.3, 0.2, 0.4, 0.1, 0.05), later=(0.5, 2.0, 1.0, 1.5, 0.0))

FLEETS = {
    "two replicas": [USUAL, ODD],
    "a restart": [USUAL, replace(ODD, restarts=(2000, 3311))],
    "a replica that dies after the hour": [USUAL, replace(ODD, dies=HOUR + 400)],
    "a replica that is born before the hour": [USUAL, replace(ODD, born=HOUR - 470)],
    "a bin that nobody has seen": [replace(replica, unseen=(4,)) for replica in (USUAL, ODD)],
}


def mixture(replicas: Sequence[Replica], minute: int, window: int) -> Floats:
    """Return the reference of a window, as it follows from the expected counters."""
    expected = recorded_expected(replicas, scrape=SCRAPE, minute=minute, window=window)
    shares = expected / expected.sum()
    # `increase` does not extrapolate a counter to before it was 0, which bins that were rare at first reach sooner.
    by_slot = SEASON.expected(recorded_slots(replicas, scrape=SCRAPE, minute=minute, window=window))
    np.testing.assert_allclose(shares, by_slot, atol=0.005)
    return np.asarray(shares)


def wanted(replicas: Sequence[Replica], minute: int, window: int) -> dict[str, float]:
    """Return the statistics against the mixture of the hours in which the events came."""
    counts = recorded_counts(replicas, scrape=SCRAPE, minute=minute, window=window)
    reference = mixture(replicas, minute, window)
    born = round(min(replica.born for replica in replicas)) // 60
    return statistics_against(counts, reference, season_rows(SEASON, minute=minute, window=window, born=born))


def numbers(values: dict[str, float], window: str, at: str, **which: str) -> list[Check]:
    """Expect each statistic within 1e-6."""
    selector = ", ".join(f'{name}="{value}"' for name, value in which.items())
    return [
        Check(at, f"abs(model_feature:{name}{window}{{{selector}}} - {value!r}) < bool 1e-6", {key(**which): 1})
        for name, value in values.items()
    ]


def check(
    directory: Path,
    replicas: Sequence[Replica],
    checks: Sequence[Check],
    *,
    minutes: int,
    files: Sequence[Path] = (DRIFT_RECORDING,),
) -> None:
    series = input_series(replicas, scrape=SCRAPE, minutes=minutes)
    check_rules(directory, files=files, series=series, checks=checks, interval=f"{SCRAPE}s")


@pytest.mark.parametrize("replicas", FLEETS.values(), ids=FLEETS.keys())
def test_windows_across_a_full_hour_equal_numpy(replicas: list[Replica], tmp_path: Path) -> None:
    checks = []
    for minute, window in ((61, 5), (63, 5), (63, 60), (88, 60)):
        name = {5: "5m", 60: "1h"}[window]
        checks += numbers(wanted(replicas, minute, window), name, f"{minute}m")
    check(tmp_path, replicas, checks, minutes=88)


def test_what_hours_weigh_is_how_many_events_came_in_them(tmp_path: Path) -> None:
    """Night on one replica, day on the other: the mixture is neither replica's, nor one by the clock."""
    early = replace(USUAL, later=tuple(rate / 20 for rate in DAILY))
    late = replace(USUAL, rates=tuple(rate / 20 for rate in NIGHTLY))
    shares = mixture([early, late], 88, 60)
    by_the_clock = (SEASON.shares[0] + SEASON.shares[1]) / 2
    assert np.abs(shares - by_the_clock).max() > 0.05
    ratio = names.reference_ratio("1h")
    checks = [
        Check(
            "88m",
            f'abs({ratio}{{bin="{name}"}} - {float(share)!r}) < bool 1e-9',
            {f'{key()[:-1]}, bin="{name}"}}': 1},
        )
        for name, share in zip(BIN_NAMES, shares, strict=True)
    ]
    checks.append(Check("88m", f"abs(sum({ratio}) - 1) < bool 1e-12", {"{}": 1}))
    check(tmp_path, [early, late], checks, minutes=88)


def test_a_night_like_other_nights_is_no_drift_and_the_same_night_against_the_whole_is_critical(
    tmp_path: Path,
) -> None:
    by_season = replace(USUAL, later=None)
    as_a_whole = replace(by_season, season=None, model="spam", reference="bbbb1111")
    night = recorded_counts([by_season], scrape=SCRAPE, minute=58, window=60)
    against_nights, against_all = wanted([by_season], 58, 60), statistics(night, WHOLE)
    assert against_nights["drift_psi:ratio"] < 0.01
    assert against_all["drift_psi:ratio"] > Settings().drift.thresholds.rollback
    spam = 'namespace="prod", model="spam", reference="bbbb1111", role="input", feature="amount"'
    checks = [
        *numbers(against_nights, "1h", "58m", model="fraud"),
        *numbers(against_all, "1h", "58m", model="spam", reference="bbbb1111"),
        Check(
            "58m",
            FAILING,
            {
                **firing("CriticalDataDrift", "critical", "alert", spam),
                **firing("RollbackDataDrift", "critical", "rollback", spam),
            },
        ),
    ]
    files = [DRIFT_RECORDING, RULES / "drift.alerts.yml", RULES / "health.alerts.yml"]
    check(tmp_path, [by_season, as_a_whole], checks, minutes=58, files=files)


def test_a_night_unlike_other_nights_is_drift_though_it_is_like_the_whole(tmp_path: Path) -> None:
    odd = replace(USUAL, rates=tuple(WHOLE / WHOLE.sum()), later=None)
    values = wanted([odd], 58, 60)
    assert values["drift_psi:ratio"] > Settings().drift.thresholds.critical
    alert = firing("CriticalDataDrift", "critical", "alert", key()[1:-1])
    checks = [*numbers(values, "1h", "58m"), Check("58m", f'{FAILING[:-1]}, alertname="CriticalDataDrift"}}', alert)]
    check(tmp_path, [odd], checks, minutes=58, files=[DRIFT_RECORDING, RULES / "drift.alerts.yml"])


def test_the_threshold_asks_for_the_rows_of_the_hours_of_the_window(tmp_path: Path) -> None:
    values = {
        ("58m", "5m"): SLOT_COUNTS[0].sum(),
        ("58m", "1h"): SLOT_COUNTS[0].sum(),
        ("90m", "5m"): SLOT_COUNTS[1].sum(),
        ("90m", "1h"): (29 * SLOT_COUNTS[0].sum() + 31 * SLOT_COUNTS[1].sum()) / 60,
        # Since the reference is there: not yet the rows of 24 hours.
        ("90m", "24h"): (60 * SLOT_COUNTS[0].sum() + 31 * SLOT_COUNTS[1].sum()) / 60,
    }
    checks = [rows_compared(at, window, float(rows)) for (at, window), rows in values.items()]
    check(tmp_path, [USUAL], checks, minutes=90)


def test_the_threshold_asks_for_no_more_rows_than_there_are(tmp_path: Path) -> None:
    place = 'namespace="prod",instance="a",model="fraud",reference="aaaa0000"'
    series = {
        f"model_reference_samples{{{place}}}": "1000x150",
        f"model_reference_season_samples{{{place}}}": "600x150",
    }
    checks = [rows_compared("59m", "2h", 600), rows_compared("150m", "5m", 600), rows_compared("150m", "2h", 1000)]
    check_rules(tmp_path, files=[with_windows(tmp_path, "5m", "2h")], series=series, checks=checks)


def with_windows(directory: Path, *windows: str) -> Path:
    rules = directory / "rules.yml"
    settings = Settings(drift=Drift(windows=windows, alert_window=windows[-1], slices=2))
    rules.write_text(product(settings)[Path("drift.recording.yml")])
    return rules


def rows_compared(at: str, window: str, rows: float) -> Check:
    record = names.reference_samples(window)
    return Check(at, record, {f'{record}{{namespace="prod", model="fraud", reference="aaaa0000"}}': rows})


def test_the_rows_of_a_window_are_as_many_as_they_vary_like_if_events_come_as_the_rows_do() -> None:
    rows = SEASON.rows
    for slots in ([0], list(range(24))):
        events = np.zeros(24)
        events[slots] = rows[slots] * 3
        minutes = {1: (59, 60), 24: (24 * 60 - 1, 24 * 60)}[len(slots)]
        recorded = season_rows(SEASON, minute=minutes[0], window=minutes[1])
        assert recorded == pytest.approx(float(SEASON.effective_rows(events)), rel=1e-9)


def test_hours_of_a_reference_by_season_equal_numpy(tmp_path: Path) -> None:
    replicas = [replace(USUAL, restarts=(9_000,)), replace(ODD, born=3_000, dies=11_000)]
    rules = with_windows(tmp_path, "5m", "3h")
    check(tmp_path, replicas, numbers(wanted(replicas, 200, 180), "3h", "200m"), minutes=200, files=[rules])


def test_replicas_that_do_not_say_what_is_expected_leave_the_hours_to_those_that_do(tmp_path: Path) -> None:
    """Half of the series are dropped on the way, say: events of all count, against the hours of those that tell."""
    silent = replace(ODD, without_expected=range(5))
    counts = recorded_counts([USUAL, silent], scrape=SCRAPE, minute=88, window=60)
    values = statistics_against(counts, mixture([USUAL], 88, 60), season_rows(SEASON, minute=88, window=60))
    check(tmp_path, [USUAL, silent], numbers(values, "1h", "88m"), minutes=88)


@pytest.mark.parametrize("bins", [range(5), [3]], ids=["of no bin", "of all bins but one"])
def test_without_what_is_expected_there_is_no_drift_rather_than_that_against_the_whole(
    bins: Sequence[int], tmp_path: Path
) -> None:
    silent = replace(USUAL, later=None, without_expected=bins)
    missing = 'ALERTS{alertname="ModelSidecarDriftMissing", alertstate="firing"}'
    policy = 'severity="warning", action="alert"'
    checks = [
        *absent(
            "58m",
            *(names.statistic(s, "1h") for s in (PSI, *other_statistics()) if s.record),
            names.reference_ratio("1h"),
        ),
        Check("58m", missing, {f"{missing[:-1]}, {policy}, {key()[1:-1]}}}": 1}),
    ]
    check(tmp_path, [silent], checks, minutes=58, files=[DRIFT_RECORDING, RULES / "health.alerts.yml"])


def test_replicas_that_disagree_on_the_whole_of_a_reference_by_season_give_no_drift(tmp_path: Path) -> None:
    liar = replace(ODD, reference_counts=DAY)
    checks = absent("75m", names.psi("1h"), names.reference_ratio("1h"), names.REFERENCE_RATIO)
    check(tmp_path, [USUAL, liar], checks, minutes=75)


def test_a_reference_with_a_season_and_the_one_before_it_without_are_judged_each_on_its_own_while_it_rolls_out(
    tmp_path: Path,
) -> None:
    """A sidecar that knows no seasons refuses the new profile and goes on with the old one, of another fingerprint."""
    old = replace(USUAL, season=None, reference="bbbb1111", dies=HOUR + 1200)
    new = replace(USUAL, born=1800)
    checks = [
        *numbers(wanted([new], 70, 60), "1h", "70m", reference="aaaa0000"),
        *numbers(
            statistics(recorded_counts([old], scrape=SCRAPE, minute=70, window=60), WHOLE),
            "1h",
            "70m",
            reference="bbbb1111",
        ),
        *numbers(wanted([new], 88, 60), "1h", "88m", reference="aaaa0000"),
        *absent("88m", f'{names.psi("1h")}{{reference="bbbb1111"}}'),
    ]
    check(tmp_path, [old, new], checks, minutes=88)


def test_a_reference_without_season_is_the_whole_in_every_window(tmp_path: Path) -> None:
    plain = replace(USUAL, season=None)
    checks = [
        Check(
            "88m",
            f"{names.reference_ratio(window)} == bool {names.REFERENCE_RATIO}",
            {f'{key()[:-1]}, bin="{name}"}}': 1 for name in BIN_NAMES},
        )
        for window in Settings().drift.windows
    ]
    rows = '{namespace="prod", model="fraud", reference="aaaa0000"}'
    checks += [
        Check("88m", f"{names.reference_samples(window)} == bool {WHOLE.sum()}", {rows: 1})
        for window in Settings().drift.windows
    ]
    checks += absent("88m", names.bin_expected("1h"), names.SEASON_SAMPLES)
    check(tmp_path, [plain], checks, minutes=88)
