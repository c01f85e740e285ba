"""What arrives when processes end, by how they were started and what ends them: docs/client.md has the table."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.support import Listening, counted, listening

EVENTS = 80

HEAD = """
import multiprocessing, os, signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from model_sidecar_client import Client

client = Client(sys.argv[1], flush_seconds=60.0)  # what arrives sooner was sent by the end of a process

def work(number=0):
    client.log({"amount": 1.0})
"""

ENDS = {
    "the last line": """
for i in range(80): work()
""",
    "with": """
with client:
    for i in range(80): work()
os._exit(0)
""",
    "sys.exit": """
for i in range(80): work()
sys.exit(3)
""",
    "an exception": """
for i in range(80): work()
raise SystemExit("on purpose")
""",
    "a thread": """
def in_thread():
    for i in range(80): work()
    sys.exit()
threading.Thread(target=in_thread).start()
""",
    "a daemon thread": """
thread = threading.Thread(target=lambda: [*map(work, range(80)), time.sleep(60)], daemon=True)
thread.start()
while client.stats().queued < 80: time.sleep(0.01)
""",
    "at exit, with no thread before": """
import atexit
atexit.register(lambda: list(map(work, range(80))))
later = Client(sys.argv[1], flush_seconds=60.0)
""",
    "SIGTERM": """
for i in range(80): work()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
    "SIGTERM while the main thread waits for a lock": """
for i in range(80): work()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
threading.Lock().acquire(); lock = threading.Lock(); lock.acquire(); lock.acquire()
""",
    "SIGINT": """
for i in range(80): work()
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
""",
    "a handler of the application's": """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for i in range(80): work()
os.kill(os.getpid(), signal.SIGTERM)
""",
    "fork": """
client.log({"amount": 1.0}); client.flush()
for _ in range(4):
    if not os.fork():
        for i in range(19): work()
        sys.exit()
for _ in range(4): os.wait()
for i in range(3): work()
""",
    "fork in a thread": """
def in_thread():
    if not os.fork():
        for i in range(40): work()
        client.close()
        os._exit(0)
    os.wait()
thread = threading.Thread(target=in_thread)
for i in range(40): work()
thread.start(); thread.join()
""",
    "a fork that Python is not told of": """
import ctypes
for i in range(40): work()
if not ctypes.PyDLL(None).fork():
    threads = [threading.Thread(target=lambda: list(map(work, range(10)))) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    client.close()
    os._exit(0)
os.wait()
""",
    "multiprocessing fork": """
processes = [multiprocessing.get_context("fork").Process(target=lambda: list(map(work, range(40)))) for _ in range(2)]
for process in processes: process.start()
for process in processes: process.join()
""",
    "Pool fork": """
with multiprocessing.get_context("fork").Pool(4) as pool:
    pool.map(work, range(80))
    pool.close()
    pool.join()
""",
    "Pool with an initializer": """
def begin():
    global client
    client = Client(sys.argv[1], flush_seconds=60.0)
client.close()
with multiprocessing.get_context("fork").Pool(4, initializer=begin) as pool:
    pool.map(work, range(80))
    pool.close()
    pool.join()
""",
    "ProcessPoolExecutor fork": """
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    list(pool.map(work, range(80)))
""",
    "asyncio": """
import asyncio
async def log():
    for i in range(80): work()
    asyncio.current_task().cancel()
    await asyncio.sleep(60)
try: asyncio.run(log())
except asyncio.CancelledError: pass
""",
    "gevent": """
from gevent import monkey; monkey.patch_all()
import gevent
gevent.joinall([gevent.spawn(work, i) for i in range(80)])
""",
    "gevent that patches when the client sends already": """
work(); client.flush()
from gevent import monkey; monkey.patch_all()
import gevent
gevent.joinall([gevent.spawn(work, i) for i in range(79)])
""",
    "gevent, SIGTERM": """
from gevent import monkey; monkey.patch_all()
import gevent
gevent.joinall([gevent.spawn(work, i) for i in range(80)])
os.kill(os.getpid(), signal.SIGTERM)
gevent.sleep(60)
""",
    "gevent, SIGTERM while all wait": """
from gevent import monkey; monkey.patch_all()
import gevent, subprocess
gevent.joinall([gevent.spawn(work, i) for i in range(80)])
subprocess.Popen(["sh", "-c", "sleep 0.5; kill -TERM $0", str(os.getpid())])
gevent.sleep(60)
""",
    "eventlet, SIGTERM while all wait": """
import eventlet; eventlet.monkey_patch()
pool = eventlet.GreenPool()
for i in range(80): pool.spawn(work, i)
pool.waitall()
import subprocess
subprocess.Popen(["sh", "-c", "sleep 0.5; kill -TERM $0", str(os.getpid())])
eventlet.sleep(60)
""",
    "asyncio, SIGTERM while all wait": """
import asyncio, subprocess
async def log():
    for i in range(80): work()
    subprocess.Popen(["sh", "-c", "sleep 0.5; kill -TERM $0", str(os.getpid())])
    await asyncio.sleep(60)
asyncio.run(log())
""",
    "eventlet": """
import eventlet; eventlet.monkey_patch()
pool = eventlet.GreenPool()
for i in range(80): pool.spawn(work, i)
pool.waitall()
""",
}  # fmt: skip

# Started anew, a worker imports the main module, and so makes a client of its own.
SPAWNED = """
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").{pool} as pool:
        list(pool.map(work, range(80)))
        pool.close()
        pool.join()
"""
for method in ("spawn", "forkserver"):
    ENDS[f"Pool {method}"] = SPAWNED.format(method=method, pool="Pool(2)")
ENDS["ProcessPoolExecutor spawn"] = """
if __name__ == "__main__":
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(work, range(80)))
"""

LOST = {
    "os._exit": "for i in range(80): work()\nos._exit(0)\n",
    "SIGKILL": "for i in range(80): work()\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "SIGTERM, sigterm=False": """
client = Client(sys.argv[1], flush_seconds=60.0, sigterm=False)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
for i in range(80): work()
os.kill(os.getpid(), signal.SIGTERM)
""",
}


def ended(tmp_path: Path, program: str, target: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "application.py"
    script.write_text(HEAD + program)
    command = [sys.executable, "-W", "ignore", str(script), target]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.parametrize("end", ENDS)
def test_all_that_was_logged_arrives(up: Listening, tmp_path: Path, end: str) -> None:
    before = counted(up.process.url, "http")
    result = ended(tmp_path, ENDS[end], up.targets["http"])
    assert counted(up.process.url, "http") - before == EVENTS, result


@pytest.mark.parametrize("end", LOST)
def test_what_nobody_can_send_is_lost(up: Listening, tmp_path: Path, end: str) -> None:
    before = counted(up.process.url, "http")
    ended(tmp_path, LOST[end], up.targets["http"])
    assert counted(up.process.url, "http") - before == 0


def test_sigterm_ends_the_process_as_before() -> None:
    program = "import os, signal, sys\nfrom model_sidecar_client import Client\nclient = Client()\n"
    result = subprocess.run([sys.executable, "-c", f"{program}os.kill(os.getpid(), 15)"], check=False, timeout=30)
    assert result.returncode == -signal.SIGTERM
    result = subprocess.run(
        [sys.executable, "-c", f"signal = __import__('signal'); signal.signal(15, signal.SIG_IGN)\n{program}"
         "os.kill(os.getpid(), 15); assert signal.getsignal(15) is signal.SIG_IGN"], check=False, timeout=30,
    )  # fmt: skip
    assert result.returncode == 0


@contextmanager
def stopped(running: Listening) -> Iterator[None]:
    os.kill(running.process.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.process.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("end", ["SIGTERM", "the last line"])
def test_a_sidecar_that_hangs_holds_up_the_end_for_seconds_and_the_loss_is_said(tmp_path: Path, end: str) -> None:
    with listening(tmp_path) as running, stopped(running):
        began = time.monotonic()
        result = ended(tmp_path, ENDS[end].replace("80", "2000"), running.targets["http"])
        assert time.monotonic() - began < 15
    assert ("lost" if end == "SIGTERM" else "dropped") in result.stderr


OUTSIDE = """
import ctypes, logging, signal, threading
from model_sidecar_client import Client
logging.basicConfig(format="%(message)s")
"""

IN_THREAD = """
made = []
thread = threading.Thread(target=lambda: made.append(Client()))
thread.start(); thread.join()
print(*made[0].problems())
"""

HANDLED_IN_C = """
caught = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: None)
ctypes.CDLL(None).signal(15, caught)
client = Client()
print(signal.getsignal(15) is signal.SIG_DFL, client.problems())
"""


def test_a_client_that_is_made_in_another_thread_warns_of_sigterm() -> None:
    result = subprocess.run([sys.executable, "-c", OUTSIDE + IN_THREAD], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("SIGTERM ends this process before")
    assert result.stderr == result.stdout


def test_a_handler_that_python_does_not_know_of_is_left_alone() -> None:
    result = subprocess.run([sys.executable, "-c", OUTSIDE + HANDLED_IN_C], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("True []\n", "")
