"""A candidate against stable as recorded by Prometheus equals NumPy, and there is nothing where nothing can be said."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sidecar.alerting.rules import Settings, names
from sidecar.alerting.rules.recording.canary import matcher
from sidecar.alerting.rules.settings import Canary
from sidecar.statistics import drift

from .fleet import BIN_NAMES, REFERENCE_COUNTS, SIGNIFICANCE, Floats, Replica, input_series, recorded_counts
from .promtool import RULES, Check, check_rules

SCRAPE = 15
WINDOW = Settings().canary.window
START = np.array([0])
FILES = [RULES / f"{name}.yml" for name in ("drift.recording", "canary.recording", "canary.alerts")]

USUAL = np.array([0.9, 0.8, 0.7, 0.6, 0.05])
OTHER = np.array([0.4, 0.5, 0.7, 1.2, 0.25])
STABLE = Replica(rates=[*USUAL], track="stable")
CANDIDATE = Replica(rates=[*USUAL], track="canary")
KEY = '{namespace="prod", model="fraud", reference="aaaa0000", role="input", feature="amount"}'
FIRING = 'ALERTS{alertstate="firing"}'
ALERT = (
    'ALERTS{alertname="CandidateDataDrift", alertstate="firing", severity="warning", action="alert", ' + KEY.strip("{}")
) + "}"


def check(directory: Path, replicas: Sequence[Replica], checks: Sequence[Check], *, minutes: int = 42) -> None:
    series = input_series(replicas, scrape=SCRAPE, minutes=minutes)
    check_rules(directory, files=FILES, series=series, checks=checks, interval=f"{SCRAPE}s")


def expected(candidate: Floats, stable: Floats) -> dict[str, float]:
    """Return what the statistics of the sidecar say of two live counts, with stable as the reference."""
    reference = drift.reference_shares(stable, START)  # type: ignore[arg-type]
    live = drift.live_shares(candidate, reference, START)
    return {
        names.candidate_psi(WINDOW): float(drift.psi(live, reference, START)[0]),
        names.candidate_psi_threshold(WINDOW): SIGNIFICANCE * (1 / float(candidate.sum()) + 1 / float(stable.sum())),
        names.side_observations("candidate", WINDOW): float(candidate.sum()),
        names.side_observations("stable", WINDOW): float(stable.sum()),
    }


def counts(replicas: Sequence[Replica], track: str, minute: int) -> Floats:
    side = [replica for replica in replicas if replica.track == track]
    return recorded_counts(side, scrape=SCRAPE, minute=minute, window=30)


def equal(replicas: Sequence[Replica], minute: int) -> list[Check]:
    values = expected(counts(replicas, "canary", minute), counts(replicas, "stable", minute))
    return [Check(f"{minute}m", f"abs({name} - {value!r}) < bool 1e-6", {KEY: 1}) for name, value in values.items()]


FLEETS = {
    "one beside one": [STABLE, replace(CANDIDATE, rates=[*OTHER])],
    "5 % beside 95 %": [
        replace(STABLE, rates=[*(USUAL * 9.5)]),
        replace(STABLE, rates=[*(USUAL * 9.5)]),
        replace(CANDIDATE, rates=[*OTHER]),
    ],
    "a restart of the candidate": [STABLE, replace(CANDIDATE, rates=[*OTHER], restarts=(1500, 2411))],
    "a replica of stable that dies": [STABLE, replace(STABLE, dies=1950), replace(CANDIDATE, rates=[*OTHER])],
    "bins that one side has never seen": [replace(STABLE, unseen=(3,)), replace(CANDIDATE, unseen=(0, 4))],
    "a bin that nobody has seen": [replace(STABLE, unseen=(4,)), replace(CANDIDATE, rates=[*OTHER], unseen=(4,))],
    "pods that are neither": [STABLE, CANDIDATE, replace(STABLE, track="", rates=[*OTHER])],
}


@pytest.mark.parametrize("replicas", FLEETS.values(), ids=FLEETS.keys())
def test_candidate_against_stable_equals_the_statistics_of_the_sidecar(replicas: list[Replica], tmp_path: Path) -> None:
    check(tmp_path, replicas, equal(replicas, 42))


@pytest.mark.parametrize("stable_times", [1, 19])
def test_a_candidate_that_is_alike_raises_nothing_however_traffic_is_split(stable_times: int, tmp_path: Path) -> None:
    replicas = [replace(STABLE, rates=[*(USUAL * stable_times)]), CANDIDATE]
    check(tmp_path, replicas, [Check(f"{minute}m", FIRING, {}) for minute in range(2, 42, 4)])


@pytest.mark.parametrize("stable_times", [1, 19])
def test_a_candidate_that_differs_raises_an_alert_until_it_is_gone(stable_times: int, tmp_path: Path) -> None:
    replicas = [
        replace(STABLE, rates=[*(USUAL * stable_times)]),
        replace(CANDIDATE, rates=[*OTHER], born=300, dies=1500),
    ]
    checks = [Check("5m", FIRING, {}), Check("16m", FIRING, {ALERT: 1}), Check("25m", FIRING, {ALERT: 1})]
    check(tmp_path, replicas, [*checks, Check("60m", FIRING, {})], minutes=60)


def test_both_alike_but_far_from_the_reference_is_no_drift_of_the_candidate(tmp_path: Path) -> None:
    moved = np.array([0.0, 0.1, 0.1, 2.5, 0.5])
    replicas = [replace(STABLE, rates=[*(moved * 19)]), replace(CANDIDATE, rates=[*moved])]
    small = Check("40m", f"{names.candidate_psi(WINDOW)} < bool 0.005", {KEY: 1})
    large = Check("40m", f"{names.psi('5m')} > bool 0.5", {KEY: 1})
    check(tmp_path, replicas, [small, large])


@pytest.mark.parametrize(
    "replicas",
    [
        pytest.param([STABLE, STABLE], id="no candidate"),
        pytest.param([CANDIDATE], id="no stable"),
        pytest.param([replace(STABLE, track=""), replace(CANDIDATE, track="")], id="no label"),
        pytest.param([STABLE, replace(CANDIDATE, reference="bbbb0000", rates=[*OTHER])], id="another reference"),
        pytest.param([STABLE, replace(CANDIDATE, rates=[*(OTHER / 40)])], id="too few events"),
    ],
)
def test_there_is_no_drift_where_nothing_can_be_compared(replicas: list[Replica], tmp_path: Path) -> None:
    absent = [names.candidate_psi(WINDOW), names.candidate_psi_threshold(WINDOW), FIRING]
    if all(replica.track != "canary" for replica in replicas):
        absent.append('{__name__=~"model_feature.*:(candidate|stable)_.*"}')
    check(tmp_path, replicas, [Check(f"{m}m", f"count({name})", {}) for name in absent for m in (20, 42)])


def test_chance_alone_stays_below_the_threshold_however_unequal_the_samples() -> None:
    random = np.random.default_rng(7)
    shares = np.array([*[0.1] * 9, 0.08, 0.02])  # quantile bins and a few that are missing
    factor = drift.significance_factor(shares.size, alpha=0.001)
    for candidate, stable in ((500, 9500), (9500, 500), (3000, 3000), (200, 200_000)):
        s, c = (random.multinomial(rows, shares, 20_000) for rows in (stable, candidate))
        reference = drift.reference_shares(s, START)
        psi = drift.psi(drift.live_shares(c, reference, START), reference, START)[:, 0]
        assert (psi > factor * (1 / candidate + 1 / stable)).mean() < 0.004  # the tail of 200 events is heavier


def test_the_label_and_its_values_are_those_of_the_site() -> None:
    site = Canary(label="rollouts_pod_template_hash", candidate=r"a\.b", stable='c"d')
    assert matcher(site, "candidate") == r'rollouts_pod_template_hash=~"a\\.b"'
    assert matcher(site, "stable") == r'rollouts_pod_template_hash=~"c\"d"'


def test_the_bins_of_the_made_up_fleet_are_those_of_its_reference() -> None:
    assert len(BIN_NAMES) == REFERENCE_COUNTS.size == USUAL.size
