"""Options that say what to read from data files, for the commands that read them."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.data.kinds import Writing


def names(text: str) -> list[str]:
    """Read names that commas separate; a name that holds one is quoted as in CSV."""
    import csv

    found = [name for row in csv.reader([text], skipinitialspace=True) for name in row]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names such as a,b,c")
    return found


def add_column_options(parser: argparse.ArgumentParser, *, kinds: bool = True) -> None:
    """Declare which columns are read, and, but for data whose `kinds` a profile tells, how."""
    parser.add_argument(
        "--features",
        metavar="A,B,C",
        type=names,
        help="columns that are inputs of the model (default: all that are not named otherwise)",
    )
    parser.add_argument("--prediction", metavar="COL", help="column of the model's prediction")
    parser.add_argument("--probability", metavar="COL", help="column of its probability, in [0, 1]")
    if kinds:
        parser.add_argument(
            "--categorical",
            metavar="A,B",
            type=names,
            default=[],
            help="columns whose numbers are names of categories, such as codes",
        )
    parser.add_argument(
        "--null",
        metavar="TEXT",
        action="append",
        default=[],
        help="a text that means missing, such as NA; may be given more than once",
    )
    parser.add_argument(
        "--decimal",
        choices=(".", ","),
        default=".",
        help="mark of decimals in CSV; with a comma, points or spaces may group digits (default: %(default)s)",
    )


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Declare which columns are of another kind than their values suggest, or no features."""
    parser.add_argument(
        "--numeric",
        metavar="A,B",
        type=names,
        default=[],
        help="columns that are numbers, such as a prediction of few whole ones, which would be taken for classes",
    )
    parser.add_argument("--id", dest="identifier", metavar="COL", help="column that tells rows apart: no feature")


def add_timestamp_format_option(parser: argparse.ArgumentParser) -> None:
    """Declare how times are written."""
    parser.add_argument(
        "--timestamp-format",
        metavar="FORMAT",
        help="how the times are written, as for strptime, such as '%%d/%%m/%%Y %%H:%%M' (default: as in ISO 8601)",
    )


def writing(args: argparse.Namespace) -> "Writing":
    """Return what these options say."""
    from sidecar.data.kinds import Writing

    return Writing(nulls=tuple(args.null), decimal=args.decimal, times=getattr(args, "timestamp_format", None))


def add_bin_options(parser: argparse.ArgumentParser) -> None:
    """Declare how bins are chosen."""
    add_size_options(parser)
    add_sample_options(parser)


def add_size_options(parser: argparse.ArgumentParser) -> None:
    """Declare how many bins there are."""
    parser.add_argument(
        "--bins", metavar="N", type=int, default=10, help="bins of a numeric feature (default: %(default)s)"
    )
    parser.add_argument(
        "--categories", metavar="N", type=int, default=50, help="categories kept apart (default: %(default)s)"
    )


def add_sample_options(parser: argparse.ArgumentParser) -> None:
    """Declare which rows are looked at together."""
    parser.add_argument(
        "--window-rows",
        metavar="N",
        type=int,
        default=1000,
        help="rows in a typical window of live traffic, for the design effect (default: %(default)s)",
    )
    parser.add_argument(
        "--sample-rows",
        metavar="N",
        type=int,
        default=200_000,
        help="rows that bins are chosen from at the most; counts are of all (default: %(default)s)",
    )
