"""`model-sidecar replay`."""

import argparse
import asyncio
import math
import time

from sidecar.cli.reference.data import add_column_options, writing
from sidecar.cli.terminal import needs_extra, printable, progress_bar, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA", nargs="+", help="file, directory or pattern such as 'data/*.parquet'")
    parser.add_argument(
        "--to", metavar="URL|SOCKET", required=True, help="a sidecar: http://127.0.0.1:8000, or a Unix socket"
    )
    parser.add_argument("--model", metavar="NAME", help="the model that made the predictions, of several")
    add_column_options(parser)
    parser.add_argument("--latency-ms", metavar="COL", help="column of the latency in milliseconds")
    parser.add_argument("--error", metavar="COL", help="column that is true where the prediction failed")
    parser.add_argument("--id", metavar="COL", help="column of the id that labels name a prediction by")
    parser.add_argument("--rate", metavar="N", type=_rate, help="events a second (default: as fast as it goes)")
    parser.add_argument("--batch", metavar="N", type=_count, default=500, help="events a body (default: %(default)s)")
    parser.add_argument(
        "--form", choices=("ndjson", "columns", "json"), default="ndjson", help="form of a body (default: %(default)s)"
    )
    parser.add_argument("--limit", metavar="N", type=_count, help="rows to send at the most")


def run(args: argparse.Namespace) -> int:
    """Send the rows, and say in one line how it went."""
    with needs_extra():
        return _replay(args)


def _replay(args: argparse.Namespace) -> int:
    from sidecar.cli.replay.rows import Rows
    from sidecar.cli.replay.send import SendError, Summary, send
    from sidecar.data.files import DataError
    from sidecar.reference import ProfileError

    summary, failed, begun = Summary(), False, time.monotonic()
    try:
        with progress_bar() as progress:
            rows = Rows(
                args.data,
                features=args.features,
                others={key: getattr(args, key) for key in ("prediction", "probability", "latency_ms", "error", "id")},
                categorical=args.categorical,
                writing=writing(args),
                limit=args.limit,
                progress=progress,
                notice=tell,
            )
            # At a low rate bodies are small, so that events come about ten times a second.
            batch = args.batch if args.rate is None else min(args.batch, max(1, math.ceil(args.rate / 10)))
            begun = time.monotonic()
            asyncio.run(
                send(
                    rows.bodies(batch),
                    args.to,
                    summary,
                    form=args.form,
                    model=args.model,
                    rate=args.rate,
                    sent=lambda done: progress("sending", done, rows.rows),
                )
            )
    except (DataError, ProfileError, SendError) as error:
        tell(str(error))
        failed = True
    except KeyboardInterrupt:
        tell("stopped")
        failed = True
    if failed and not summary.sent:
        return 1
    for sentence in summary.errors:
        tell(printable(sentence))
    seconds = time.monotonic() - begun
    again = f", {summary.retries} bodies sent again" if summary.retries else ""
    print(
        f"sent {summary.sent}, accepted {summary.accepted}, refused {summary.refused}{again}, "
        f"{summary.sent / seconds:.0f} events/s"
    )
    return 1 if failed or summary.refused else 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not (math.isfinite(rate) and rate > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of events a second above 0")
    return rate
