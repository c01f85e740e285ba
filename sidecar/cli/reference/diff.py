"""`model-sidecar reference diff`."""

import argparse
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from sidecar.cli.reference.data import add_bin_options, add_choice_options, add_column_options
from sidecar.cli.reference.diff_page import page
from sidecar.cli.reference.show import header
from sidecar.cli.reference.write import require_place, to_file
from sidecar.cli.terminal import console, number, printable, progress_bar, tell
from sidecar.config import DriftConfig
from sidecar.reference import Profile, ProfileError, load
from sidecar.reference.difference import Difference, differences
from sidecar.statistics.drift_table import PSI, THRESHOLD, other_statistics
from sidecar.statistics.levels import LEVELS, UNKNOWN

SUMMARY = "compare two profiles or data sets"
DESCRIPTION = """Compare B with A, feature by feature: the drift that B would show if A were the reference. Each is
a profile, or a data file, directory or pattern. A data set is counted in the bins of the other's profile; of two data
sets, A's profile is built first. Two profiles are compared where their bins agree."""

_PROFILE = re.compile(rb"\s*\{\s*\"version\"\s*:\s*\d+\s*,")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("a", metavar="A", help="the reference: a profile or data")
    parser.add_argument("b", metavar="B", help="what is compared with it: a profile or data")
    add_column_options(parser)
    add_choice_options(parser)
    add_bin_options(parser)
    settings = DriftConfig()
    parser.add_argument(
        "--alpha",
        metavar="P",
        type=float,
        default=settings.alpha,
        help="chance of a PSI above the threshold without drift (default: %(default)s)",
    )
    parser.add_argument(
        "--min-samples",
        metavar="N",
        type=int,
        default=settings.min_samples,
        help="rows of B that a level needs (default: %(default)s)",
    )
    parser.add_argument(
        "--fail-level",
        choices=LEVELS[1:],
        help="exit with status 1 if a feature is at this level or above, or could not be judged",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write a page of HTML with the bins of both sides")


def run(args: argparse.Namespace) -> int:
    """Print the table, or JSON, and judge."""
    if not 0 < args.alpha <= 0.5 or args.min_samples < 1:
        tell("--alpha is in (0, 0.5], --min-samples at least 1")
        return 2
    require_place(args.report)
    a, b = _both(args)
    settings = DriftConfig(alpha=args.alpha, min_samples=args.min_samples)
    found = differences(a, b, settings)
    if args.json:
        print(json.dumps(_document(a, b, found), ensure_ascii=False, indent=2))
    else:
        _print(a, b, found)
    if args.report is not None:
        to_file(args.report, lambda path: path.write_text(page(a, b, found), encoding="utf-8"))
    return _judge(found, args.fail_level)


def _both(args: argparse.Namespace) -> tuple[Profile, Profile]:
    a = load(Path(args.a)) if is_profile(args.a) else None
    b = load(Path(args.b)) if is_profile(args.b) else None
    if a is not None and b is not None:
        return _named(a, args.features), _named(b, args.features)
    from sidecar.reference import files

    columns = {name: getattr(args, name) for name in ("features", "prediction", "probability", "null", "decimal")}
    choice = {
        name: getattr(args, name)
        for name in ("categorical", "numeric", "identifier", "bins", "categories", "window_rows", "sample_rows")
    }
    with progress_bar() as progress:
        if a is None and b is None:
            a = files.build([args.a], **columns, **choice, progress=progress, notice=tell)
        if a is not None:
            b = files.count([args.b], a, **columns, progress=progress, notice=tell)
        else:
            assert b is not None
            a = files.count([args.a], b, **columns, progress=progress, notice=tell)
    # Inputs that were not asked for are left out; an output that the data lacks stays, and cannot be judged.
    inputs = {f.name for f in a.inputs} & {f.name for f in b.inputs}
    return _asked(a, inputs), _asked(b, inputs)


def is_profile(name: str) -> bool:
    """Tell a profile from data: a JSON file that begins with the version of a profile."""
    path = Path(name)
    if not path.is_file() or path.suffix != ".json":
        return False
    with path.open("rb") as file:
        return name.endswith(".profile.json") or bool(_PROFILE.match(file.read(4096)))


def _named(profile: Profile, features: list[str] | None) -> Profile:
    if features is None:
        return profile
    for name in features:
        if name not in (f.name for f in profile.inputs):
            have = ", ".join(f.name for f in profile.inputs)
            raise ProfileError(f"no feature named {name!r} in {profile.source!r}; there are: {have}")
    return _asked(profile, features)


def _asked(profile: Profile, inputs: Collection[str]) -> Profile:
    kept = tuple(f for f in profile.features if f.role == "output" or f.name in inputs)
    return msgspec.structs.replace(profile, features=kept)


def _document(a: Profile, b: Profile, found: list[Difference]) -> dict[str, Any]:
    features = [
        {
            "role": d.role,
            "name": d.name,
            "level": d.level,
            **d.statistics,
            "missing_ratio": {"a": d.missing[0], "b": d.missing[1]},
            "note": d.note,
        }
        for d in found
    ]
    return {"a": header(a), "b": header(b), "features": features}


def _print(a: Profile, b: Profile, found: list[Difference]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = console()
    for side, profile in (("A", a), ("B", b)):
        of = f"{profile.source or profile.model or 'unnamed'}, {profile.rows} rows, {profile.fingerprint}"
        out.print(Text(f"{side}  {printable(of)}"))
    if a.season is not None or b.season is not None:
        out.print("All hours are compared together: what a profile has by season plays no part here.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("feature", "role", "level"):
        table.add_column(title, overflow="fold")
    shown = (PSI, THRESHOLD, *other_statistics())
    for title in (*(statistic.title for statistic in shown), "missing A", "missing B"):
        table.add_column(title, justify="right")
    table.add_column("note", overflow="fold")
    for d in found:
        statistics = [number(d.statistics[statistic.name]) for statistic in shown]
        shares = [f"{share:.1%}" if share else "0" for share in d.missing]
        table.add_row(Text(printable(d.name)), d.role, d.level, *statistics, *shares, d.note)
    out.print(table)


def _judge(found: list[Difference], fail_level: str | None) -> int:
    if fail_level is None:
        return 0
    failing = LEVELS[LEVELS.index(fail_level) :]
    drifted = [d.name for d in found if d.level in failing]
    unjudged = [d.name for d in found if d.level == UNKNOWN]
    if drifted:
        tell(f"{fail_level} drift or worse: {printable(', '.join(drifted))}")
    if unjudged:
        tell(f"could not be judged: {printable(', '.join(unjudged))}")
    return 1 if drifted or unjudged else 0
