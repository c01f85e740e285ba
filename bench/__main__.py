"""Run benchmarks: `python -m bench [NAME …]`; without a name all of them, then the table of goals and the pictures.

    ingest scrape drift memory start growth client callers peers
                    measure; what they find is kept in build/bench.json
    goals           print the table of goals from what was measured
    document        write that table, the others of docs/performance.md, and the pictures
    instructions    count instructions an event with callgrind; takes minutes, and is not part of all
    reference       build profiles from large files; not part of all either
    inject          200 admission reviews a second over TLS; not part of all either
    storage         what --storage.path adds to an event, and what a checkpoint takes; not part of all either
    fairness        what scrapes and POSTs wait while 50 senders are as fast as they can go; not part of all either
    labels          what an id adds to an event, what a label costs; not part of all either
    soak            a steady rate for an hour: python -m bench soak --help

`bench.calibration`, `bench.rule_cost` and `bench.trust` are commands of their own.
"""

import compileall
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import sidecar
from bench import figures

ALL = ("ingest", "scrape", "drift", "memory", "start", "growth", "client", "callers", "peers")
MORE = ("instructions",)
ALONE = ("reference", "inject", "storage", "labels", "fairness")


def main(arguments: list[str]) -> int:
    """Run what is named; returns the exit status."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if arguments[:1] == ["soak"]:
        status: int = import_module("bench.soak").main(arguments[1:])
        return status
    names = arguments or [*ALL, "goals", "document"]
    known = {*ALL, *MORE, *ALONE, "goals", "document"}
    if unknown := [name for name in names if name not in known]:
        print(f"no benchmark {unknown[0]!r}; there is: {', '.join(sorted(known))}, soak", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, and figures are kept
    # As installers do. Where Python is told to write no bytecode, each start would compile its sources.
    compileall.compile_dir(Path(sidecar.__file__).parent, quiet=1)
    print(figures.machine())
    found = figures.load()
    for name in names:
        print()
        began = time.perf_counter()
        run: Callable[..., None] = import_module(f"bench.{_module(name)}").main
        if name in (*ALL, *MORE):
            try:
                run(found)
            finally:
                found.save()
            print(f"({name} took {time.perf_counter() - began:.0f} s)", flush=True)
        elif name in ALONE:
            run()
        else:
            run(found)
    return 0


def _module(name: str) -> str:
    return "peers.run" if name == "peers" else name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
