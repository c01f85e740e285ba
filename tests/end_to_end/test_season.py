"""References by season, live: two sidecars and a real Prometheus compare the events of now with this hour."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from msgspec.structs import replace

from demo.send import send
from demo.stack import MissingProgram, Stack, monitoring
from sidecar.alerting.rules import names
from sidecar.alerting.rules.policy import ALERTS
from sidecar.reference import Profile, build, save
from sidecar.reference.seasonal import Seasonal
from sidecar.statistics import drift
from sidecar.statistics.season import Season
from tests.seasons import by_season
from tools.process import SidecarProcess, sidecar

WINDOW = "20s"
SETTINGS: dict[str, Any] = {
    "drift": {"interval": "1s", "windows": ["5s", WINDOW], "alert_window": WINDOW, "slices": 2},
    "service": {"interval": "1s"},
    "objectives": {"interval": "1s"},
    "health": {"interval": "1s"},
    "canary": {"window": WINDOW},
    "alerts": {name: {"for": "1s"} for name, policy in ALERTS.items() if policy.for_ is not None},
}
ROWS_AN_HOUR = 400
START = np.array([0])


def hour_of_events(*, now: bool) -> dict[str, Any]:
    """Return the events of any hour around now, or of any other hour, the same at every call."""
    random = np.random.default_rng(int(now))
    shares = [0.8, 0.15, 0.05] if now else [0.2, 0.4, 0.4]
    return {
        "amount": random.normal(20 if now else 60, 15, ROWS_AN_HOUR),
        "merchant": random.choice(["visa", "amex", "discover"], ROWS_AN_HOUR, p=shares),
    }


def profile() -> Profile:
    """Return a reference whose hours from the one before now to the one after it are alike, and unlike all others.

    So it does not matter that a full hour may strike during the test.
    """
    hour = datetime.now(UTC).hour
    around = {(hour + step) % 24 for step in (-1, 0, 1)}
    parts = [hour_of_events(now=slot in around) for slot in range(24)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    built = build(whole, model="shop")
    independent = replace(built, features=tuple(replace(f, design_effect=1.0) for f in built.features))
    return by_season(independent, whole, np.repeat(np.arange(24), ROWS_AN_HOUR), Season(cycle="hour-of-day"))


def without_season(of: Profile) -> Profile:
    features = tuple(replace(feature, season_counts=b"") for feature in of.features)
    return replace(of, season=None, season_rows=(), features=features)


def submit(sidecars: list[SidecarProcess], *, now: bool) -> None:
    """Send the events of an hour for both models; the first sidecar gets three in four."""
    hour = hour_of_events(now=now)
    rows = [
        {"amount": amount, "merchant": merchant}
        for amount, merchant in zip(hour["amount"].tolist(), hour["merchant"].tolist(), strict=True)
    ]
    cut = ROWS_AN_HOUR * 3 // 4
    for process, features in zip(sidecars, (rows[:cut], rows[cut:]), strict=True):
        for model in ("seasonal", "plain"):
            send(process.url, ({"model": model, "features": each} for each in features))


@pytest.fixture
def reference() -> Profile:
    return profile()


@pytest.fixture
def serving(tmp_path: Path, reference: Profile) -> Iterator[tuple[Stack, list[SidecarProcess]]]:
    """Serve two models on two sidecars: one with a reference by season, one with the same as a whole."""
    save(reference, tmp_path / "seasonal.json")
    save(without_season(reference), tmp_path / "plain.json")
    config = tmp_path / "sidecar.yml"
    models = [f"  - {{name: {name}, reference: {name}.json}}\n" for name in ("seasonal", "plain")]
    config.write_text("models:\n" + "".join(models))
    with ExitStack() as running:
        sidecars = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            sidecars.append(running.enter_context(sidecar(tmp_path / name, config=config, web=1)))
        targets = {urlsplit(process.web_urls[0]).netloc: "shops" for process in sidecars}
        try:
            stack = running.enter_context(monitoring(tmp_path, targets, SETTINGS))
        except MissingProgram as missing:
            pytest.fail(f"programs are missing; run: {missing}")
        stack.wait("both to be scraped", lambda: stack.value("count(model_reference_info)") == 4, seconds=60)
        yield stack, sidecars


def critical(stack: Stack) -> set[tuple[str, str]]:
    """Return model and feature of what is critically drifted by the alerts that fire."""
    firing = stack.query('ALERTS{alertstate="firing", alertname="CriticalDataDrift"}')
    return {(series["metric"]["model"], series["metric"]["feature"]) for series in firing}


def test_events_like_those_of_this_hour_are_no_drift_by_season_and_events_like_all_others_are(
    serving: tuple[Stack, list[SidecarProcess]], reference: Profile
) -> None:
    stack, sidecars = serving
    plain, seasonal = ({(model, feature) for feature in ("amount", "merchant")} for model in ("plain", "seasonal"))

    def usual() -> bool:
        submit(sidecars, now=True)
        least = stack.value(f'min({names.psi_threshold(WINDOW)}{{model="seasonal"}})')
        return critical(stack) >= plain and least is not None

    stack.wait("drift against the whole", usual, seconds=60)
    assert critical(stack) == plain
    assert not stack.query('ALERTS{alertname=~".*DataDrift", model="seasonal"}')
    check_recorded(stack, reference)

    def odd() -> bool:
        submit(sidecars, now=False)
        return critical(stack) >= seasonal

    stack.wait("drift by season", odd, seconds=60)


def check_recorded(stack: Stack, reference: Profile) -> None:
    """Expect the records at one moment to be what the statistics of the sidecar make of the counts."""
    of = '{model="seasonal", feature="amount"}'
    at = stack.value(f"timestamp({names.psi(WINDOW)}{of})")

    def recorded(name: str) -> list[float]:
        found = stack.query(f"{name}{of} @ {at!r}")
        by_bin = {series["metric"].get("bin", ""): float(series["value"][1]) for series in found}
        return [value for _, value in sorted(by_bin.items())]

    amount = next(feature for feature in reference.features if feature.name == "amount")
    whole = drift.reference_shares(np.array(amount.bin_counts()), START)
    seasonal = Seasonal.of(reference, [amount], whole, START)
    assert seasonal is not None
    shares = seasonal.shares[datetime.now(UTC).hour]
    np.testing.assert_allclose(recorded(names.reference_ratio(WINDOW)), shares, atol=1e-9)
    counts = np.array(recorded(names.bin_observations(WINDOW)))
    live = drift.live_shares(counts, shares, START)
    [psi] = recorded(names.psi(WINDOW))
    assert psi == pytest.approx(float(drift.psi(live, shares, START)[0]), rel=1e-6)
    assert psi < 0.05
    assert drift.psi(drift.live_shares(counts, whole, START), whole, START)[0] > 0.25
    [factor] = recorded(names.SIGNIFICANCE)
    [least] = recorded(names.psi_threshold(WINDOW))
    assert least == pytest.approx(factor * (1 / counts.sum() + 1 / ROWS_AN_HOUR), rel=1e-9)
