"""`model-sidecar serve` that writes a checkpoint every few events and tries again soon what failed.

python -m tests.reliability.quick --storage.path=DIR …
"""

import argparse
import sys
from dataclasses import replace
from typing import NoReturn

from sidecar.base import log
from sidecar.cli.serve import add_arguments, options
from sidecar.serve import app
from sidecar.storage.store import Pace

QUICK = Pace(segment_bytes=2000, checkpoint_sizes=0, retry_seconds=0.1)


def serve(arguments: list[str], pace: Pace = QUICK) -> NoReturn:
    """Serve with these arguments at this pace until told to stop."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(arguments)
    log.set_up(level=args.log_level, form=args.log_format)
    sys.exit(app.run(replace(options(args), storage_pace=pace)))


if __name__ == "__main__":
    serve(sys.argv[1:])
