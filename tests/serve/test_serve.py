"""The life of a sidecar: it learns, reloads and stops, and says what is wrong when it cannot start."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sidecar import __version__
from sidecar.reference import save
from tests.plugins.programs import model_sidecar
from tests.plugins.serving import (
    TIMEOUT_SECONDS,
    Start,
    event,
    fraud_config,
    fraud_profile,
    get,
    head_sent,
    post,
    request,
    samples,
    value,
    wait_until,
)
from tools.process import SidecarProcess


def test_numpy_starts_no_thread_of_its_own(tmp_path: Path) -> None:
    program = """
import sys
from threadpoolctl import threadpool_info
from sidecar.cli import main
assert main(["serve", f"--config.file={sys.argv[1]}"]) == 1
print([pool["num_threads"] for pool in threadpool_info()])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "none.yml")]
    unset = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    finished = subprocess.run(command, env=unset, capture_output=True, text=True, check=False)
    assert finished.stdout == "[1]\n", finished.stderr


def test_learns_from_the_first_events_without_any_file(start: Start) -> None:
    url = start().url
    assert post(url, {"features": {"transaction_amount": 150.0, "merchant": "visa"}, "prediction": "ok"}).status == 202
    drift = get(url, "/drift").json()
    assert set(drift) == {
        "timestamp",
        "features_monitored",
        "drift_detected",
        "psi_scores",
        "drifted_features",
        "models",
    }
    assert drift["models"]["default"]["learning"] == {"events": 1, "of": 10000}
    assert get(url, "/-/ready").text == "model-sidecar is ready.\nlearning default: 1 of 10000 events\n"
    assert get(url, "/health").json()["models"] == {"default": "learning"}

    body = [event(features={"transaction_amount": i % 100, "merchant": "visa"}) for i in range(11_000)]
    assert post(url, body).json() == {"accepted": 11_000, "rejected": 0}
    drift = get(url, "/drift").json()
    assert (drift["features_monitored"], drift["drift_detected"], drift["drifted_features"]) == (2, False, [])
    assert set(drift["psi_scores"]) == {"transaction_amount", "merchant"}
    model = drift["models"]["default"]
    assert model["learning"] is None
    assert (model["reference"]["source"], model["reference"]["rows"]) == ("learned", 10_000)
    assert get(url, "/-/ready").text == "model-sidecar is ready.\n"
    assert get(url, "/health").json()["models"] == {"default": "monitoring"}

    post(url, [event(features={"transaction_amount": 5000, "merchant": "amex"}) for _ in range(1000)])
    drift = get(url, "/drift").json()
    assert drift["drift_detected"]
    assert set(drift["drifted_features"]) == {"transaction_amount", "merchant"}
    fired = {(alert["alert"], alert["feature"]) for alert in get(url, "/alerts").json()["alerts"] if "feature" in alert}
    assert {("CriticalDataDrift", "merchant"), ("RollbackDataDrift", "merchant")} <= fired


def test_logs_as_json(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), options=["--log.level=info"])
    assert "level=info logger=sidecar msg=watching model=fraud" in process.log.read_text()
    finished = model_sidecar("serve", "--log.format=json", "--ingest.listen-address=127.0.0.1:0", taken(process, "web"))
    [listening, sentence] = finished.stderr.splitlines()
    assert json.loads(listening)["msg"] == "listening"
    assert "cannot listen" in sentence


def taken(process: SidecarProcess, listener: str) -> str:
    return f"--{listener}.listen-address={urlsplit(process.url).netloc}"


def test_logs_the_page_and_when_a_reference_is_learned(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "learn.yml"
    config.write_text("models: [{name: fraud, learn: {events: 100}}]\n")
    process = start(config, options=["--log.level=info"])
    log = process.log.read_text()
    assert f"page={process.url}/" in log
    assert "msg=watching model=fraud reference=learning from_events=100" in log
    events = [{"features": {"amount": i}} for i in range(120)]
    assert post(process.url, events).status == 202
    wait_until(lambda: 'msg="learned the reference" model=fraud events=100' in process.log.read_text())


def test_warns_where_anyone_may_write_events(start: Start) -> None:
    warning = 'level=warning logger=sidecar msg="anyone who reaches this address may write events'
    assert warning not in start(options=["--log.level=info"]).log.read_text()
    assert warning in start(options=["--log.level=info", "--ingest.listen-address=0.0.0.0:0"]).log.read_text()


# Reloading

Reload = Callable[[SidecarProcess], None]


def by_signal(process: SidecarProcess) -> None:
    def told() -> int:
        """Count by the message: the names of files may hold the word too."""
        return len(re.findall(r'msg="?reload', process.log.read_text()))

    before = told()
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: told() > before)


def by_request(process: SidecarProcess) -> None:
    assert request(process.url, "POST", "/-/reload").status in (200, 500)


RELOADS = pytest.mark.parametrize("reload", [by_signal, by_request])
LIFECYCLE = ["--web.enable-lifecycle"]


def info(process: SidecarProcess) -> dict[str, str]:
    [labels] = [dict(pairs) for name, pairs in samples(process.url) if name == "model_reference_info"]
    return labels


@RELOADS
def test_reload_takes_a_new_reference_and_goes_on_counting_traffic(
    start: Start, tmp_path: Path, reload: Reload
) -> None:
    process = start(fraud_config(tmp_path), options=LIFECYCLE)
    post(process.url, [event()] * 10)
    old = fraud_profile()
    assert info(process)["reference"] == old.fingerprint
    new = fraud_profile(2000)
    assert new.fingerprint != old.fingerprint
    save(new, tmp_path / "fraud.profile.json")
    reload(process)
    post(process.url, [event()] * 5)
    after = samples(process.url)
    assert {dict(pairs)["reference"] for _, pairs in after if "reference" in dict(pairs)} == {new.fingerprint}
    assert value(after, "model_predictions_total") == 15
    assert value(after, "model_latency_seconds_count") == 15
    assert value(after, "model_sidecar_events_total") == 15
    assert value(after, "model_bin_observations_total", feature="merchant", range="visa") == 5
    assert value(after, "model_sidecar_config_last_reload_successful") == 1


@RELOADS
def test_reload_of_the_same_files_keeps_every_count(start: Start, tmp_path: Path, reload: Reload) -> None:
    process = start(fraud_config(tmp_path), options=LIFECYCLE)
    post(process.url, [event()] * 300)
    stamp = "model_sidecar_config_last_reload_success_timestamp_seconds"
    before = samples(process.url)
    reload(process)
    after = samples(process.url)
    assert after.pop((stamp, ())) > before.pop((stamp, ()))
    assert after == before


def break_config(directory: Path) -> str:
    (directory / "sidecar.yml").write_text("models: [{name: fraud, refrence: x}]\n")
    return f"{directory}/sidecar.yml: models[0]: there is no such key: `refrence`; did you mean reference?"


def break_yaml(directory: Path) -> str:
    (directory / "sidecar.yml").write_text("models: [\n")
    return f"{directory}/sidecar.yml: line 2: expected the node content, but found '<stream end>'"


def remove_config(directory: Path) -> str:
    (directory / "sidecar.yml").unlink()
    return f"{directory}/sidecar.yml: No such file or directory"


def misname_reference(directory: Path) -> str:
    (directory / "sidecar.yml").write_text('models: [{name: fraud, reference: "a\\0b"}]')
    where = f"{directory}/sidecar.yml: models[0].reference: '{directory}/a\\x00b'"
    return f"{where}: it cannot be the name of a file: embedded null byte"


def remove_reference(directory: Path) -> str:
    (directory / "fraud.profile.json").unlink()
    where = f"{directory}/sidecar.yml: models[0].reference: {directory}/fraud.profile.json"
    return f"{where}: No such file or directory"


def break_reference(directory: Path) -> str:
    (directory / "fraud.profile.json").write_text("{")
    where = f"{directory}/sidecar.yml: models[0].reference: {directory}/fraud.profile.json"
    return f"{where}: not a reference profile: Input data was truncated"


@pytest.mark.parametrize(
    "spoil",
    [break_config, break_yaml, remove_config, misname_reference, remove_reference, break_reference],
    ids=lambda f: f.__name__,
)
def test_reload_of_bad_files_keeps_the_old_ones_and_says_why(
    start: Start, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    process = start(fraud_config(tmp_path), options=LIFECYCLE)
    post(process.url, [event()] * 300)
    before = samples(process.url)
    reason = spoil(tmp_path)
    reply = request(process.url, "POST", "/-/reload")
    assert (reply.status, reply.text) == (500, f"{reason}\n")
    assert 'msg="reload failed, going on as before"' in process.log.read_text()
    assert json.dumps(reason, ensure_ascii=False)[1:-1] in process.log.read_text()
    after = samples(process.url)
    assert after.pop(("model_sidecar_config_last_reload_successful", ())) == 0
    assert before.pop(("model_sidecar_config_last_reload_successful", ())) == 1
    assert after == before
    assert post(process.url, event()).status == 202
    assert get(process.url, "/-/ready").status == 200

    fraud_config(tmp_path)
    assert request(process.url, "POST", "/-/reload").status == 200
    assert value(samples(process.url), "model_sidecar_config_last_reload_successful") == 1


def test_signal_for_a_reload_of_a_bad_file_is_told_in_log_and_metric(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path))
    reason = break_config(tmp_path)
    by_signal(process)
    assert reason in process.log.read_text()
    assert value(samples(process.url), "model_sidecar_config_last_reload_successful") == 0


def test_reload_over_http_is_refused_unless_it_is_switched_on(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path))
    before = samples(process.url)
    reply = request(process.url, "POST", "/-/reload")
    assert (reply.status, reply.text) == (403, "Lifecycle API is not enabled: --web.enable-lifecycle\n")
    assert samples(process.url) == before


def test_reload_takes_a_new_version_limits_models_and_thresholds(start: Start, tmp_path: Path) -> None:
    config = fraud_config(tmp_path)
    process = start(config, options=LIFECYCLE)
    post(process.url, [event()] * 300)
    assert info(process)["model_version"] == "7"
    fraud_config(
        tmp_path,
        "    version: '8'\n"
        "    drift: {thresholds: {moderate: 80, significant: 90, critical: 91, rollback: 92}}\n"
        "  - {name: other, learn: {events: 100}}\n"
        "limits: {events_per_body: 2}\n",
    )
    assert get(process.url, "/drift").json()["drift_detected"]
    by_request(process)
    assert not get(process.url, "/drift").json()["drift_detected"]
    assert info(process)["model_version"] == "8"
    assert post(process.url, [event(model="other")] * 2).status == 202
    assert post(process.url, [event(model="fraud")] * 3).status == 413
    assert value(samples(process.url), "model_predictions_total", model="fraud") == 300


def test_reload_keeps_what_was_learned(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: default, learn: {events: 100}}]\n")
    process = start(config, options=LIFECYCLE)
    post(process.url, [event()] * 60)
    by_request(process)
    assert get(process.url, "/drift").json()["models"]["default"]["learning"] == {"events": 60, "of": 100}
    post(process.url, [event()] * 60)
    learned = info(process)["reference"]
    by_request(process)
    assert info(process)["reference"] == learned
    assert value(samples(process.url), "model_bin_observations_total", feature="merchant", range="visa") == 20


# Stopping


def readiness(connection: http.client.HTTPConnection) -> tuple[int, str]:
    connection.request("GET", "/-/ready")
    response = connection.getresponse()
    return response.status, response.read().decode()


def stopped_events(process: SidecarProcess) -> int:
    [line] = [line for line in process.log.read_text().splitlines() if "msg=stopped" in line]
    return int(line.rpartition("events=")[2])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_a_request_in_flight_before_it_stops(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start(fraud_config(tmp_path))
    body = json.dumps([event()] * 7).encode()
    parts = urlsplit(process.url)
    with (
        closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)) as prober,
        head_sent(process.url, content_length=len(body)) as connection,
    ):
        assert readiness(prober) == (200, "model-sidecar is ready.\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body[:50])
        process.process.send_signal(number)
        wait_until(lambda: "msg=stopping" in process.log.read_text())
        assert readiness(prober) == (503, "model-sidecar is stopping.\n")
        with pytest.raises(ConnectionRefusedError):
            get(process.url, "/-/ready")
        connection.sendall(body[50:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 202")
    assert process.process.wait(TIMEOUT_SECONDS) == 0
    assert stopped_events(process) == 7


def test_what_was_accepted_under_load_was_counted_when_it_stopped(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path))
    body = json.dumps([event()] * 20)
    accepted = [0, 0, 0]
    well_under_way = threading.Barrier(len(accepted) + 1, timeout=TIMEOUT_SECONDS)

    def send(sender: int) -> None:
        parts = urlsplit(process.url)
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
            while True:
                try:
                    connection.request("POST", "/monitor", body)
                    answer = json.loads(connection.getresponse().read())
                except (OSError, http.client.HTTPException):
                    return
                accepted[sender] += answer["accepted"]
                if accepted[sender] == 50 * 20:
                    well_under_way.wait()

    senders = [threading.Thread(target=send, args=(i,)) for i in range(len(accepted))]
    for sender in senders:
        sender.start()
    well_under_way.wait()
    process.process.send_signal(signal.SIGTERM)
    for sender in senders:
        sender.join(TIMEOUT_SECONDS)
    assert process.process.wait(TIMEOUT_SECONDS) == 0
    assert sum(accepted) >= 3000
    assert stopped_events(process) == sum(accepted)
    assert "level=error" not in process.log.read_text()


# What keeps it from starting


def fails(*arguments: str) -> str:
    finished = model_sidecar("serve", "--ingest.listen-address=127.0.0.1:0", *arguments)
    assert finished.returncode == 1
    assert finished.stdout == ""
    lines = [line for line in finished.stderr.splitlines() if "level=info" not in line]
    assert len(lines) == 1, finished.stderr
    return lines[0]


@pytest.mark.parametrize("listener", ["ingest", "web"])
def test_says_which_address_is_taken(start: Start, listener: str) -> None:
    process = start()
    where = urlsplit(process.url).netloc
    assert fails(taken(process, listener)) == f"model-sidecar: cannot listen on {where}: Address already in use"


def test_says_which_address_there_is_not() -> None:
    assert fails("--web.listen-address=256.0.0.1:0").startswith("model-sidecar: cannot listen on 256.0.0.1:0: ")


@pytest.mark.parametrize(
    "spoil",
    [break_config, break_yaml, remove_config, misname_reference, remove_reference, break_reference],
    ids=lambda f: f.__name__,
)
def test_says_in_one_sentence_why_it_cannot_start(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    config = fraud_config(tmp_path)
    reason = spoil(tmp_path)
    assert fails(f"--config.file={config}") == f"model-sidecar: {reason}"


@pytest.mark.parametrize("path", ["/drift", "/monitor", "/-/reload", "/health"])
def test_refuses_a_telemetry_path_that_is_taken(path: str) -> None:
    sentence = f"model-sidecar: --web.telemetry-path: '{path}' is taken: choose another path"
    assert fails(f"--web.telemetry-path={path}") == sentence


def test_serves_metrics_where_it_is_told(start: Start) -> None:
    url = start(options=["--web.telemetry-path=/probe/metrics"]).url
    assert get(url, "/metrics").status == 404
    assert get(url, "/probe/metrics").status == 200
    assert 'href="probe/metrics"' in get(url, "/").text


def test_says_its_version() -> None:
    finished = model_sidecar("--version")
    assert (finished.returncode, finished.stdout) == (0, f"model-sidecar {__version__}\n")
