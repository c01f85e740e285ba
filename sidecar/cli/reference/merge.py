"""`model-sidecar reference merge`."""

import argparse
from pathlib import Path

from sidecar.cli.reference.write import require_place, write
from sidecar.reference import ProfileError, load
from sidecar.reference.merge import merge, require_different

SUMMARY = "merge profiles of parts of the data that have the same bins"
DESCRIPTION = """Merge the profiles of parts of the data, built with `reference build --bins-from` the same file,
into the profile of all of it. Counts are exact."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("parts", metavar="PROFILE", nargs="+", type=Path, help="the profile of each part")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the profile (default: standard output)")
    parser.add_argument("--source", metavar="TEXT", help="where the data is from (default: sources of the parts)")


def run(args: argparse.Namespace) -> int:
    """Merge and write."""
    require_place(args.output)
    seen: set[Path] = set()
    for path in args.parts:
        if path.resolve() in seen:
            raise ProfileError(f"{path} is named twice: its rows would be counted twice")
        seen.add(path.resolve())
    if args.output is not None and args.output.resolve() in seen:
        raise ProfileError(f"{args.output} is the output and one of the parts: name another output")
    parts, names = [load(path) for path in args.parts], [str(path) for path in args.parts]
    require_different(parts, names)
    profile = merge(parts, names=names, source=args.source)
    write(profile, args.output)
    return 0
