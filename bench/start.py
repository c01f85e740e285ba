"""Start: from the start of the process to the first answer of `/-/ready`, next to importing its libraries."""

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figures
from bench.work import profile
from sidecar.reference import save
from tools.process import end

FEATURES = 200
ROUNDS = 5
IMPORTS = "import aiohttp.web, numpy, msgspec, prometheus_client"


def main(figures: Figures) -> None:
    """Print the time to ready and to the imports alone, taken in turn."""
    ready, imports = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(profile(FEATURES), folder / "profile.json")
        (folder / "sidecar.yml").write_text("models:\n  - name: bench\n    reference: profile.json\n")
        for _ in range(ROUNDS):
            ready.append(_until_ready(folder))
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            imports.append(time.perf_counter() - began)
    figures["start.ready_s"], figures["start.imports_s"] = statistics.median(ready), statistics.median(imports)
    print(f"start: ready after {figures['start.ready_s']:.2f} s with {FEATURES} features; ", end="")
    print(f"importing its libraries alone {figures['start.imports_s']:.2f} s")


def _until_ready(folder: Path) -> float:
    """Return the seconds until a sidecar answers that it is ready."""
    command = [sys.executable, "-m", "sidecar", "serve", f"--config.file={folder / 'sidecar.yml'}"]
    command += ["--ingest.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"]
    log = folder / "log"
    with log.open("w") as lines:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=lines, stderr=lines)
    try:
        while (address := _address(log)) is None:
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.002)
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/-/ready")
        if connection.getresponse().status != 200:
            raise RuntimeError("it listens and is not ready")
        taken = time.perf_counter() - began
        connection.close()
    finally:
        end(process)
    return taken


def _address(log: Path) -> str | None:
    for line in log.read_text().splitlines():
        if "msg=listening" in line and "address=" in line:
            return line.partition("address=")[2].split()[0]
    return None
