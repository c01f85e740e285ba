import asyncio
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidecar.kubernetes.rollback import metrics
from sidecar.kubernetes.rollback.outcome import Outcome
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import (
    ACTIVE,
    NOON,
    Clock,
    alert_json,
    deploy,
    labels,
    notification,
    policy,
    receiver,
)
from tests.plugins.programs import program

STRICT = """
dry_run: false
policies:
  - {name: fraud, action: rollback, namespaces: [ml], match: {model: fraud, severity: critical}}
"""

names = st.sampled_from(["alertname", "namespace", "model", "action", "severity", "team"])
texts = st.sampled_from(["", "fraud", "ml", "rollback", "critical", "warning", "../x", "a,b=c", "é\n\0"]) | st.text(
    max_size=8
)
some_labels = st.dictionaries(names, texts) | st.just(labels()) | st.dictionaries(st.text(max_size=4), st.integers())
times = (
    st.sampled_from(["2026-11-23T12:00:00Z", "2026-11-23T11:00:00.5+02:00", "0001-01-01T00:00:00Z", "x"]) | st.none()
)
alerts = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["firing", "resolved", "x", 1]),
        "labels": some_labels,
        "startsAt": times,
        "fingerprint": st.text(max_size=4) | st.none(),
        "annotations": st.integers() | st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
    },
)
bodies = (
    st.binary(max_size=60)
    | st.fixed_dictionaries(
        {"alerts": st.lists(alerts | st.integers(), max_size=4)},
        optional={"truncatedAlerts": st.integers(-5, 5) | st.none()},
    ).map(msgspec.json.encode)
    | st.lists(st.integers(), max_size=3).map(msgspec.json.encode)
)


def matching(alert: Any) -> bool:
    """Tell by hand whether the strict policy is for an alert."""
    wanted = {"action": "rollback", "model": "fraud", "severity": "critical", "namespace": "ml"}
    return isinstance(alert, dict) and wanted.items() <= (alert.get("labels") or {}).items()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(bodies, min_size=1, max_size=6))
@example([notification(alert_json(severity="warning")), notification(), notification()])
def test_no_payload_breaks_it_or_acts_without_a_policy(sent: list[bytes]) -> None:
    async def deliver() -> None:
        fake, clock = FakeKubernetes(), Clock()
        fake.now = clock
        deploy(fake, "fraud:1", "fraud:2")
        async with fake.serve(), receiver(fake, clock, policy(STRICT)) as one:
            for body in sent:
                status, document = await one.post(body)
                assert status in (200, 400)
                for entry in document.get("alerts", []):
                    assert Outcome(entry["outcome"])
        if fake.log:
            given_alerts = [alert for body in sent for alert in _alerts(body)]
            assert any(matching(alert) for alert in given_alerts)
            assert fake.changed("deployments") == ["template"]

    asyncio.run(deliver())


def _alerts(body: bytes) -> list[Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return document.get("alerts") or [] if isinstance(document, dict) else []


async def test_what_can_never_work_is_answered_with_400_and_413(fake: FakeKubernetes, clock: Clock) -> None:
    async with receiver(fake, clock) as one:
        assert (await one.post(b"{"))[0] == 400
        assert (await one.post(b" " * (4 * 2**20 + 1)))[0] == 413
        assert (await one.post(notification()))[0] == 200
        text = await one.scrape()

    assert 'model_rollback_notifications_total{code="400"} 1' in text
    assert 'model_rollback_notifications_total{code="413"} 1' in text
    assert 'model_rollback_decisions_total{action="rollback",outcome="no_workload"} 1' in text


async def test_what_alertmanager_left_out_and_what_is_malformed_is_counted(fake: FakeKubernetes, clock: Clock) -> None:
    body = msgspec.json.encode({"alerts": [alert_json(), {"labels": 1}], "truncatedAlerts": 3})
    async with receiver(fake, clock) as one:
        status, document = await one.post(body)
        text = await one.scrape()

    assert (status, document["malformed"]) == (200, ["alerts[1]: `labels` is not an object of strings"])
    assert "model_rollback_malformed_alerts_total 1" in text
    assert "model_rollback_truncated_alerts_total 3" in text


async def test_503_says_when_to_come_again(fake: FakeKubernetes, clock: Clock) -> None:
    fake.down = True
    async with receiver(fake, clock) as one, one.session.post(f"{one.url}/alerts", data=notification()) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("path", ["/", "/-/healthy", "/-/ready", "/history", "/metrics"])
async def test_reading_works_while_the_api_is_down(fake: FakeKubernetes, clock: Clock, path: str) -> None:
    fake.down = True
    async with receiver(fake, clock) as one, one.session.get(f"{one.url}{path}") as response:
        assert response.status == 200


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
async def test_metrics_are_those_of_the_catalogue_and_clean(
    fake: FakeKubernetes, clock: Clock, accept: str, tmp_path: Path
) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    async with receiver(fake, clock) as one:
        one.metrics.loaded(policy(), at=1.0)
        await one.send()
        text, _ = one.metrics.expose(accept)

    families = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    known = {m.name.removesuffix("_total") if accept and m.type == "counter" else m.name for m in metrics.CATALOGUE}
    assert {name for name in families if not name.startswith("process_")} == known
    if not accept:
        checked = await asyncio.to_thread(
            subprocess.run, [program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


async def test_the_last_action_on_each_model_is_told_dry_or_not(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    labelled = 'model_namespace="ml",model="fraud",action="rollback"'
    name = "model_rollback_model_last_action_timestamp_seconds"
    async with receiver(fake, clock, policy(ACTIVE.replace("dry_run: false", "dry_run: true"))) as one:
        await one.send(alert_json(model="unheard-of"))
        assert f"\n{name}{{" not in await one.scrape()
        await one.send()
        [line] = [line for line in (await one.scrape()).splitlines() if line.startswith(f"{name}{{")]
    assert line.startswith(f'{name}{{{labelled},outcome="dry_run"}} ')
    assert float(line.split()[-1]) == NOON.timestamp()
    async with receiver(fake, clock) as one:
        await one.send()
        [line] = [line for line in (await one.scrape()).splitlines() if line.startswith(f"{name}{{")]
    assert line.startswith(f'{name}{{{labelled},outcome="done"}} ')


def test_a_policy_that_is_gone_has_no_cooldown_left_behind() -> None:
    one = metrics.Metrics()
    one.loaded(policy(), at=1.0)
    assert 'cooldown_seconds{policy="fraud-down",action="scale_down"} 1800.0' in one.expose("")[0].decode()
    one.loaded(policy("policies: [{name: p, action: rollback, namespaces: [ml], cooldown: 5m}]"), at=2.0)
    lines = [line for line in one.expose("")[0].decode().splitlines() if "cooldown_seconds{" in line]
    assert [line.rpartition("{")[2] for line in lines] == ['policy="p",action="rollback"} 300.0']


async def test_every_outcome_of_both_actions_is_exported_from_the_start() -> None:
    text, _ = metrics.Metrics().expose("")

    for action in ("rollback", "scale_down"):
        for outcome in Outcome:
            assert f'model_rollback_decisions_total{{action="{action}",outcome="{outcome}"}} 0' in text.decode()
