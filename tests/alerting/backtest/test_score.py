"""Firings, false alarms, what was found, and settings that would have kept to a number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.alerting.backtest.conditions import Exceeding, bands, stretches
from sidecar.alerting.backtest.recorded import Evaluations, Increases, Sums
from sidecar.alerting.backtest.score import DAY, WEEK, Detection, Incident, Known, score
from sidecar.alerting.backtest.states import Firing, firing, runs
from sidecar.alerting.backtest.tune import Goal, Way, best, drift_scores, higher_levels, least_wait, longer_waits
from sidecar.alerting.rules import Settings
from sidecar.alerting.rules.settings import Thresholds
from sidecar.events.batch import Key

MINUTE = 60_000
AMOUNT = Key("input", "amount")


def prometheus(holds: list[bool], wait: int) -> list[bool]:
    """Say at each minute whether an alert fires, step by step as Prometheus goes."""
    fires, active = [], None
    for i, held in enumerate(holds):
        if not held:
            active = None
        elif active is None:
            active = i
        fires.append(active is not None and (i - active) * MINUTE >= wait)
    return fires


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5 * MINUTE))
def test_an_alert_fires_as_it_does_step_by_step(holds: list[bool], wait: int) -> None:
    fires = [False] * len(holds)
    for first, after in firing(runs(np.array(holds, dtype=bool)), wait=wait, interval=MINUTE).tolist():
        fires[first:after] = [True] * (after - first)

    assert fires == prometheus(holds, wait)


@given(st.lists(st.booleans(), max_size=60))
def test_stretches_of_numbers_are_runs_of_states(holds: list[bool]) -> None:
    states = np.array(holds, dtype=bool)

    assert stretches(np.flatnonzero(states)).tolist() == runs(states).tolist()


@given(st.lists(st.integers(0, 5), min_size=30, max_size=60), st.integers(1, 30), st.sampled_from([2, 3]))
def test_increases_do_not_depend_on_how_the_history_is_cut(counts: list[int], cut: int, major: int) -> None:
    column = np.array(counts, dtype=np.int64)[:, None]
    evaluated = Evaluations(30_000, MINUTE, len(counts))
    options = {"begin": 0, "scrape": MINUTE, "window": 5 * MINUTE, "columns": 1, "prometheus": major}
    whole = Increases(evaluated, **options).add(column)
    parts = Increases(evaluated, **options)
    cut_up = np.concatenate([parts.add(column[i : i + cut]) for i in range(0, len(counts), cut)])

    np.testing.assert_allclose(cut_up, whole)
    sums = [Sums(window=10 * MINUTE, base=5 * MINUTE, interval=MINUTE, columns=1) for _ in range(2)]
    in_parts = np.concatenate([sums[1].add(whole[i : i + cut]) for i in range(0, len(whole), cut)])
    np.testing.assert_allclose(in_parts, sums[0].add(whole), atol=1e-9)


def fired(start: float, end: float, subject: str = "amount") -> Firing:
    return Firing("CriticalDataDrift", subject, start, end, 0.3)


KNOWN = Known(2 * WEEK, [Incident(3 * DAY, 4 * DAY)], memory_seconds=DAY)


def test_a_firing_that_begins_in_an_incident_or_while_a_window_holds_it_is_no_false_alarm() -> None:
    found = score("x", [fired(3.5 * DAY, 3.6 * DAY), fired(4.9 * DAY, 6 * DAY), fired(5.1 * DAY, 5.2 * DAY)], KNOWN)

    assert (found.firings, found.false_alarms, found.false_per_week) == (3, 1, 0.5)
    assert found.detections == (Detection(0.5 * DAY),)


def test_features_that_fire_together_are_one_alarm_and_each_day_of_it_counts() -> None:
    found = score("x", [fired(0, 1.5 * DAY), fired(DAY, 2.5 * DAY, "merchant"), fired(9 * DAY, 9.1 * DAY)], KNOWN)

    assert found.false_alarms == 3 + 1
    assert found.firing_share == pytest.approx((2.5 + 0.1) / 14)
    assert dict(found.subjects) == {"amount": 2, "merchant": 1}


def test_what_fired_before_an_incident_has_not_found_it() -> None:
    assert score("x", [fired(2 * DAY, 6 * DAY)], KNOWN).detections == (Detection(None, already=True),)
    assert score("x", [], KNOWN).detections == (Detection(None),)


def peaks(*episodes: tuple[int, int, float]) -> Exceeding:
    """Return minutes at which PSI exceeds: from, how many, and how much; a day has 1440."""
    at = np.concatenate([np.arange(start, start + number) for start, number, _ in episodes])
    psi = np.concatenate([np.full(number, value) for _, number, value in episodes])
    return Exceeding(AMOUNT, Evaluations(0, MINUTE, 14 * 1440), at, psi, psi / 0.05)


NOISE = peaks((100, 8, 0.3), (3000, 9, 0.4), (3 * 1440 + 100, 200, 0.9), (12_000, 7, 0.35), (15_000, 8, 0.28))


def test_durations_are_raised_as_little_as_keeps_to_the_goal() -> None:
    goal = Goal(0.5, KNOWN)
    tuned = longer_waits(Settings(), [NOISE], goal)

    assert tuned is not None
    assert tuned.policy("CriticalDataDrift").for_ == "10m"
    assert tuned.policy("ModerateDataDrift") == Settings().policy("ModerateDataDrift")
    scores = drift_scores(tuned, [NOISE], KNOWN)
    assert all(goal.met(found) for found in scores.values())
    assert scores["CriticalDataDrift"].found == 1


def test_levels_are_raised_as_little_as_keeps_to_the_goal_and_go_on_ascending() -> None:
    goal = Goal(0.5, KNOWN)
    tuned = higher_levels(Settings(), [NOISE], goal)

    levels = tuned.drift.thresholds
    assert levels.moderate < levels.significant < levels.critical < levels.rollback
    assert 0.35 < levels.significant < 0.4  # one false alarm in two weeks, that of 0.4, is left
    assert levels.rollback == Settings().drift.thresholds.rollback
    scores = drift_scores(tuned, [NOISE], KNOWN)
    assert all(goal.met(found) for found in scores.values())
    assert scores["CriticalDataDrift"].found == 1


def test_a_goal_that_no_duration_keeps_to_is_told() -> None:
    always = peaks((0, 14 * 1440, 0.3))

    assert longer_waits(Settings(), [always], Goal(0.5, KNOWN)) is None
    assert least_wait(0, lambda wait: score("x", [], KNOWN), Goal(0, KNOWN)) == ""


def test_the_way_that_finds_more_is_chosen_among_those_that_keep_to_the_goal() -> None:
    goal = Goal(0.5, KNOWN)
    silent = Way("silent", Settings(), {"x": score("x", [], KNOWN)})
    loud = Way("loud", Settings(), {"x": score("x", [fired(i * DAY, i * DAY + 60) for i in range(14)], KNOWN)})
    late = Way("late", Settings(), {"x": score("x", [fired(3.9 * DAY, 4 * DAY)], KNOWN)})
    soon = Way("soon", Settings(), {"x": score("x", [fired(3.1 * DAY, 4 * DAY)], KNOWN)})

    assert best([silent, loud, late, soon], goal) is soon
    assert best([silent, loud], goal) is silent
    assert best([loud], goal) is loud


def test_bands_are_those_of_the_expressions() -> None:
    values = np.array([0.05, 0.1, 0.2, 0.25, 0.250001, 0.5, 0.6])
    found = {level: band.holds(values).tolist() for level, band in bands(Thresholds()).items()}

    assert found["Moderate"] == [False, True, False, False, False, False, False]
    assert found["Significant"] == [False, False, True, True, False, False, False]
    assert found["Critical"] == [False, False, False, False, True, True, True]
    assert found["Rollback"] == [False, False, False, False, False, False, True]
