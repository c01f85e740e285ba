"""`model-sidecar reference summarize`."""

import argparse
from pathlib import Path

import msgspec

from sidecar.cli.reference.data import add_choice_options, add_column_options, add_sample_options
from sidecar.cli.reference.write import require_place, to_file
from sidecar.cli.terminal import progress_bar, tell

SUMMARY = "summarize a part of the data, to agree on bins with other parts"
DESCRIPTION = """Summarize a part of the data that is on this machine: at most 4,096 points of every column, from which
`reference bins` chooses bins for all parts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("data", metavar="DATA", nargs="+", help="file, directory or pattern such as 'data/*.parquet'")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the summary")
    add_column_options(parser)
    add_choice_options(parser)
    add_sample_options(parser)


def run(args: argparse.Namespace) -> int:
    """Summarize and write."""
    require_place(args.output)
    from sidecar.reference import files

    with progress_bar() as progress:
        summary = files.summarize(
            args.data,
            features=args.features,
            prediction=args.prediction,
            probability=args.probability,
            categorical=args.categorical,
            numeric=args.numeric,
            identifier=args.identifier,
            null=args.null,
            decimal=args.decimal,
            window_rows=args.window_rows,
            sample_rows=args.sample_rows,
            progress=progress,
            notice=tell,
        )
    to_file(args.output, lambda path: path.write_bytes(msgspec.json.encode(summary)))
    tell(f"{args.output}: {len(summary.columns)} columns of {summary.rows} rows")
    return 0
