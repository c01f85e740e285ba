"""The examples of docs/other-languages.md, run as they are written there, on the addresses of another sidecar.

`python -m tests.client.languages Go` tries those that are named, or all, by hand.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.client.support import TRANSPORTS, Listening, counted, listening
from tests.paths import ROOT
from tests.plugins.programs import program
from tests.plugins.serving import wait_until

PAGE = ROOT / "docs" / "other-languages.md"
TIMEOUT_SECONDS = 60
EVENTS = 3
"""Sent by each way: one alone and two in a batch."""


@dataclass(frozen=True, slots=True)
class Language:
    """How the example under a heading is run, and by what ways it sends."""

    program: str
    file: str
    command: tuple[str, ...]
    ways: tuple[str, ...]


LANGUAGES: Mapping[str, Language] = {
    "curl": Language("curl", "send.sh", ("sh", "-eu"), ("http", "unix_stream")),
    "netcat": Language("nc", "send.sh", ("sh", "-eu"), TRANSPORTS),
    "Node": Language("node", "send.js", ("node",), ("http", "unix_stream")),
    "Java": Language("java", "Send.java", ("java",), ("http", "unix_stream")),
    "Go": Language("go", "send.go", ("go", "run"), TRANSPORTS),
}


def examples() -> dict[str, str]:
    """Return the block of code under each heading of the page."""
    return dict(re.findall(r"(?ms)^## (.+?)$.*?^```\w+\n(.*?)^```$", PAGE.read_text(encoding="utf-8")))


def run(name: str, to: Listening, folder: Path) -> tuple[str, dict[str, float]]:
    """Run an example; returns what it printed, and how many events were counted, by transport."""
    language = LANGUAGES[name]
    program(language.program)
    before = {transport: counted(to.process.url, transport) for transport in TRANSPORTS}
    file = folder / language.file
    file.write_text(_elsewhere(examples()[name], to), encoding="utf-8")
    command = [*language.command, str(file)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    if "unix_datagram" in language.ways:
        wait_until(lambda: counted(to.process.url, "unix_datagram") - before["unix_datagram"] == EVENTS)
    return result.stdout, {
        transport: counted(to.process.url, transport) - before[transport] for transport in TRANSPORTS
    }


def _elsewhere(text: str, to: Listening) -> str:
    """Put the addresses of a sidecar in place of those that the page has."""
    changed = re.sub(r"\b8000\b", to.process.url.rpartition(":")[2], text)
    for name in ("stream", "datagram"):
        changed = changed.replace(f"/run/model-sidecar/{name}", to.targets[f"unix_{name}"].partition("://")[2])
    assert "/run/" not in changed
    return changed


def main(names: list[str]) -> None:
    """Run examples against a sidecar of their own, and print what was counted."""
    with tempfile.TemporaryDirectory() as folder, listening(Path(folder)) as to:
        for name in names or list(LANGUAGES):
            print(name, run(name, to, Path(folder))[1])


if __name__ == "__main__":
    main(sys.argv[1:])
