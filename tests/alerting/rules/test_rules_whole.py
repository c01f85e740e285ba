"""All rule files together, from what the sidecars export to the alerts."""

from dataclasses import replace
from pathlib import Path

from .fleet import REFERENCE_COUNTS, Replica, input_series
from .promtool import RULES, Check, check_rules
from .test_rules_service_records import FAST, counter
from .test_rules_service_records import replica as service_series

FILES = sorted(RULES.glob("*.yml"))
SCRAPE = 15
USUAL = [float(share) / 250 for share in REFERENCE_COUNTS]
FAILING = 'ALERTS{alertstate="firing"}'
KEY = 'namespace="prod", model="fraud", reference="aaaa0000", role="input", feature="amount"'


def everything(replicas: list[Replica], *, minutes: int, by_bucket: list[float], error_rate: float) -> dict[str, str]:
    """Return every series that a fleet exports, and the target's own."""
    series = input_series(replicas, scrape=SCRAPE, minutes=minutes)
    for number, replica in enumerate(replicas):
        name = f"pod-{number}"
        own = service_series(name, by_bucket=by_bucket, error_rate=error_rate, minutes=minutes, restart=1e9)
        place = f'namespace="prod",job="model-sidecar",instance="{name}",pod="{name}"'
        model, http = f'{place},model="fraud"', f'{place},transport="http"'
        always, never = counter(0, minutes).replace("0.0", "1"), counter(0, minutes)
        own |= {
            f"up{{{place}}}": always,
            f"model_sidecar_config_last_reload_successful{{{place}}}": always,
            f"model_sidecar_events_total{{{http}}}": counter(9, minutes),
            f'model_sidecar_events_rejected_total{{{http},reason="invalid"}}': counter(0.01, minutes),
            f'model_sidecar_events_dropped_total{{{http},reason="overload"}}': never,
            f"model_sidecar_unknown_features_total{{{model}}}": never,
            f'model_reference_created_timestamp_seconds{{{model},reference="aaaa0000"}}': never,
        }
        series |= {key: while_alive(values, replica) for key, values in own.items()}
    return series


def while_alive(values: str, replica: Replica) -> str:
    """Leave out what comes before a replica is born and after it dies."""
    return " ".join(
        value if replica.born <= number * SCRAPE < replica.dies else "_" for number, value in enumerate(values.split())
    )


def firing(alert: str, severity: str, action: str, labels: str) -> dict[str, float]:
    policy = f'severity="{severity}", action="{action}"'
    return {f'ALERTS{{alertname="{alert}", alertstate="firing", {policy}, {labels}}}': 1}


def test_a_healthy_fleet_raises_nothing(tmp_path: Path) -> None:
    steady = Replica(rates=USUAL)
    replicas = [
        steady,
        replace(steady, restarts=(4000,)),
        replace(steady, dies=5000),
        replace(steady, born=3000),
    ]
    good = [100.0, 2.0, 0.5, 0.1, 0.01, 0.0]
    check_rules(
        tmp_path,
        files=FILES,
        series=everything(replicas, minutes=150, by_bucket=good, error_rate=0.01),
        checks=[Check(f"{minute}m", FAILING, {}) for minute in range(1, 150, 4)],
        interval=f"{SCRAPE}s",
    )


def test_a_shift_of_an_input_climbs_the_levels_and_goes_when_the_window_has_forgotten_it(
    tmp_path: Path,
) -> None:
    # An hour as usual, then 40 minutes of other data, until this replica dies and a healthy one is born.
    shifted = Replica(rates=USUAL, later=(0.2, 0.3, 0.5, 3.5, 0.2), shift=3600, dies=6000)
    well = Replica(rates=USUAL, born=6000)
    series = everything([shifted, well], minutes=190, by_bucket=[100.0, 1.0, 0, 0, 0, 0], error_rate=0.0)
    data = [
        Check("60m", FAILING, {}),
        Check(
            "100m",
            FAILING,
            {
                **firing("CriticalDataDrift", "critical", "alert", KEY),
                **firing("RollbackDataDrift", "critical", "rollback", KEY),
            },
        ),
        Check("175m", FAILING, {}),
    ]
    check_rules(tmp_path, files=FILES, series=series, checks=data, interval=f"{SCRAPE}s")


def test_many_errors_ask_for_a_rollback_and_burn_the_budget(tmp_path: Path) -> None:
    steady = Replica(rates=USUAL)
    series = everything([steady], minutes=75, by_bucket=FAST, error_rate=2.0)
    model = 'namespace="prod", model="fraud"'
    burn = ', slo="errors", long_window="{}", short_window="{}"'
    expected = {
        **firing("HighErrorRate", "critical", "rollback", model),
        **firing("ErrorBudgetBurn", "critical", "alert", model + burn.format("1h", "5m")),
        **firing("ErrorBudgetBurn", "critical", "alert", model + burn.format("6h", "30m")),
        **firing("ErrorBudgetBurn", "warning", "alert", model + burn.format("1d", "2h")),
    }
    query = f'{FAILING[:-1]}, alertname=~"HighErrorRate|ErrorBudgetBurn"}}'
    check_rules(tmp_path, files=FILES, series=series, checks=[Check("75m", query, expected)], interval=f"{SCRAPE}s")
