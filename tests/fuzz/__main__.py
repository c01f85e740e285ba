"""Fuzz by coverage: `python -m tests.fuzz [--seconds N | --runs N] [TARGET…]`, one process a target.

What is found is kept below `--keep`; an input that breaks a target is written there too, as `crash-…`, and said.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz the targets one after the other; the exit status is the number of those that broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz by coverage, with atheris.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="time for each target (default: %(default)s)")
    parser.add_argument("--runs", type=int, help="inputs for each target, whatever the time")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; 0 is a new one each time")
    parser.add_argument("--keep", type=Path, help="folder for what is found (default: a temporary one)")
    args = parser.parse_args()
    keep = args.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    bound = f"-max_total_time={args.seconds}" if args.runs is None else f"-atheris_runs={args.runs}"
    broken = 0
    for name in args.targets or TARGETS:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.one", name, str(keep / name), bound, f"-seed={args.seed}"]
        if subprocess.run(command, check=False).returncode:
            broken += 1
            print(f"== {name} broke; what broke it is in {keep / name}", flush=True)
    return broken


if __name__ == "__main__":
    sys.exit(main())
