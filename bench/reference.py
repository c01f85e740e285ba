"""Time and peak memory of building a profile from large files: `python -m bench.reference [ROWS [parquet|csv]]`."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROWS = 1_000_000

_DATA = """
SELECT random() * 1000 AS amount, ln(random() + 1e-9) AS distance, (random() * 100)::INT AS age,
  CASE WHEN random() < 0.05 THEN NULL ELSE random() END AS score, random() + random() AS speed,
  (random() * 1e6)::BIGINT AS number, ['visa', 'amex', 'mc', 'disc'][1 + (random() * 3.99)::INT] AS merchant,
  'c' || (random() * 2000)::INT AS city, random() < 0.02 AS fraud, random() AS p,
  to_timestamp(1.76e9 + random() * 5e6)::TIMESTAMP AS at
FROM range($rows)
"""

_INPUTS = "amount,distance,age,score,speed,number,merchant,city"
_WAYS = {
    "": ["--features", _INPUTS],
    "by the clock": ["--features", _INPUTS, "--timestamp", "at"],
    "by hour of week": ["--features", _INPUTS, "--timestamp", "at", "--season", "hour-of-week"],
}


def main(rows: int = ROWS, *forms: str) -> None:
    """Generate a Parquet and a CSV file of the same rows, or one of them, and build a profile from each."""
    print(f"reference: a profile of {rows:,} rows of 10 columns, by the command; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory, f"x.{form}") for form in forms or ("parquet", "csv")]
        # In a process of its own: what a parent holds counts towards the peak of its children.
        generating = multiprocessing.get_context("spawn").Process(target=generate, args=(rows, paths))
        generating.start()
        generating.join()
        for path in paths:
            for what, options in _WAYS.items():
                _measure(path, what, options)


def generate(rows: int, paths: list[Path]) -> None:
    """Write the same rows to each path, in the form that its name says, without holding them in memory."""
    with duckdb.connect(config={"memory_limit": "2GiB"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SELECT setseed(0.5)")
        connection.execute(f"COPY ({_DATA}) TO '{paths[0]}'", {"rows": rows})
        for path in paths[1:]:
            connection.execute(f"COPY (FROM '{paths[0]}') TO '{path}'")


def _measure(path: Path, what: str, options: list[str]) -> None:
    written = ["--prediction", "fraud", "--probability", "p", "-o", str(path.with_suffix(".json"))]
    command = [sys.executable, "-m", "sidecar", "reference", "build", str(path), *written, *options]
    begun = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    seconds, cpu = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
    size, peak = path.stat().st_size / 1e6, usage.ru_maxrss / 1024
    print(
        f"  {path.suffix[1:]:<8} {what:<16} {size:7.0f} MB  {seconds:6.1f} s ({cpu:.1f} s of CPU)  peak {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROWS, *sys.argv[2:])
