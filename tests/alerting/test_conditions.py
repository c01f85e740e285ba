"""`/alerts` says which of the shipped alerts have their condition met, by the thresholds of the shipped rules."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.alerting.conditions import reporting_alerts
from sidecar.alerting.rules.policy import ALERTS
from sidecar.base.cooperative import at_once
from sidecar.base.duration import Duration
from sidecar.config import MIN_PREDICTIONS, Config, LabelsConfig, LatencyConfig, ModelConfig, Slo
from sidecar.events import forms
from sidecar.monitor.monitor import Monitor
from sidecar.reference import build
from sidecar.serve.alertmanager import AlertmanagerError, held_alerts
from tests.plugins.serving import get
from tools.process import sidecar

MODEL = ModelConfig(name="m", reference="-")
NAMES = np.array(["a", "b"] * 500, dtype=object)


def monitor(model: ModelConfig) -> Monitor:
    profile = build({"kind": NAMES, "said": NAMES}, prediction="said", features=["kind"])
    config = Config(models=(model,))
    result = Monitor(config, {"m": profile}, now=0.0, start=datetime(2026, 1, 1, tzinfo=UTC))
    result.open_transport("test")
    return result


def fired(
    *, share: float = 0.5, events: int = 1000, config: ModelConfig = MODEL, **rest: Any
) -> dict[str, dict[str, Any]]:
    """Send events whose input is `a` in this share, and return the alerts by name."""
    watched = monitor(config)
    kinds = ["a" if i < share * events else "b" for i in range(events)]
    usual = ["a" if i % 2 else "b" for i in range(events)]
    body = [
        {"features": {"kind": kind}, "prediction": said, **{key: value(i) for key, value in rest.items()}}
        for i, (kind, said) in enumerate(zip(kinds, usual, strict=True))
    ]
    watched.submit(msgspec.json.encode(body), forms.JSON, transport="test", now=1.0)
    return alerts_of(watched, now=1.0)


def alerts_of(watched: Monitor, *, now: float) -> dict[str, dict[str, Any]]:
    """Return the alerts that hold, by name."""
    report = msgspec.to_builtins(at_once(reporting_alerts(watched, now=now)))
    return {alert["alert"]: alert for alert in report["alerts"]}


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.5, set()),
        (0.66, {"ModerateDataDrift"}),
        (0.72, {"SignificantDataDrift"}),
        (0.75, {"CriticalDataDrift"}),
        (0.9, {"CriticalDataDrift", "RollbackDataDrift"}),
    ],
)
def test_drift_has_the_alert_of_its_level(share: float, expected: set[str]) -> None:
    alerts = fired(share=share)
    assert set(alerts) == expected
    for alert in alerts.values():
        assert (alert["model"], alert["role"], alert["feature"]) == ("m", "input", "kind")
        assert alert["value"] >= alert["limit"]


def test_too_few_events_raise_nothing() -> None:
    assert fired(share=1.0, events=199) == {}


def test_slow_predictions_have_the_alert_of_the_objective_they_miss() -> None:
    assert set(fired(latency_ms=lambda i: 200.0 if i % 10 == 0 else 5.0)) == {"HighP95Latency"}
    assert set(fired(latency_ms=lambda i: 900.0 if i % 50 == 0 else 5.0)) == {"CriticalP99Latency"}


def test_latency_of_few_predictions_raises_nothing() -> None:
    assert fired(events=MIN_PREDICTIONS - 1, latency_ms=lambda i: 900.0) == {}


def test_alerts_are_judged_on_the_shortest_window_by_the_objectives_there_are() -> None:
    latency = LatencyConfig(slos=(Slo(target=0.9, seconds=0.2), Slo(target=0.99, seconds=2.0)))
    windows = (Duration("24h"), Duration("5m"))
    alerts = fired(
        config=ModelConfig(name="m", reference="-", latency=latency, windows=windows), latency_ms=lambda i: 900.0
    )
    assert {name: (a["window"], a["limit"]) for name, a in alerts.items()} == {"HighP95Latency": ("5m", 0.1)}


def test_errors_have_their_alert_above_the_limit_and_with_enough_predictions() -> None:
    assert set(fired(error=lambda i: i % 10 == 0)) == {"HighErrorRate"}
    assert fired(error=lambda i: i % 20 == 0) == {}
    assert fired(events=MIN_PREDICTIONS - 1, error=lambda i: i % 10 == 0) == {}


def accuracy_alert(*, right: int, of: int, labels: LabelsConfig | None = None, age: float = 0.0) -> Any:
    """Have so many predictions of so many labelled as what they were, and return the alert on accuracy."""
    config = ModelConfig(name="m", reference="-", labels=labels or LabelsConfig())
    watched = monitor(config)
    events = [{"id": i, "features": {"kind": "a"}, "prediction": "a"} for i in range(of)]
    watched.submit(msgspec.json.encode(events), forms.JSON, transport="test", now=1.0)
    came = [{"id": i, "label": "a" if i < right else "b"} for i in range(of)]
    taken = watched.submit_labels(msgspec.json.encode(came), forms.JSON, transport="test", now=1.0)
    assert taken.accepted == of
    return alerts_of(watched, now=1.0 + age).get("ModelAccuracyLow")


def test_a_model_that_is_wrong_more_often_than_by_chance_has_the_alert_of_the_rule() -> None:
    """Of 400 labels, 80 % less two standard errors is 304."""
    assert accuracy_alert(right=304, of=400) is None
    alert = accuracy_alert(right=303, of=400)
    assert (alert["model"], alert["window"], alert["value"]) == ("m", "1h", 303 / 400)
    assert alert["limit"] == pytest.approx(304 / 400)


def test_few_labels_or_old_ones_say_nothing_of_accuracy() -> None:
    assert accuracy_alert(right=0, of=99) is None
    assert accuracy_alert(right=0, of=100)["value"] == 0.0
    assert accuracy_alert(right=0, of=10, labels=LabelsConfig(min_labels=10))["value"] == 0.0
    assert accuracy_alert(right=0, of=100, age=3700.0) is None
    assert accuracy_alert(right=0, of=0, labels=LabelsConfig(min_labels=1)) is None


def test_every_alert_it_can_name_is_one_of_the_shipped() -> None:
    named = {*fired(share=0.9), *fired(share=0.66), *fired(share=0.72)}
    named |= {"HighP95Latency", "CriticalP99Latency", "HighErrorRate", "ModelAccuracyLow"}
    assert named <= set(ALERTS)


HELD = {
    "labels": {"alertname": "CriticalDataDrift", "model": "m"},
    "annotations": {"summary": "it drifts"},
    "startsAt": "2026-01-01T00:00:00Z",
    "status": {"state": "active", "inhibitedBy": []},
    "fingerprint": "1",
}


def alertmanager(answer: Any, **options: Any) -> TestServer:
    async def alerts(request: web.Request) -> web.Response:
        return web.json_response(answer)

    application = web.Application()
    application.router.add_get("/api/v2/alerts", alerts)
    return TestServer(application, **options)


async def test_what_alertmanager_holds_for_other_models_is_left_out() -> None:
    other = HELD | {"labels": {"alertname": "CriticalDataDrift", "model": "other"}}
    async with alertmanager([HELD, other, HELD | {"labels": {"alertname": "Watchdog"}}]) as server:
        assert await held_alerts(str(server.make_url("/")), {"m"}) == [
            {
                "labels": HELD["labels"],
                "annotations": HELD["annotations"],
                "startsAt": HELD["startsAt"],
                "state": "active",
            }
        ]


@pytest.mark.parametrize("answer", [{"error": "?"}, [1], [{"labels": {"model": "m"}}], "text"])
async def test_what_is_not_alertmanager_is_said_to_be_so(answer: Any) -> None:
    async with alertmanager(answer) as server:
        with pytest.raises(AlertmanagerError, match="does not answer as Alertmanager does"):
            await held_alerts(str(server.make_url("/")), {"m"})


async def test_an_alertmanager_that_is_not_there_is_said_to_be_so(unused_tcp_port: int) -> None:
    with pytest.raises(AlertmanagerError, match="Cannot connect"):
        await held_alerts(f"http://127.0.0.1:{unused_tcp_port}", {"m"})


async def test_an_alertmanager_behind_tls_is_asked_if_the_system_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, server_side = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    model = {"models": [{"name": "m"}]}
    (tmp_path / "sidecar.yml").write_text(msgspec.json.encode(model).decode())
    found = []
    server = alertmanager([HELD], scheme="https")
    await server.start_server(ssl=server_side)
    for trusted in (authority, trustme.CA()):
        trusted.cert_pem.write_to_path(str(tmp_path / "trusted.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
        option = f"--alertmanager.url={server.make_url('')}"
        with sidecar(tmp_path, config=tmp_path / "sidecar.yml", options=[option]) as process:
            found.append((await asyncio.to_thread(get, process.url, "/alerts")).json()["alertmanager"])
    await server.close()
    assert (len(found[0]["alerts"]), found[0]["error"]) == (1, None)
    assert found[1]["alerts"] is None
    assert "certificate verify failed" in found[1]["error"]
