"""`model-sidecar top`: what the status page shows, in a terminal."""

import argparse
import asyncio
import math
import sys

from sidecar.cli.terminal import needs_extra, tell
from sidecar.cli.unreachable import advice
from sidecar.http.address import NoPeer, peer

_ROWS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "sidecar", metavar="URL|SOCKET", help="a sidecar: http://127.0.0.1:8000, 127.0.0.1:8000, or a Unix socket"
    )
    parser.add_argument("--model", metavar="NAME", help="show one model, of several")
    parser.add_argument("--window", metavar="W", help="window to show, such as 5m (default: the one alerts go by)")
    parser.add_argument("--match", metavar="TEXT", help="show the features with this in their name")
    parser.add_argument(
        "--interval", metavar="SECONDS", type=_seconds, default=2.0, help="time between two looks (default: 2)"
    )
    parser.add_argument(
        "--rows",
        metavar="N",
        type=_count,
        help=f"features of each model at the most (default: what fits, or {_ROWS} where it is no terminal)",
    )
    parser.add_argument("--once", action="store_true", help="print it once and exit, with status 1 if nobody answers")


def run(args: argparse.Namespace) -> int:
    """Show the sidecar until interrupted, or once."""
    with needs_extra():
        return _top(args)


def _top(args: argparse.Namespace) -> int:
    from sidecar.cli.terminal import console
    from sidecar.cli.top.read import Reader, Unreachable, Wanted
    from sidecar.cli.top.watch import print_once, print_regularly, watch

    try:
        peer(args.sidecar)
    except NoPeer as error:
        tell(str(error))
        return 1
    terminal = sys.stdout.isatty()
    out = console()
    rows = args.rows or (None if terminal and not args.once else _ROWS)
    most = max(rows or 0, out.size.height if terminal else 0, _ROWS)
    reader = Reader(args.sidecar, Wanted(model=args.model, window=args.window, match=args.match, most_rows=most))
    try:
        if args.once:
            asyncio.run(print_once(reader, out, rows=rows or _ROWS))
        elif terminal:
            asyncio.run(watch(reader, out, rows=rows, interval=args.interval))
        else:
            asyncio.run(print_regularly(reader, out, rows=rows or _ROWS, interval=args.interval))
    except Unreachable as error:
        tell(f"{error}{advice(error.__cause__)}")
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (math.isfinite(seconds) and seconds >= 0.1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds of at least 0.1")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
