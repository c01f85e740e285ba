"""What else can happen to a process: it stops, is starved of descriptors, reloads, is told to end."""

import os
import resource
import signal
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sidecar.reference import save
from tests.end_to_end.test_scrape import CONFIG, Query, prometheus
from tests.plugins.serving import (
    TIMEOUT_SECONDS,
    Start,
    connected,
    event,
    fraud_config,
    fraud_profile,
    get,
    post,
    samples,
    value,
    wait_until,
)
from tests.reliability.load import body, over_tcp, senders
from tests.reliability.test_disk import kill, predictions
from tools.process import SidecarProcess


def reloaded(process: SidecarProcess) -> None:
    lines = process.log.read_text().count("msg=reloaded")
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: process.log.read_text().count("msg=reloaded") > lines)


def reference(process: SidecarProcess, model: str) -> str:
    [found] = [
        dict(labels)["reference"]
        for name, labels in samples(process.url)
        if name == "model_reference_info" and ("model", model) in labels
    ]
    return found


def test_a_process_that_stood_still_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    stream = tmp_path / "stream.sock"
    process = start(
        fraud_config(tmp_path), options=[f"--storage.path={tmp_path}/kept", f"--ingest.unix-stream={stream}"]
    )
    load = senders(process.url, stream)
    for sender in load:
        sender.start()
    for _ in range(3):
        before = [sender.acknowledged for sender in load]
        wait_until(lambda: all(s.acknowledged > b for s, b in zip(load, before, strict=True)))  # noqa: B023
        process.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _state_of(process.process.pid) == "T")
        time.sleep(0.6)  # longer than what waits is counted together after: the time it stands still is the point
        process.process.send_signal(signal.SIGCONT)
    for sender in load:
        sender.stop()
    assert [sender.unanswered for sender in load] == [0] * len(load)
    after = samples(process.url)
    assert value(after, "model_predictions_total") == sum(sender.acknowledged for sender in load)
    assert value(after, "model_window_samples", feature="amount", window="5m") == value(
        after, "model_predictions_total"
    )
    assert value(after, "model_sidecar_storage_healthy") == 1


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


SETTABLE = """import pathlib, time
of_the_machine, ahead = time.time, pathlib.Path(__file__).with_name("ahead")
time.time = lambda: of_the_machine() + float(ahead.read_text())
"""
"""Python's time of day for a process of its own, which can be set without setting that of the machine."""


def test_a_time_of_day_that_is_set_is_followed_within_half_a_second_and_outlives_a_kill(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settable = tmp_path / "settable"
    settable.mkdir()
    (settable / "sitecustomize.py").write_text(SETTABLE)
    ahead = settable / "ahead"
    ahead.write_text("0")
    monkeypatch.setenv("PYTHONPATH", str(settable), prepend=os.pathsep)
    config = tmp_path / "learning.yml"
    config.write_text("models: [{name: fraud, learn: {events: 100}}]\n")

    def is_ahead_by(days: float) -> bool:
        told = datetime.fromisoformat(get(process.url, "/latency").json()["timestamp"])
        return abs(told - datetime.now(UTC) - timedelta(days=days)) < timedelta(hours=1)

    def created() -> float:
        return value(samples(process.url), "model_reference_created_timestamp_seconds")

    process = start(config, options=[f"--storage.path={tmp_path}/kept"])
    assert is_ahead_by(0)
    written = settable / "written"
    written.write_text(str(3 * 86400))
    written.replace(ahead)
    wait_until(lambda: is_ahead_by(3))
    assert "the time of day was set" in process.log.read_text()
    assert post(process.url, [event(features={"amount": i}) for i in range(100)]).status == 202
    learned = created()
    assert abs(learned - time.time() - 3 * 86400) < 3600
    kill(process)
    process = start(config, options=[f"--storage.path={tmp_path}/kept"])
    assert created() == learned
    assert is_ahead_by(3)


def test_without_descriptors_it_goes_on_for_who_is_connected_and_recovers(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), options=[f"--storage.path={tmp_path}/kept"])
    pid = process.process.pid
    with ExitStack() as stack:
        connection = stack.enter_context(closing(over_tcp(process.url)()))

        def send() -> int:
            connection.request("POST", "/monitor", body("application/json", 1))
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert send() == 202
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 5, before[1]))
        waiting = [stack.enter_context(connected(process.url)) for _ in range(30)]
        wait_until(lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) >= used + 5)
        assert [send() for _ in range(20)] == [202] * 20
        for each in waiting:
            each.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

        def answers() -> bool:
            try:
                return get(process.url, "/-/ready").status == 200
            except OSError:
                return False

        wait_until(answers)
        assert send() == 202
        assert predictions(process) == 22
    kill(process)
    assert predictions(start(tmp_path / "sidecar.yml", options=[f"--storage.path={tmp_path}/kept"])) == 22


def test_a_learned_reference_and_one_half_learned_survive(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: a, learn: {events: 100}}, {name: b, learn: {events: 100}}]\n")
    options = [f"--storage.path={tmp_path}/kept"]
    process = start(config, options=options)
    post(process.url, [event(model="a", features={"x": i, "kind": "ab"[i % 2]}) for i in range(130)])
    post(process.url, [event(model="b", features={"x": i, "kind": "ab"[i % 2]}) for i in range(60)])
    learned = reference(process, "a")
    kill(process)
    process = start(config, options=options)
    told = process.log.read_text()
    assert "msg=watching model=a reference=learned\n" in told
    assert "msg=watching model=b reference=learning from_events=100\n" in told
    assert reference(process, "a") == learned
    assert value(samples(process.url), "model_bin_observations_total", model="a", feature="kind", range="a") == 15
    models = get(process.url, "/drift").json()["models"]
    assert (models["a"]["learning"], models["b"]["learning"]) == (None, {"events": 60, "of": 100})
    post(process.url, [event(model="b", features={"x": 60 + i, "kind": "ab"[i % 2]}) for i in range(70)])
    unbroken = start(config)
    post(unbroken.url, [event(model="b", features={"x": i, "kind": "ab"[i % 2]}) for i in range(130)])
    assert reference(process, "b") == reference(unbroken, "b")


def test_a_kill_after_a_reload_goes_on_with_what_was_reloaded(start: Start, tmp_path: Path) -> None:
    config, options = fraud_config(tmp_path), [f"--storage.path={tmp_path}/kept"]
    process = start(config, options=options)
    post(process.url, [event()] * 10)
    new = fraud_profile(2000)
    save(new, tmp_path / "fraud.profile.json")
    reloaded(process)
    post(process.url, [event()] * 5)
    before = samples(process.url)
    kill(process)
    after = samples((process := start(config, options=options)).url)
    assert reference(process, "fraud") == new.fingerprint
    assert value(after, "model_predictions_total") == 15
    assert {
        key: v for key, v in after.items() if key[0] in ("model_bin_observations_total", "model_window_samples")
    } == {key: v for key, v in before.items() if key[0] in ("model_bin_observations_total", "model_window_samples")}
    assert all(v == 0 for (name, _), v in after.items() if name == "model_sidecar_storage_begun_anew_total")


def test_a_configuration_that_changed_while_it_was_down_begins_anew_what_it_must(start: Start, tmp_path: Path) -> None:
    config, options = fraud_config(tmp_path), [f"--storage.path={tmp_path}/kept"]
    process = start(config, options=options)
    post(process.url, [event()] * 10)
    kill(process)
    save(fraud_profile(2000), tmp_path / "fraud.profile.json")
    after = samples(start(config, options=options).url)
    assert value(after, "model_predictions_total") == 10
    assert value(after, "model_window_samples", feature="amount", window="1h") == 0
    assert value(after, "model_sidecar_storage_begun_anew_total", part="comparison") == 1
    assert value(after, "model_sidecar_storage_begun_anew_total", part="traffic") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_everything_that_readers_see_is_there_again(start: Start, tmp_path: Path, number: int) -> None:
    config, options = fraud_config(tmp_path), [f"--storage.path={tmp_path}/kept"]
    process = start(config, options=options)
    for i in range(40):
        changes: dict[str, Any] = {"latency_ms": i / 7} | ({"error": True} if i % 9 == 0 else {})
        post(process.url, event(features={"amount": i, "merchant": "visa", "new": 1}, **changes))
    post(process.url, [event(latency_ms=i / 3, features={"amount": i * 3, "merchant": "amex"}) for i in range(260)])
    post(process.url, b"{")
    post(process.url, event(latency_ms=-1))
    shown, latency, drift = samples(process.url), get(process.url, "/latency").json(), get(process.url, "/drift").json()
    process.process.send_signal(number)
    process.process.wait(TIMEOUT_SECONDS)
    process = start(config, options=options)
    stamps = ("timestamp",)
    after = samples(process.url)
    others = ("model_sidecar_config_", "model_sidecar_storage_")
    assert {k: v for k, v in after.items() if not k[0].startswith(others)} == {
        k: v for k, v in shown.items() if not k[0].startswith(others)
    }
    for path, before in (("/latency", latency), ("/drift", drift)):
        now = get(process.url, path).json()
        assert {k: v for k, v in now.items() if k not in stamps} == {k: v for k, v in before.items() if k not in stamps}


def test_without_a_directory_nothing_is_said_of_storage(start: Start) -> None:
    assert not [name for name, _ in samples(start().url) if "storage" in name]


def test_prometheus_that_was_gone_misses_nothing(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), web=1, options=[f"--storage.path={tmp_path}/kept"])
    ingest, web = (urlsplit(url).netloc for url in (process.url, *process.web_urls))
    config = CONFIG.format(ingest=ingest, web=web)

    def seen(query: Query) -> set[str]:
        return {found["value"][1] for found in query("model_predictions_total")}

    post(process.url, [event()] * 10)
    with prometheus(tmp_path / "prometheus", config) as query:
        wait_until(lambda: seen(query) == {"10"})
    post(process.url, [event()] * 500)
    with prometheus(tmp_path / "prometheus", config) as query:
        wait_until(lambda: seen(query) == {"510"})
        [resets] = query("sum(resets(model_predictions_total[1h]))")
        assert resets["value"][1] == "0"
