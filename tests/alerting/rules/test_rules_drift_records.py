"""Drift of the fleet as recorded by Prometheus equals NumPy, whatever happens to the replicas."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sidecar.alerting.rules import Settings, names
from sidecar.alerting.rules.files import product
from sidecar.alerting.rules.recording.drift import slice_matchers
from sidecar.alerting.rules.settings import Drift
from sidecar.statistics.drift_table import STATISTICS

from .fleet import (
    BIN_NAMES,
    REFERENCE_COUNTS,
    Floats,
    Replica,
    contributions,
    input_series,
    open_left,
    recorded_counts,
    statistics,
    true_counts,
)
from .promtool import DRIFT_RECORDING, Check, check_rules

SCRAPE = 15
STEADY = Replica(rates=(0.9, 0.8, 0.7, 0.6, 0.05))
DRIFTED = Replica(rates=(0.4, 0.5, 0.7, 1.5, 0.3))

FLEETS = {
    "two replicas": [STEADY, DRIFTED],
    "a restart": [STEADY, replace(DRIFTED, restarts=(2000, 3311))],
    "a replica that dies": [STEADY, replace(DRIFTED, dies=2950)],
    "a replica that is born": [STEADY, replace(DRIFTED, born=3130)],
    "traffic that changes": [replace(STEADY, later=(0.1, 0.2, 0.2, 2.5, 0.6), shift=2405), STEADY],
    "a bin that one replica has never seen": [replace(STEADY, unseen=(3,)), DRIFTED],
    "bins that nobody has seen": [replace(replica, unseen=(0, 4)) for replica in (STEADY, DRIFTED)],
    "little traffic": [Replica(rates=(0.04, 0.03, 0.02, 0.08, 0.001))],
}


def key(reference: str = "aaaa0000", feature: str = "amount", model: str = "fraud") -> str:
    return f'{{namespace="prod", model="{model}", reference="{reference}", role="input", feature="{feature}"}}'


def numbers(
    counts: Floats,
    window: str,
    at: str,
    *,
    reference: str = "aaaa0000",
    reference_counts: Floats = REFERENCE_COUNTS,
) -> list[Check]:
    """Expect each statistic within 1e-6 of its value for these counts."""
    return [
        Check(
            at,
            f'abs(model_feature:{name}{window}{{reference="{reference}"}} - {value!r}) < bool 1e-6',
            {key(reference): 1},
        )
        for name, value in statistics(counts, reference_counts).items()
    ]


def absent(at: str, *record: str) -> list[Check]:
    return [Check(at, f"count({name})", {}) for name in record]


def check(directory: Path, replicas: Sequence[Replica], checks: Sequence[Check], *, minutes: int = 75) -> None:
    series = input_series(replicas, scrape=SCRAPE, minutes=minutes)
    check_rules(directory, files=[DRIFT_RECORDING], series=series, checks=checks, interval=f"{SCRAPE}s")


@pytest.mark.parametrize("replicas", FLEETS.values(), ids=FLEETS.keys())
def test_one_hour_of_the_fleet_equals_numpy(replicas: list[Replica], tmp_path: Path) -> None:
    checks = []
    for minute in (62, 75):
        counts = recorded_counts(replicas, scrape=SCRAPE, minute=minute, window=60)
        checks += numbers(counts, "1h", f"{minute}m")
    check(tmp_path, replicas, checks)


@pytest.mark.parametrize("name", [name for name in FLEETS if name != "little traffic"])
def test_five_minutes_of_the_fleet_equal_numpy(name: str, tmp_path: Path) -> None:
    replicas, checks = FLEETS[name], []
    for minute in (52, 56):
        counts = recorded_counts(replicas, scrape=SCRAPE, minute=minute, window=5)
        checks += numbers(counts, "5m", f"{minute}m")
    check(tmp_path, replicas, checks, minutes=56)


def test_a_day_of_the_fleet_equals_numpy(tmp_path: Path) -> None:
    replicas = [replace(STEADY, restarts=(40_000,)), replace(DRIFTED, born=30_000, dies=80_000)]
    counts = recorded_counts(replicas, scrape=60, minute=25 * 60, window=24 * 60)
    check_rules(
        tmp_path,
        files=[DRIFT_RECORDING],
        series=input_series(replicas, scrape=60, minutes=25 * 60),
        checks=numbers(counts, "24h", "25h"),
    )


def test_a_restart_loses_only_the_events_since_the_last_scrape(tmp_path: Path) -> None:
    replicas = [STEADY, replace(DRIFTED, restarts=(4200,))]
    true = true_counts(replicas, since=75 * 60 - 3600, until=75 * 60)
    recorded = recorded_counts(replicas, scrape=SCRAPE, minute=75, window=60)
    # Where a range leaves out the sample at its left end, `increase` stretches the rest to the whole of its 5 minutes.
    stretch = 300 / (300 - SCRAPE) if open_left() else 1
    np.testing.assert_allclose(true - recorded, np.array(DRIFTED.rates) * SCRAPE * stretch)
    psi, expected = names.psi("1h"), statistics(true)["drift_psi:ratio"]
    check(tmp_path, replicas, [Check("75m", f"abs({psi} / {expected!r} - 1) < bool 0.01", {key(): 1})])


def test_a_whole_window_after_a_shift_holds_nothing_of_the_time_before(tmp_path: Path) -> None:
    replicas = [replace(STEADY, later=DRIFTED.rates, shift=600)]
    # 1h and the 5m over which the edges of the window are spread.
    true = true_counts(replicas, since=600, until=4200)
    check(tmp_path, replicas, numbers(true, "1h", "75m"))


def test_an_average_of_replicas_would_be_another_number() -> None:
    apart = [Replica(rates=(1, 0.1, 0.1, 0.1, 0.1)), Replica(rates=(0.1, 1, 1, 1, 0.1))]
    each = [statistics(recorded_counts([r], scrape=SCRAPE, minute=75, window=60)) for r in apart]
    fleet = statistics(recorded_counts(apart, scrape=SCRAPE, minute=75, window=60))
    mean = sum(one["drift_psi:ratio"] for one in each) / 2
    assert mean > 1.5 * fleet["drift_psi:ratio"]


def test_without_traffic_there_is_no_drift_and_no_reassuring_zero(tmp_path: Path) -> None:
    idle = [Replica(rates=(0, 0, 0, 0, 0))]
    records = [*(names.statistic(s, "1h") for s in STATISTICS if s.record), names.live_ratio("1h")]
    checks = [Check("75m", names.observations("1h"), {f"{names.observations('1h')}{key()}": 0})]
    check(tmp_path, idle, [*checks, *absent("75m", *records)])


def test_below_the_minimum_of_samples_there_is_no_drift(tmp_path: Path) -> None:
    few = [Replica(rates=(0.02, 0.02, 0.01, 0.001, 0.001))]
    counts = recorded_counts(few, scrape=SCRAPE, minute=75, window=60)
    assert 100 < counts.sum() < Settings().drift.min_samples
    check(tmp_path, few, absent("75m", names.psi("1h"), names.psi_threshold("1h")))


def test_two_references_during_a_rollout_are_kept_apart(tmp_path: Path) -> None:
    newer = np.array([150.0, 200.0, 250.0, 390.0, 10.0])
    old = replace(STEADY, dies=3600)
    new = replace(DRIFTED, born=1800, reference="bbbb1111", reference_counts=newer)
    while_both = recorded_counts([old], scrape=SCRAPE, minute=59, window=60)
    of_new = recorded_counts([new], scrape=SCRAPE, minute=59, window=60)
    after = recorded_counts([new], scrape=SCRAPE, minute=75, window=60)
    check(
        tmp_path,
        [old, new],
        [
            *numbers(while_both, "1h", "59m"),
            *numbers(of_new, "1h", "59m", reference="bbbb1111", reference_counts=newer),
            *numbers(after, "1h", "75m", reference="bbbb1111", reference_counts=newer),
            # The pods with the old reference are gone: its counts are still in the window, its drift is not.
            *absent("75m", f'{names.psi("1h")}{{reference="aaaa0000"}}'),
        ],
    )


def test_replicas_that_disagree_on_one_reference_give_no_drift(tmp_path: Path) -> None:
    liar = replace(DRIFTED, reference_counts=np.array([100.0, 200.0, 300.0, 390.0, 10.0]))
    check(tmp_path, [STEADY, liar], absent("75m", names.psi("1h"), names.REFERENCE_RATIO))


def test_the_top_bins_carry_the_range_that_people_read(tmp_path: Path) -> None:
    replicas = [STEADY, DRIFTED]
    shares = contributions(recorded_counts(replicas, scrape=SCRAPE, minute=75, window=60))
    top = sorted(range(len(BIN_NAMES)), key=lambda index: -shares[index])[: Settings().drift.top_bins]
    checks = [
        Check(
            "75m",
            f'abs({names.top_contribution("1h")}{{bin="{BIN_NAMES[index]}"}} - {float(shares[index])!r}) < bool 1e-6',
            {f'{key()[:-1]}, bin="{BIN_NAMES[index]}", range="range {BIN_NAMES[index]}"}}': 1},
        )
        for index in top
    ]
    checks.append(Check("75m", f"count({names.top_contribution('1h')})", {"{}": 3}))
    check(tmp_path, replicas, checks)


def test_a_site_without_the_label_namespace_gets_the_same_numbers(tmp_path: Path) -> None:
    series = {
        name.replace('namespace="prod",', ""): values
        for name, values in input_series([STEADY], scrape=SCRAPE, minutes=75).items()
    }
    expected = statistics(recorded_counts([STEADY], scrape=SCRAPE, minute=75, window=60))["drift_psi:ratio"]
    without = key().replace('namespace="prod", ', "")
    check_rules(
        tmp_path,
        files=[DRIFT_RECORDING],
        series=series,
        checks=[Check("75m", f"abs({names.psi('1h')} - {expected!r}) < bool 1e-6", {without: 1})],
        interval=f"{SCRAPE}s",
    )


@pytest.mark.parametrize("count", [1, 2, 5, 10])
def test_every_replica_is_in_exactly_one_slice(count: int) -> None:
    instances = [f"10.0.{number}.{number}:9090" for number in range(100)]
    instances += ["fraud-7c9d-x2kqz", "pod-3:80", "[fe80::1]:9090", "UPPER:1", "a", "", "odd_:9", "0:5"]
    for instance in instances:
        inside = 0
        for matcher in slice_matchers(count):
            found = re.fullmatch(r'\{instance(=~|!~)"(.*)"\}', matcher)
            matches = found is None or bool(re.fullmatch(found[2], instance)) is (found[1] == "=~")
            inside += matches
        assert inside == 1, instance


def test_slices_of_a_fleet_on_consecutive_addresses_are_about_equal() -> None:
    pattern = re.compile(r'\{instance=~"(.*)"\}')
    sizes = []
    for matcher in slice_matchers(10)[:-1]:
        found = pattern.fullmatch(matcher)
        assert found
        sizes.append(sum(bool(re.fullmatch(found[1], f"10.0.0.{n}:9090")) for n in range(100)))
    assert sizes == [10] * 9


def test_the_number_of_slices_changes_no_number(tmp_path: Path) -> None:
    replicas = [STEADY, DRIFTED, replace(STEADY, born=1000), replace(DRIFTED, dies=3000)]
    counts = recorded_counts(replicas, scrape=SCRAPE, minute=62, window=60)
    for slices in (1, 3, 9):
        rules = tmp_path / f"{slices}.yml"
        settings = Settings(drift=Drift(slices=slices))
        rules.write_text(product(settings)[Path("drift.recording.yml")])
        check_rules(
            tmp_path,
            files=[rules],
            series=input_series(replicas, scrape=SCRAPE, minutes=62),
            checks=numbers(counts, "1h", "62m"),
            interval=f"{SCRAPE}s",
        )


def test_the_variant_from_gauges_yields_the_same_records(tmp_path: Path) -> None:
    variant = tmp_path / "variant.yml"
    variant.write_text(product(Settings())[Path("alternatives/drift.pod-gauges.recording.yml")])
    series = {}
    for pod, samples, psi in (("a", 300, 0.3), ("b", 900, 0.1), ("c", 50, None)):
        place = f'namespace="prod",job="sidecar",instance="{pod}",model="fraud"'
        series[f'model_reference_info{{{place},reference="aaaa0000",source="file"}}'] = "1x10"
        gauge = f'{place},role="input",feature="amount",window="1h"'
        series[f"model_window_samples{{{gauge}}}"] = f"{samples}x10"
        if psi is not None:
            series[f"model_drift_psi{{{gauge}}}"] = f"{psi}x10"
            series[f"model_drift_kl_divergence{{{gauge}}}"] = f"{psi / 2}x10"
            series[f"model_drift_js_divergence{{{gauge}}}"] = f"{psi / 4}x10"
            series[f"model_drift_psi_threshold{{{gauge}}}"] = f"{psi / 8}x10"
    mean = (300 * 0.3 + 900 * 0.1) / 1200
    shares = {"psi": mean, "kl": mean / 2, "js": mean / 4, "threshold": mean / 8}
    wanted = {names.statistic(s, "1h"): shares[s.name] for s in STATISTICS if s.record}
    check_rules(
        tmp_path,
        files=[variant],
        series=series,
        checks=[
            *(Check("5m", f"abs({record} - {value!r}) < bool 1e-9", {key(): 1}) for record, value in wanted.items()),
            Check("5m", f"{names.observations('1h')} == bool 1250", {key(): 1}),
        ],
    )
