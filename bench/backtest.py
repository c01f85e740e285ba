"""Time and peak memory of a backtest over a month of rows: `python -m bench.backtest [ROWS]`."""

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
SELECT TIMESTAMP '2026-01-01' + to_microseconds((i * (30 * 86400e6 / $rows))::BIGINT) AS timestamp,
  random() * 1000 AS amount, ln(random() + 1e-9) AS distance, (random() * 100)::INT AS age,
  CASE WHEN random() < 0.05 THEN NULL ELSE random() END AS score, random() + random() AS speed,
  (random() * 1e6)::BIGINT AS number, ['visa', 'amex', 'mc', 'disc'][1 + (random() * 3.99)::INT] AS merchant,
  'c' || (random() * 200)::INT AS city, random() < 0.02 AS prediction, random() AS probability,
  exp(random() * 4) AS latency_ms, random() < 0.001 AS error
FROM range($rows) AS rows(i)
"""

FEATURES = "amount,distance,age,score,speed,number,merchant,city"


def main(rows: int = ROWS) -> None:
    """Generate a month of rows in order and in random order, and replay each."""
    print(f"backtest: {rows:,} rows of 10 features in a month, by the command; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as directory:
        ordered, mixed = Path(directory, "ordered.parquet"), Path(directory, "mixed.parquet")
        reference = Path(directory, "reference.json")
        # In a process of its own: what a parent holds counts towards the peak of its children.
        generating = multiprocessing.get_context("spawn").Process(target=generate, args=(rows, ordered, mixed))
        generating.start()
        generating.join()
        outputs = ["--prediction", "prediction", "--probability", "probability"]
        build = ["reference", "build", str(ordered), "--features", FEATURES, *outputs, "-o", str(reference)]
        subprocess.run([sys.executable, "-m", "sidecar", *build], check=True, stderr=subprocess.DEVNULL)
        for path in (ordered, mixed):
            _measure(path, reference, rows)


def generate(rows: int, ordered: Path, mixed: Path) -> None:
    """Write the rows, and the same rows in another order."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SELECT setseed(0.5)")
        connection.execute(f"CREATE TABLE data AS {_DATA}", {"rows": rows})
        connection.execute(f"COPY data TO '{ordered}'")
        connection.execute(f"COPY (SELECT * FROM data ORDER BY hash(number)) TO '{mixed}'")


def _measure(path: Path, reference: Path, rows: int) -> None:
    command = [sys.executable, "-m", "sidecar", "backtest", str(path), "--reference", str(reference)]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    seconds, cpu = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
    print(
        f"  {path.stem:<8} {path.stat().st_size / 1e6:5.0f} MB  {seconds:6.1f} s ({cpu:.1f} s of CPU)  "
        f"{rows / seconds:,.0f} rows/s  peak {usage.ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
