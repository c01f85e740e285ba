import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from model_sidecar_client import Client

from tests.client.support import EVENT, TRANSPORTS, client_to, counted, listening, total
from tests.plugins.serving import wait_until


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_while_the_sidecar_hangs_the_queue_is_bounded_and_later_events_arrive(tmp_path: Path, transport: str) -> None:
    with listening(tmp_path) as running, client_to(running.targets[transport], queue_events=1000) as client:
        client.log(EVENT)
        assert client.flush()
        os.kill(running.process.process.pid, signal.SIGSTOP)
        try:
            for _ in range(20_000):
                client.log(EVENT)
            stats = client.stats()
            assert len(client._delivery.queue) <= 1000
            assert total(stats) == 20_001
            assert stats.dropped["queue_full"] >= 1
        finally:
            os.kill(running.process.process.pid, signal.SIGCONT)
        assert client.flush(30)
        before = client.stats().accepted
        client.log(EVENT)
        assert client.flush(30)
        assert client.stats().accepted == before + 1
        assert total(client.stats()) == 20_002
        wait_until(lambda: counted(running.process.url, transport) >= client.stats().accepted)


LOG_TWO_MILLION = """
import json, logging, sys
from pathlib import Path
from model_sidecar_client import Client
logging.disable()

def highest_kibibytes():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

client = Client(sys.argv[1], timeout_seconds=0.5)
client.log({"amount": 1.0})
assert client.flush()
print("ready", flush=True)

input()
before = highest_kibibytes()
for i in range(2_000_000):
    client.log({"amount": i / 7, "merchant": "visa"}, latency_ms=i / 9)
print(json.dumps([(highest_kibibytes() - before) / 1024, sum(client.stats().dropped.values())]), flush=True)

input()
client.flush(30)
stats = client.stats()
print(json.dumps([stats.accepted, sum(stats.dropped.values()), stats.queued]), flush=True)
client.close()
"""


def test_memory_is_bounded_while_the_sidecar_hangs(tmp_path: Path) -> None:
    with listening(tmp_path) as running:
        command = [sys.executable, "-c", LOG_TWO_MILLION, running.targets["unix_datagram"]]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as application:
            questions, answers = application.stdin, application.stdout
            assert questions
            assert answers

            def go_on() -> Any:
                print(file=questions, flush=True)
                return json.loads(answers.readline())

            assert answers.readline() == "ready\n"
            os.kill(running.process.process.pid, signal.SIGSTOP)
            try:
                grown_mebibytes, dropped_by_then = go_on()
            finally:
                os.kill(running.process.process.pid, signal.SIGCONT)
            assert grown_mebibytes < 16, grown_mebibytes
            assert dropped_by_then > 1_900_000
            accepted, dropped, queued = go_on()
        assert (accepted + dropped, queued) == (2_000_001, 0)
        assert accepted >= 10_000  # what was queued arrived when the sidecar went on
        wait_until(lambda: counted(running.process.url, "unix_datagram") == accepted)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_events_flow_again_when_the_sidecar_was_restarted(tmp_path: Path, transport: str) -> None:
    with listening(tmp_path) as running:
        address = running.process.url.removeprefix("http://")
        client = Client(running.targets[transport])
        client.log(EVENT)
        assert client.flush()
    with closing(client):
        client.log(EVENT)
        assert not client.flush(0.2)
        assert client.stats().queued == 1
        with listening(tmp_path, address=address) as running:
            assert client.flush(30)
            wait_until(lambda: counted(running.process.url, transport) == 1)
        assert client.stats().accepted == total(client.stats()) == 2


def test_what_cannot_be_sent_by_the_end_is_dropped_and_counted(tmp_path: Path) -> None:
    client = Client(f"unix://{tmp_path / 'nobody'}")
    for _ in range(700):
        client.log(EVENT)
    client.close(timeout=0.1)
    client.log(EVENT)
    assert client.stats().dropped == {"closed": 701}
    assert client.stats().queued == 0
    assert not client._delivery.thread or not client._delivery.thread.is_alive()
