"""`model-sidecar reference build`."""

import argparse
import sys
from pathlib import Path

from sidecar.cli.reference.data import add_bin_options, add_column_options
from sidecar.cli.terminal import progress_bar, tell
from sidecar.reference import ProfileError, save
from sidecar.reference.profile import dump

SUMMARY = "build a profile from data files"
DESCRIPTION = """Build a reference profile from CSV, Parquet or JSON Lines: files, directories or patterns, of any size.
Rows are taken in the order of the files."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA", nargs="+", help="file, directory or pattern such as 'data/*.parquet'")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the profile (default: standard output)")
    add_column_options(parser)
    add_bin_options(parser)
    parser.add_argument(
        "--timestamp", metavar="COL", help="column of the time, for a design effect by windows of the clock"
    )
    parser.add_argument(
        "--window",
        metavar="DURATION",
        type=_seconds,
        default="1h",
        help="with --timestamp, the window that alerts read, instead of --window-rows (default: %(default)s)",
    )
    parser.add_argument("--model", metavar="NAME", default="", help="name of the model")
    parser.add_argument("--model-version", metavar="VERSION", default="", help="its version")
    parser.add_argument("--source", metavar="TEXT", help="where the data is from (default: names of the files)")


def run(args: argparse.Namespace) -> int:
    """Build, write, and say in one line what was built."""
    from sidecar.reference import files

    with progress_bar() as progress:
        profile = files.build(
            args.data,
            features=args.features,
            prediction=args.prediction,
            probability=args.probability,
            categorical=args.categorical,
            null=args.null,
            bins=args.bins,
            categories=args.categories,
            window_rows=args.window_rows,
            sample_rows=args.sample_rows,
            timestamp=args.timestamp,
            window_seconds=args.window,
            model=args.model,
            model_version=args.model_version,
            source=args.source,
            progress=progress,
            notice=tell,
        )
    if args.output is None:
        sys.stdout.buffer.write(dump(profile))
    else:
        try:
            save(profile, args.output)
        except OSError as error:
            raise ProfileError(f"{args.output}: {error.strerror or error}") from error
    to = "" if args.output is None else f"{args.output}: "
    tell(f"{to}{len(profile.features)} features of {profile.rows} rows, reference {profile.fingerprint}")
    return 0


def _seconds(text: str) -> float:
    from sidecar.configfile import Duration

    try:
        seconds = Duration(text).seconds
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not at least 1s")
    return seconds
