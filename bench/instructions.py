"""Instructions: what an event takes of the processor in user mode, counted by callgrind, which hardly varies.

The process runs some fifty times slower meanwhile, so nothing is timed here. What the kernel does is not counted.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figures
from bench.work import Body, bodies, connect, posting, profile
from sidecar.reference import save
from tools.process import started

FEATURES = 5
PROGRAMS = ("valgrind", "callgrind_control")
EVENTS_BY_HAND = 500
_TOTALS = re.compile(r"(?m)^\s*Th \d+\s+([\d,]+)")


def main(figures: Figures) -> None:
    """Print thousands of instructions an event."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not there; install it with: sudo apt-get install valgrind")
    print(f"instructions in user mode, {FEATURES} features: thousands an event, by callgrind")
    forms = [body for body in bodies(FEATURES) if body.key != "array"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(profile(FEATURES), folder / "profile.json")
        (folder / "sidecar.yml").write_text("models:\n  - name: bench\n    reference: profile.json\n")
        serve = ["-m", "sidecar", "serve", "--ingest.listen-address=127.0.0.1:0"]
        _server(figures, "", [*serve, f"--config.file={folder / 'sidecar.yml'}"], folder, forms)
        least = ["-m", "bench.minimal", "http", str(folder / "profile.json")]
        _server(figures, "minimal_", least, folder, forms)
        try:
            _server(figures, "seed", ["-m", "bench.peers.seed", str(FEATURES)], folder, forms[:1])
        except RuntimeError as error:
            print(f"  the seed's design does not run here: {str(error).strip().splitlines()[-1]}")
        _client_library(figures)


def _server(figures: Figures, start: str, command: list[str], folder: Path, forms: list[Body]) -> None:
    with _counted(command, folder) as (pid, url):
        connection = connect(url)
        for body in forms:
            post = posting(connection, body)
            times = 300 if body.events == 1 else 20
            for _ in range(times // 4):
                post()
            _show(figures, f"{start}{body.key}" if start != "seed" else start, _of(pid, post, times) / body.events)
        connection.close()


def _of(pid: int, work: Callable[[], None], times: int) -> float:
    """Return the instructions that a process takes for one call of a work."""
    _control("--zero", pid)
    for _ in range(times):
        work()
    threads = _TOTALS.findall(_control("-e", pid))
    if not threads:
        raise RuntimeError(f"callgrind_control says nothing of process {pid}")
    return sum(int(count.replace(",", "")) for count in threads) / times


def _control(option: str, pid: int) -> str:
    command = ["callgrind_control", option, str(pid)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@contextmanager
def _counted(command: list[str], folder: Path) -> Iterator[tuple[int, str]]:
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    with started([*valgrind, *command], folder / "log", listeners=1) as (process, [address]):
        yield process.pid, f"http://{address}"


_BY_HAND = """
import sys
from bench.peers.client_library import logging_by_hand
from bench.peers.work import events
log_event, _ = logging_by_hand(int(sys.argv[1]))
sent = events(int(sys.argv[2]), int(sys.argv[1]))
for event in sent[: int(sys.argv[3])]:
    log_event(event)
"""


def _client_library(figures: Figures) -> None:
    """Take the difference of two runs, because what runs in process says not when it begins."""
    counts = []
    for events in (0, EVENTS_BY_HAND):
        arguments = [sys.executable, "-c", _BY_HAND, str(FEATURES), str(EVENTS_BY_HAND), str(events)]
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        done = subprocess.run([*valgrind, *arguments], check=True, capture_output=True, text=True, timeout=300)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if found is None:
            raise RuntimeError(done.stderr)
        counts.append(int(found[1]))
    _show(figures, "client_library", (counts[1] - counts[0]) / EVENTS_BY_HAND)


def _show(figures: Figures, name: str, instructions: float) -> None:
    figures[f"instructions.{name}"] = instructions
    print(f"  {name:<30}{instructions / 1000:>12.2f}", flush=True)
