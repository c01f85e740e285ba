import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.client import Monitor, Stats
from tests.client.support import EVENT, TRANSPORTS, Listening, counted, listening, monitoring, total
from tests.plugins.serving import fraud_config, get, samples, value, wait_until


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_events_arrive(up: Listening, transport: str) -> None:
    before = counted(up.process.url, transport)
    with monitoring(up.targets[transport]) as monitor:
        for i in range(1234):
            monitor.log(EVENT, "ok", 0.5, latency_ms=i % 50)
        assert monitor.flush()
        assert monitor.stats().accepted == total(monitor.stats()) == 1234
    wait_until(lambda: counted(up.process.url, transport) == before + 1234)


def test_a_few_events_are_sent_in_time_without_a_flush(up: Listening) -> None:
    before = counted(up.process.url, "http")
    monitor = Monitor(up.targets["http"], flush_seconds=0.05)
    monitor.log(EVENT)
    wait_until(lambda: counted(up.process.url, "http") == before + 1)
    monitor.close()


def test_values_outputs_latency_and_errors_are_those_that_were_logged(tmp_path: Path) -> None:
    with listening(tmp_path, config=fraud_config(tmp_path)) as running:
        for transport in TRANSPORTS:
            monitor = Monitor(running.targets[transport], model="fraud")
            monitor.log({"amount": 5.0, "merchant": "visa"}, "fraud", 0.9, latency_ms=20)
            monitor.log({"amount": None}, "legitimate", 0.1, latency_ms=40, error=True)
            monitor.log(None, latency_ms=60, error=True)
            monitor.close()
        wait_until(lambda: counted(running.process.url, "unix_datagram") == 3)
        found = samples(running.process.url)
        assert value(found, "model_predictions_total", model="fraud") == 9
        assert value(found, "model_prediction_errors_total", model="fraud") == 6
        assert value(found, "model_latency_seconds_sum", model="fraud") == pytest.approx(0.36)
        bins = "model_bin_observations_total"
        assert value(found, bins, feature="amount", bin="missing") == 3
        assert value(found, bins, feature="merchant", range="visa") == 3
        assert value(found, bins, feature="prediction", range="fraud") == 3


@pytest.mark.parametrize("transport", ["http", "unix_stream"])
def test_what_the_sidecar_refuses_is_counted(up: Listening, transport: str) -> None:
    with monitoring(up.targets[transport]) as monitor:
        monitor.log(EVENT, latency_ms=-1)
        monitor.log(EVENT)
        assert monitor.flush()
        assert (monitor.stats().accepted, monitor.stats().rejected) == (1, 1)


def test_what_no_event_can_be_is_dropped_and_costs_the_others_nothing(up: Listening) -> None:
    with monitoring(up.targets["http"]) as monitor:
        odd: list[Any] = [7, "text", [("a",)], {1: 2.0}, {"a": object()}, {"a": "\ud800"}, {"a": [1]}, {"a": b"x"}]
        for features in odd:
            monitor.log(features)
            monitor.log(EVENT)
        monitor.log(None)
        assert monitor.flush()
        assert monitor.stats().dropped == {"invalid": len(odd), "no_features": 1}
        assert monitor.stats().accepted == len(odd)


def test_later_changes_of_the_callers_features_are_not_seen(tmp_path: Path) -> None:
    with listening(tmp_path, config=fraud_config(tmp_path)) as running, monitoring(running.targets["http"]) as monitor:
        features: dict[str, Any] = {"amount": 5.0, "merchant": "visa"}
        monitor.log(features)
        features["merchant"] = "amex"
        assert monitor.flush()
        assert value(samples(running.process.url), "model_bin_observations_total", range="visa") == 1


class Contrary:
    """An object that refuses to be looked at in any way."""

    def _raise(self, *_: object) -> Any:
        raise RuntimeError("no")

    __iter__ = __len__ = __bool__ = __float__ = __getattr__ = __str__ = __repr__ = _raise
    keys = __getitem__ = _raise
    __hash__ = object.__hash__


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Contrary)
    | st.complex_numbers() | st.decimals() | st.datetimes() | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.lists(st.tuples(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING), max_size=8))
def test_nothing_that_is_logged_raises_and_everything_is_accounted_for(up: Listening, calls: list[Any]) -> None:
    with monitoring(up.targets["http"]) as monitor:
        for arguments in calls:
            monitor.log(*arguments)
        monitor.log(EVENT)
        assert monitor.flush()
        stats = monitor.stats()
        assert total(stats) == len(calls) + 1
        assert stats.queued == 0
        assert stats.dropped.keys() <= {"invalid", "no_features"}
        assert stats.accepted >= 1


def test_one_that_is_larger_than_a_datagram_is_dropped_and_batches_are_split(up: Listening) -> None:
    before = counted(up.process.url, "unix_datagram")
    with monitoring(up.targets["unix_datagram"]) as monitor:
        for i in range(500):
            monitor.log({"merchant": str(i) + "x" * 900})
        monitor.log({"merchant": "x" * 140_000})
        assert monitor.flush()
        assert monitor.stats().dropped == {"too_large": 1}
        assert monitor.stats().accepted == 500
    wait_until(lambda: counted(up.process.url, "unix_datagram") == before + 500)


@pytest.mark.parametrize("limit", ["body_bytes: 16KiB", "events_per_body: 70"])
def test_bodies_that_are_more_than_the_sidecar_takes_are_split(tmp_path: Path, limit: str) -> None:
    config = fraud_config(tmp_path, f"limits: {{{limit}}}\n")
    with listening(tmp_path, config=config) as running, monitoring(running.targets["http"]) as monitor:
        for _ in range(500):
            monitor.log({"amount": 1.0, "merchant": "x" * 100})
        assert monitor.flush()
        assert monitor.stats().accepted == total(monitor.stats()) == 500
        assert counted(running.process.url, "http") == 500


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_while_the_sidecar_hangs_the_queue_is_bounded_and_later_events_arrive(tmp_path: Path, transport: str) -> None:
    with listening(tmp_path) as running, monitoring(running.targets[transport], queue_events=1000) as monitor:
        monitor.log(EVENT)
        assert monitor.flush()
        os.kill(running.process.process.pid, signal.SIGSTOP)
        try:
            for _ in range(20_000):
                monitor.log(EVENT)
            stats = monitor.stats()
            assert len(monitor._queue) <= 1000
            assert total(stats) == 20_001
            assert stats.dropped["queue_full"] >= 1
        finally:
            os.kill(running.process.process.pid, signal.SIGCONT)
        assert monitor.flush(30)
        before = monitor.stats().accepted
        monitor.log(EVENT)
        assert monitor.flush(30)
        assert monitor.stats().accepted == before + 1
        assert total(monitor.stats()) == 20_002
        wait_until(lambda: counted(running.process.url, transport) >= monitor.stats().accepted)


LOG_TWO_MILLION = """
import json, logging, sys
from pathlib import Path
from sidecar.client import Monitor
logging.disable()

def highest_kibibytes():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

monitor = Monitor(sys.argv[1], timeout_seconds=0.5)
monitor.log({"amount": 1.0})
assert monitor.flush()
print("ready", flush=True)

input()
before = highest_kibibytes()
for i in range(2_000_000):
    monitor.log({"amount": i / 7, "merchant": "visa"}, latency_ms=i / 9)
print(json.dumps([(highest_kibibytes() - before) / 1024, sum(monitor.stats().dropped.values())]), flush=True)

input()
monitor.flush(30)
stats = monitor.stats()
print(json.dumps([stats.accepted, sum(stats.dropped.values()), stats.queued]), flush=True)
monitor.close()
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
        monitor = Monitor(running.targets[transport])
        monitor.log(EVENT)
        assert monitor.flush()
    with closing(monitor):
        monitor.log(EVENT)
        assert not monitor.flush(0.2)
        assert monitor.stats().queued == 1
        with listening(tmp_path, address=address) as running:
            assert monitor.flush(30)
            wait_until(lambda: counted(running.process.url, transport) == 1)
        assert monitor.stats().accepted == total(monitor.stats()) == 2


class Busy(BaseHTTPRequestHandler):
    """Turns the first two bodies away, and keeps what it is sent."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = b'{"accepted": 1, "rejected": 0}'
        self.send_response(503 if len(self.bodies) <= 2 else 202)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_a_body_that_is_turned_away_is_kept_and_sent_again() -> None:
    class Handler(Busy):
        bodies: list[bytes] = []  # noqa: RUF012  (of this test alone)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with monitoring(f"http://127.0.0.1:{server.server_port}") as monitor:
            monitor.log({"a": 1})
            assert monitor.flush()
            assert monitor.stats().accepted == total(monitor.stats()) == 1
        server.shutdown()
    assert len(Handler.bodies) == 3
    [body] = set(Handler.bodies)
    assert msgspec.msgpack.decode(body) == {"columns": {"features": {"a": struct.pack("<d", 1)}}}


def test_a_few_events_in_a_row_are_one_body() -> None:
    class Handler(Busy):
        bodies: list[bytes] = []  # noqa: RUF012  (of this test alone)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with closing(Monitor(f"http://127.0.0.1:{server.server_port}", flush_seconds=60.0)) as monitor:
            for _ in range(20):
                monitor.log({"a": 1})
                time.sleep(0.005)  # time in which a thread that was woken too early would send it
            assert monitor.flush(30)
        server.shutdown()
    assert len(Handler.bodies) == 3
    [body] = set(Handler.bodies)
    assert msgspec.msgpack.decode(body) == {"columns": {"features": {"a": struct.pack("<20d", *[1] * 20)}}}


def test_a_steady_stream_is_sent_in_batches_without_being_woken(up: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Monitor(up.targets["http"], batch_events=50, flush_seconds=30.0)) as monitor:
        rouse = Mock(side_effect=monitor._rouse)
        send = Mock(side_effect=monitor._sender.send)
        monkeypatch.setattr(monitor, "_rouse", rouse)
        monkeypatch.setattr(monitor._sender, "send", send)
        for _ in range(2000):
            monitor.log(EVENT)
            time.sleep(0.0005)
        woken = rouse.call_count
        assert monitor.flush(30)
        assert monitor.stats().accepted == 2000
    sizes = [len(call.args[0]) for call in send.call_args_list]
    assert set(sizes[:-1]) == {50}
    assert woken < len(sizes) / 2


def test_what_comes_while_less_than_a_batch_is_sent_waits_for_a_batch(
    up: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Monitor(up.targets["http"], flush_seconds=30.0)) as monitor:
        sizes = []
        send = monitor._sender.send

        def send_slowly(events: Any) -> None:
            sizes.append(len(events))
            if len(sizes) <= 5:
                monitor.log(EVENT)
            send(events)

        monkeypatch.setattr(monitor._sender, "send", send_slowly)
        for _ in range(10):
            monitor.log(EVENT)
        assert monitor.flush(30)
        wait_until(lambda: monitor._more_at == monitor._wake_at)  # it waits again
        assert (sizes, monitor.stats().queued) == ([10], 1)


def test_a_body_without_an_answer_is_not_sent_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with closing(Monitor(f"http://127.0.0.1:{port}", timeout_seconds=0.1)) as monitor:
            monitor.log(EVENT)
            assert monitor.flush()
            assert monitor.stats().dropped == {"unanswered": 1}


def test_what_cannot_be_sent_by_the_end_is_dropped_and_counted(tmp_path: Path) -> None:
    monitor = Monitor(f"unix://{tmp_path / 'nobody'}")
    for _ in range(700):
        monitor.log(EVENT)
    monitor.close(timeout=0.1)
    monitor.log(EVENT)
    assert monitor.stats().dropped == {"closed": 701}
    assert monitor.stats().queued == 0
    assert not monitor._thread or not monitor._thread.is_alive()


@pytest.mark.parametrize(
    "target", ["", "ftp://x", "localhost:8000", "unix://host/path", "unix://", "http://", "http://x:0", "http://x:y"]
)
def test_a_target_that_cannot_be_is_told_when_the_monitor_is_made(target: str) -> None:
    with pytest.raises(ValueError, match=r"target|Port"):
        Monitor(target)


@pytest.mark.parametrize("transport", ["unix_stream", "unix_datagram"])
@pytest.mark.parametrize("with_scheme", [True, False], ids=["scheme", "path"])
def test_the_target_comes_from_the_environment(
    up: Listening, monkeypatch: pytest.MonkeyPatch, transport: str, with_scheme: bool
) -> None:
    target = up.targets[transport]
    monkeypatch.setenv("MODEL_SIDECAR_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MODEL_SIDECAR_SOCKET", target if with_scheme else target.partition("://")[2])
    before = counted(up.process.url, transport)
    with closing(Monitor()) as monitor:
        for _ in range(700):
            monitor.log(EVENT)
        assert monitor.flush()
        assert monitor.stats().accepted == 700
    wait_until(lambda: counted(up.process.url, transport) == before + 700)


def test_a_path_may_come_to_be_a_socket_of_the_other_kind(tmp_path: Path) -> None:
    stream, datagram, path = tmp_path / "stream", tmp_path / "datagram", tmp_path / "either"
    with listening(tmp_path) as running, monitoring(str(path)) as monitor:
        for kind in (datagram, stream, datagram):
            path.unlink(missing_ok=True)
            path.symlink_to(kind)
            monitor._sender.close()
            for i in range(500):
                monitor.log({"merchant": str(i) + "x" * 900})  # more than a datagram takes
            assert monitor.flush()
        assert monitor.stats().accepted == total(monitor.stats()) == 1500
        wait_until(lambda: counted(running.process.url, "unix_datagram") == 1000)
        assert counted(running.process.url, "unix_stream") == 500


def run(program: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


LOG_AND_END = """
import sys
from sidecar.client import Monitor
monitor = Monitor(sys.argv[1], flush_seconds=60)
for _ in range(700):
    monitor.log({"amount": 1.0})
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_end_of_the_process_sends_what_is_queued(up: Listening, transport: str) -> None:
    before = counted(up.process.url, transport)
    run(LOG_AND_END, up.targets[transport])
    wait_until(lambda: counted(up.process.url, transport) == before + 700)


LOG_IN_PROCESSES = """
import multiprocessing, sys
from sidecar.client import Monitor
monitor = Monitor(sys.argv[1], flush_seconds=60)

def work(number):
    for _ in range(100):
        monitor.log({"amount": 1.0})

context = multiprocessing.get_context("fork")
workers = [context.Process(target=work, args=(i,)) for i in range(2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
"""


def test_the_end_of_a_multiprocessing_worker_sends_what_is_queued(up: Listening) -> None:
    before = counted(up.process.url, "http")
    run(LOG_IN_PROCESSES, up.targets["http"])
    assert counted(up.process.url, "http") == before + 200


FORK = """
import json, logging, os, sys
from sidecar.client import Monitor
logging.disable()

target, workers, events = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
monitor = Monitor(target)
for _ in range(300):
    monitor.log({"amount": -1.0})  # the parent's: they are sent once, by the parent
children = []
for _ in range(workers):
    reader, writer = os.pipe()
    if not os.fork():
        for i in range(events):
            monitor.log({"amount": float(i), "merchant": "visa"}, latency_ms=1.0)
        monitor.close(60)
        stats = monitor.stats()
        os.write(writer, json.dumps([stats.accepted, sum(stats.dropped.values()), stats.queued]).encode())
        os._exit(0)
    os.close(writer)
    children.append(reader)
results = [json.loads(os.read(reader, 1000)) for reader in children]
monitor.close(60)
print(json.dumps([results, monitor.stats().accepted]))
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_forked_workers_account_for_every_event(tmp_path: Path, transport: str) -> None:
    workers, events = 8, 20_000
    with listening(tmp_path) as running:
        results, parent = json.loads(run(FORK, running.targets[transport], str(workers), str(events)))
        accepted, dropped, queued = map(sum, zip(*results, strict=True))
        assert accepted + dropped == workers * events
        assert queued == 0
        assert parent == 300
        wait_until(lambda: counted(running.process.url, transport) == accepted + parent)


FORK_IN_AN_ANSWER = """
import gc, os, signal, sys, time
from sidecar.client import Monitor

def calls():
    frame, names = sys._current_frames()[monitor._thread.ident], []
    while frame:
        names.append((os.path.basename(frame.f_code.co_filename), frame.f_code.co_name))
        frame = frame.f_back
    return names

os.register_at_fork(after_in_child=lambda: signal.alarm(5))  # ends a child that hangs
monitor = Monitor(sys.argv[1], timeout_seconds=30)
monitor.log({"amount": 1.0})
monitor.flush(0)
while not {("socket.py", "readinto"), ("client.py", "read")} <= set(calls()):
    time.sleep(0.01)
if not (child := os.fork()):
    gc.collect()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
monitor.flush(30)
print(monitor.stats().accepted)
"""


def test_a_child_that_is_forked_in_the_middle_of_an_answer_does_not_wait_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", FORK_IN_AN_ANSWER, f"http://127.0.0.1:{server.getsockname()[1]}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as application:
            assert application.stdout
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n")
                child = application.stdout.readline()
                connection.sendall(b'{"accepted": 1}')
                assert (child, application.stdout.readline()) == ("0\n", "1\n")


PURE = """
import sys
before = set(sys.modules)
import sidecar.client
print(*(name.partition(".")[0] for name in set(sys.modules) - before - {"sidecar"} if not name.startswith("sidecar.")))
print(*(name for name in sys.modules if name.startswith("sidecar.") and not name.startswith("sidecar.client")))
"""


def test_importing_it_imports_the_standard_library_alone() -> None:
    others, ours = run(PURE).splitlines()
    assert set(others.split()) <= sys.stdlib_module_names
    assert ours == ""


def test_logging_imports_the_standard_library_alone(up: Listening) -> None:
    before = counted(up.process.url, "http")
    first = "import sys\nat_first = set(sys.modules)\n"
    last = "monitor.close()\nprint(*(name.partition('.')[0] for name in set(sys.modules) - at_first))\n"
    modules = set(run(first + LOG_AND_END + last, up.targets["http"]).split())
    assert modules - sys.stdlib_module_names == {"sidecar"}
    assert counted(up.process.url, "http") == before + 700


def test_threads_share_a_monitor_and_lose_nothing_uncounted(up: Listening) -> None:
    with monitoring(up.targets["http"], batch_events=50, queue_events=500) as monitor:

        def work() -> None:
            for _ in range(5000):
                monitor.log(EVENT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert monitor.flush(30)
        assert total(monitor.stats()) == 20_000
        assert monitor.stats().queued == 0
        assert get(up.process.url, "/health").status == http.client.OK


def test_events_that_find_the_queue_full_are_each_counted_once_however_often_they_are_read(tmp_path: Path) -> None:
    with closing(Monitor(f"unix://{tmp_path / 'nobody'}", queue_events=100)) as monitor:

        def work() -> None:
            for _ in range(20_000):
                monitor.log(EVENT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        seen = []
        while any(thread.is_alive() for thread in threads):
            seen.append(monitor.stats().dropped.get("queue_full", 0))
        assert seen == sorted(seen)
        assert total(monitor.stats()) == 80_000
        assert monitor.stats() == monitor.stats()


def test_batches_of_one_are_sent_at_once(up: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.client.pace._LONGEST_SECONDS", 3600.0)
    with closing(Monitor(up.targets["http"], batch_events=1, flush_seconds=3600.0)) as monitor:
        monitor.log(EVENT)
        wait_until(lambda: monitor.stats().accepted == 1)
        monitor.log(EVENT)
        wait_until(lambda: monitor.stats().accepted == 2)


def test_events_that_come_before_the_thread_waits_are_not_overlooked(
    up: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.client.pace._LONGEST_SECONDS", 3600.0)
    with closing(Monitor(up.targets["http"], queue_events=5, flush_seconds=3600.0)) as monitor:

        def fill() -> None:
            for _ in range(5):
                monitor.log(EVENT)

        class Overtaken(deque[Any]):
            """A queue that another thread fills just after the one that sends has looked whether to wait."""

            def __len__(self) -> int:
                length = super().__len__()
                if threading.current_thread() is monitor._thread and about_to_wait.is_set():
                    about_to_wait.clear()
                    thread = threading.Thread(target=fill)
                    thread.start()
                    thread.join()
                return length

        monitor.log(EVENT)
        assert monitor.flush()
        wait_until(lambda: monitor._more_at == monitor._wake_at)
        about_to_wait = threading.Event()
        stats = monitor._counts.stats  # the last that the thread asks for before it waits

        def last_stats(*, queued: int) -> Stats:
            if threading.current_thread() is monitor._thread:
                monkeypatch.setattr(monitor._counts, "stats", stats)
                about_to_wait.set()
            return stats(queued=queued)

        monkeypatch.setattr(monitor._counts, "stats", last_stats)
        monitor._queue = Overtaken()
        monitor._rouse()
        wait_until(lambda: monitor.stats().accepted == 6)


def test_a_full_queue_asks_again_for_a_thread_that_was_not_to_be_had(
    up: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monitoring(up.targets["http"], queue_events=5) as monitor:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
            for _ in range(5):
                monitor.log(EVENT)
        monitor.log(EVENT)
        wait_until(lambda: monitor.stats().accepted == 5)
        assert monitor.stats().dropped == {"queue_full": 1}


def test_first_events_of_several_threads_are_each_flushed(up: Listening) -> None:
    def work(monitor: Monitor, start: threading.Barrier, flushed: list[bool]) -> None:
        start.wait()
        monitor.log(EVENT)
        flushed.append(monitor.flush(30))

    for _ in range(50):
        with monitoring(up.targets["unix_datagram"]) as monitor:
            start, flushed = threading.Barrier(4), list[bool]()
            threads = [threading.Thread(target=work, args=(monitor, start, flushed)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert flushed == [True] * 4
            assert monitor.stats().accepted == 4


def test_flushing_again_and_again_takes_no_room_of_events(tmp_path: Path) -> None:
    with monitoring(f"unix://{tmp_path / 'nobody'}", queue_events=100) as monitor:
        monitor.log(EVENT)
        for _ in range(200):
            assert not monitor.flush(0)
        assert len(monitor._queue) <= 2
        monitor.log(EVENT)
        assert (monitor.stats().queued, monitor.stats().dropped) == (2, {})


def test_who_waits_for_a_flush_goes_on_when_the_monitor_closes(tmp_path: Path) -> None:
    monitor = Monitor(f"unix://{tmp_path / 'nobody'}")
    for _ in range(2000):
        monitor.log(EVENT)
    flushed: list[bool] = []
    thread = threading.Thread(target=lambda: flushed.append(monitor.flush(60)), daemon=True)
    thread.start()
    wait_until(lambda: any(isinstance(item, threading.Event) for item in monitor._queue.copy()))
    monitor.close(0)
    thread.join(30)
    assert flushed == [True]
    assert monitor.stats().dropped == {"closed": 2000}


def test_an_event_that_a_closing_monitor_did_not_see_is_dropped() -> None:
    monitor = Monitor("http://127.0.0.1:9")
    queue = monitor._queue

    class Late(deque[Any]):
        def append(self, event: Any) -> None:
            monitor.close(0)
            queue.append(event)

        def __len__(self) -> int:
            return len(queue)

    monitor._queue = Late()
    monitor._more_at = 1
    monitor.log(EVENT)
    monitor._queue = queue
    assert (monitor.stats().queued, monitor.stats().dropped) == (0, {"closed": 1})


def test_what_is_logged_while_the_monitor_closes_is_accounted_for(up: Listening) -> None:
    monitor = Monitor(up.targets["http"])
    logged = 0
    closed = threading.Event()

    def work() -> None:
        nonlocal logged
        while not closed.is_set() or logged < 2000:
            monitor.log(EVENT)
            logged += 1

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: logged > 1000)
    monitor.close()
    closed.set()
    thread.join()
    monitor.log(EVENT)
    assert total(monitor.stats()) == logged + 1
    assert monitor.stats().dropped["closed"] >= 1
