"""Running programs of the system."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Failed(Exception):
    """Something is not as it should be; the message says what."""


def require(programs: Mapping[str, str], *, root: str) -> None:
    """Raise Failed unless these programs, by name with their Debian packages, are there, and we are root.

    `root` says why that is, and what to do.
    """
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if missing:
        raise Failed(f"install what is missing with: sudo apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        raise Failed(root)


def output(*command: str | Path, timeout: float = 120) -> str:
    """Run a program, and return what it prints; raises Failed with what it says on errors."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout
