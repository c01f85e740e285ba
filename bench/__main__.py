"""Run benchmarks: `python -m bench [ingest] [scrape] [memory] [reference] [client]`, all of them by default."""

import platform
import sys

from bench import client, ingest, memory, reference, scrape

BENCHMARKS = {
    "ingest": ingest.main,
    "scrape": scrape.main,
    "memory": memory.main,
    "reference": reference.main,
    "client": client.main,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks; returns the exit status."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there is: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {platform.machine()}; absolute times vary with the machine.")
    for name in names or BENCHMARKS:
        print()
        BENCHMARKS[name]()
    return 0


sys.exit(main(sys.argv[1:]))
