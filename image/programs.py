"""Running programs of the system."""

import subprocess
from pathlib import Path


class Failed(Exception):
    """Something is not as it should be; the message says what."""


def output(*command: str | Path, timeout: float = 120) -> str:
    """Run a program, and return what it prints; raises Failed with what it says on errors."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout
