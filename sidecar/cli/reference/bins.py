"""`model-sidecar reference bins`."""

import argparse
from pathlib import Path

from sidecar.cli.reference.data import add_size_options
from sidecar.cli.reference.write import require_place, to_file
from sidecar.cli.terminal import tell
from sidecar.reference import save
from sidecar.reference.build import check_options
from sidecar.reference.summary import agree, load_summary

SUMMARY = "choose bins for parts of the data from their summaries"
DESCRIPTION = """Choose bins that suit all parts of the data together, from what `reference summarize` made of each. The
result is a profile without rows, for `reference build --bins-from` on every part."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("summaries", metavar="SUMMARY", nargs="+", type=Path, help="a summary of each part")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the bins")
    add_size_options(parser)


def run(args: argparse.Namespace) -> int:
    """Choose and write."""
    require_place(args.output)
    check_options(bins=args.bins, categories=args.categories, window_rows=1)
    profile = agree([load_summary(path) for path in args.summaries], bins=args.bins, categories=args.categories)
    to_file(args.output, lambda path: save(profile, path))
    tell(f"{args.output}: {profile.source}")
    return 0
