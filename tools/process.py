"""Start a sidecar, or another program of this project, as a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_ADDRESS = re.compile(r"msg=listening .*address=(\S+)")


@dataclass(frozen=True, slots=True)
class SidecarProcess:
    """A running sidecar: where it takes events, and where it serves the network if it does."""

    process: subprocess.Popen[str]
    url: str
    web_urls: tuple[str, ...]
    log: Path


@contextmanager
def sidecar(
    directory: Path, *, config: Path | None = None, web: int = 0, options: Sequence[str] = ()
) -> Iterator[SidecarProcess]:
    """Run a sidecar on free ports of 127.0.0.1 until the block ends; `web` is the number of read-only listeners.

    Its log is `directory/sidecar.log`. Raises RuntimeError with the log if it does not come up.
    """
    log = directory / "sidecar.log"
    command = [sys.executable, "-m", "sidecar", "serve", "--ingest.listen-address=127.0.0.1:0", *options]
    command += ["--web.listen-address=127.0.0.1:0"] * web
    if config is not None:
        command.append(f"--config.file={config}")
    with started(command, log, listeners=1 + web) as (process, addresses):
        urls = [f"http://{address}" for address in addresses]
        yield SidecarProcess(process, urls[0], tuple(urls[1:]), log)


@contextmanager
def started(command: Sequence[str], log: Path, *, listeners: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a command of this project until the block ends; yields it and the addresses that its log says it listens on.

    Raises RuntimeError with the log if it does not come up.
    """
    with log.open("a+") as lines:
        lines.seek(0, 2)
        # It writes to the file itself, so that it never waits for a reader.
        process = subprocess.Popen(command, stdout=lines, stderr=lines, text=True)
        try:
            yield process, _wait_for_addresses(process, lines.name, lines.tell(), listeners)
        finally:
            end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process to end, and make it where it does not."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_addresses(process: subprocess.Popen[str], log: str, start: int, count: int) -> list[str]:
    with Path(log).open() as lines:
        lines.seek(start)
        found: list[str] = []
        text = ""
        while len(found) < count:
            line = _next_line(lines, process)
            if line is None:
                raise RuntimeError(f"it ended with status {process.returncode}:\n{text}")
            text += line
            if match := _ADDRESS.search(line):
                found.append(match[1])
        return found


def _next_line(lines: IO[str], process: subprocess.Popen[str]) -> str | None:
    while True:
        if line := lines.readline():
            return line
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        return lines.readline() or None
