import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.support import TRANSPORTS, Listening, counted, listening
from tests.plugins.serving import wait_until


def run(program: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


LOG_AND_END = """
import sys
from model_sidecar_client import Client
client = Client(sys.argv[1], flush_seconds=60)
for _ in range(700):
    client.log({"amount": 1.0})
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_end_of_the_process_sends_what_is_queued(up: Listening, transport: str) -> None:
    before = counted(up.process.url, transport)
    run(LOG_AND_END, up.targets[transport])
    wait_until(lambda: counted(up.process.url, transport) == before + 700)


LOG_IN_PROCESSES = """
import multiprocessing, sys
from model_sidecar_client import Client
client = Client(sys.argv[1], flush_seconds=60)

def work(number):
    for _ in range(100):
        client.log({"amount": 1.0})

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
from model_sidecar_client import Client
logging.disable()

target, workers, events = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = Client(target)
for _ in range(300):
    client.log({"amount": -1.0})  # the parent's: they are sent once, by the parent
children = []
for _ in range(workers):
    reader, writer = os.pipe()
    if not os.fork():
        for i in range(events):
            client.log({"amount": float(i), "merchant": "visa"}, latency_ms=1.0)
        client.close(60)
        stats = client.stats()
        os.write(writer, json.dumps([stats.accepted, sum(stats.dropped.values()), stats.queued]).encode())
        os._exit(0)
    os.close(writer)
    children.append(reader)
results = [json.loads(os.read(reader, 1000)) for reader in children]
client.close(60)
print(json.dumps([results, client.stats().accepted]))
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
from model_sidecar_client import Client

def calls():
    frame, names = sys._current_frames()[client._delivery.thread.ident], []
    while frame:
        names.append((os.path.basename(frame.f_code.co_filename), frame.f_code.co_name))
        frame = frame.f_back
    return names

os.register_at_fork(after_in_child=lambda: signal.alarm(5))  # ends a child that hangs
client = Client(sys.argv[1], timeout_seconds=30)
client.log({"amount": 1.0})
client.flush(0)
while not {("socket.py", "readinto"), ("client.py", "read")} <= set(calls()):
    time.sleep(0.01)
if not (child := os.fork()):
    gc.collect()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
client.flush(30)
print(client.stats().accepted)
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
import model_sidecar_client
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""


def test_importing_it_imports_the_standard_library_alone() -> None:
    modules = set(run(PURE).split())
    assert modules - sys.stdlib_module_names == {"model_sidecar_client"}


def test_logging_imports_the_standard_library_alone(up: Listening) -> None:
    before = counted(up.process.url, "http")
    first = "import sys\nat_first = set(sys.modules)\n"
    last = "client.close()\nprint(*(name.partition('.')[0] for name in set(sys.modules) - at_first))\n"
    modules = set(run(first + LOG_AND_END + last, up.targets["http"]).split())
    assert modules - sys.stdlib_module_names == {"model_sidecar_client"}
    assert counted(up.process.url, "http") == before + 700
