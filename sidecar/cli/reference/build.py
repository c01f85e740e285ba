"""`model-sidecar reference build`."""

import argparse
from pathlib import Path
from typing import Any

from sidecar.cli.reference.data import (
    add_bin_options,
    add_choice_options,
    add_column_options,
    add_timestamp_format_option,
)
from sidecar.cli.reference.write import require_place, write
from sidecar.cli.terminal import progress_bar, tell
from sidecar.reference import Profile, ProfileError
from sidecar.reference.profile import load_bins
from sidecar.statistics.season import CYCLES, Season

SUMMARY = "build a profile from data files"
DESCRIPTION = """Build a reference profile from CSV, Parquet or JSON Lines: files, directories or patterns, of any size.
Rows are taken in the order of the files."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA", nargs="+", help="file, directory or pattern such as 'data/*.parquet'")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the profile (default: standard output)")
    add_column_options(parser)
    add_choice_options(parser)
    add_bin_options(parser)
    parser.add_argument(
        "--timestamp", metavar="COL", help="column of the time, for a design effect by windows of the clock"
    )
    add_timestamp_format_option(parser)
    parser.add_argument(
        "--window",
        metavar="DURATION",
        type=_seconds,
        default="1h",
        help="with --timestamp, the window that alerts read, instead of --window-rows (default: %(default)s)",
    )
    parser.add_argument(
        "--season",
        choices=CYCLES,
        help="with --timestamp, count by these hours too, so that nights are compared with nights (default: do not)",
    )
    parser.add_argument(
        "--season-time-zone",
        metavar="ZONE",
        help="with --season, whose clocks say the hour, such as Europe/Berlin (default: UTC)",
    )
    parser.add_argument(
        "--bins-from",
        metavar="FILE",
        type=Path,
        help="count in the bins of this profile, or in those that `reference bins` chose, instead of choosing any",
    )
    parser.add_argument("--model", metavar="NAME", default="", help="name of the model")
    parser.add_argument("--model-version", metavar="VERSION", default="", help="its version")
    parser.add_argument("--source", metavar="TEXT", help="where the data is from (default: names of the files)")


def run(args: argparse.Namespace) -> int:
    """Build, write, and say in one line what was built."""
    require_place(args.output)
    profile = _built(args) if args.bins_from is None else _counted(args)
    write(profile, args.output)
    return 0


def _built(args: argparse.Namespace) -> Profile:
    from sidecar.reference import files

    with progress_bar() as progress:
        return files.build(
            args.data,
            features=args.features,
            prediction=args.prediction,
            probability=args.probability,
            categorical=args.categorical,
            numeric=args.numeric,
            identifier=args.identifier,
            null=args.null,
            decimal=args.decimal,
            bins=args.bins,
            categories=args.categories,
            window_rows=args.window_rows,
            sample_rows=args.sample_rows,
            **_times(args),
            model=args.model,
            model_version=args.model_version,
            source=args.source,
            progress=progress,
            notice=tell,
        )


def _counted(args: argparse.Namespace) -> Profile:
    from sidecar.reference import files

    fixed = ("categorical", "numeric", "identifier", "bins", "categories", "window_rows", "sample_rows")
    chooser = argparse.ArgumentParser()
    add_column_options(chooser)
    add_choice_options(chooser)
    add_bin_options(chooser)
    odd = next((name for name in fixed if getattr(args, name) != chooser.get_default(name)), None)
    if odd is not None:
        raise ProfileError(f"--{odd.replace('_', '-')} does not go with --bins-from, for which bins are chosen already")
    with progress_bar() as progress:
        return files.count(
            args.data,
            load_bins(args.bins_from),
            features=args.features,
            prediction=args.prediction,
            probability=args.probability,
            null=args.null,
            decimal=args.decimal,
            **_times(args),
            model=args.model,
            model_version=args.model_version,
            source=args.source,
            progress=progress,
            notice=tell,
        )


def _times(args: argparse.Namespace) -> dict[str, Any]:
    if args.season_time_zone is not None and args.season is None:
        raise ProfileError("--season-time-zone goes with --season")
    season = None
    if args.season is not None:
        season = Season(cycle=args.season, time_zone="UTC" if args.season_time_zone is None else args.season_time_zone)
    return {
        "timestamp": args.timestamp,
        "timestamp_format": args.timestamp_format,
        "window_seconds": args.window,
        "season": season,
    }


def _seconds(text: str) -> float:
    from sidecar.base.duration import Duration

    try:
        seconds = Duration(text).seconds
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not at least 1s")
    return seconds
