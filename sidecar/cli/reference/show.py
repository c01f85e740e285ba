"""`model-sidecar reference show`."""

import argparse
import json
from datetime import UTC
from pathlib import Path
from typing import Any

from sidecar.cli.terminal import bar, bar_chart, console, number, printable
from sidecar.reference import FeatureProfile, NumericProfile, Profile, ProfileError, load

SUMMARY = "show a profile as a table"
DESCRIPTION = "Show a reference profile: a line for each feature, or the bins of one feature."

_BAR_WIDTH = 40
_DAY_HOURS = 24
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a profile")
    parser.add_argument("--feature", metavar="NAME", help="show the bins of this feature or output")
    parser.add_argument("--json", action="store_true", help="print JSON, with the bins of every feature")


def run(args: argparse.Namespace) -> int:
    """Print the table, or JSON."""
    profile = load(args.file)
    features = [f for f in profile.features if args.feature in (None, f.name)]
    if not features:
        have = ", ".join(f.name for f in profile.features)
        raise ProfileError(f"{args.file}: no feature named {args.feature!r}; there are: {have}")
    if args.json:
        told = header(profile) | ({} if profile.season is None else {"season_rows": profile.season_rows})
        print(json.dumps(told | {"features": [described(f) for f in features]}, ensure_ascii=False, indent=2))
    elif args.feature is None:
        _print_features(profile)
    else:
        for feature in features:
            _print_bins(feature)
    return 0


def header(profile: Profile) -> dict[str, Any]:
    """Return what a profile says of itself."""
    return {
        "model": profile.model,
        "model_version": profile.model_version,
        "source": profile.source,
        "created": profile.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "rows": profile.rows,
        "window_rows": profile.window_rows,
        "season": None if profile.season is None else profile.season.cycle,
        "season_time_zone": None if profile.season is None else profile.season.time_zone,
        "fingerprint": profile.fingerprint,
    }


def described(feature: FeatureProfile) -> dict[str, Any]:
    """Return a feature with its bins, for machines."""
    counts, bins = feature.bin_counts(), feature.bins()
    rows = sum(counts)
    told: dict[str, Any] = {"name": feature.name, "role": feature.role}
    if isinstance(feature, NumericProfile):
        told |= {"kind": "numeric", "min": feature.min, "max": feature.max, "mean": feature.mean, "std": feature.std}
    else:
        told["kind"] = "categorical"
    told |= {"missing_ratio": feature.missing / rows, "design_effect": feature.design_effect}
    told["bins"] = [
        {"bin": name, "range": label, "count": count, "ratio": count / rows}
        for name, label, count in zip(bins.names, bins.ranges, counts, strict=True)
    ]
    return told


def _print_features(profile: Profile) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = console()
    facts = {key.replace("_", " "): str(value) for key, value in header(profile).items() if value not in ("", None)}
    for key, value in facts.items():
        out.print(Text(f"{key:<16} {printable(value)}"))
    for line in _season_chart(profile):
        out.print(Text(line))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("feature", "role", "kind"):
        table.add_column(title, overflow="fold")
    table.add_column("missing", justify="right")
    table.add_column("mean ± std, or commonest", overflow="fold")
    table.add_column("design effect", justify="right")
    table.add_column("bins", overflow="fold")
    for feature in profile.features:
        numeric = isinstance(feature, NumericProfile)
        table.add_row(
            Text(printable(feature.name)),
            feature.role,
            "numeric" if numeric else "categorical",
            _percent(feature.missing, profile.rows),
            Text(_typical(feature, profile.rows)),
            f"{feature.design_effect:.4g}",
            bar_chart(list(feature.bin_counts()[:-1])),
        )
    out.print(table)


def _season_chart(profile: Profile) -> list[str]:
    """Draw the rows of every hour, a day a line."""
    if profile.season is None:
        return []
    chart, rows = bar_chart(list(profile.season_rows)), profile.season_rows
    starts = range(0, len(rows), _DAY_HOURS)
    days = _DAYS if len(rows) > _DAY_HOURS else ("all days",)
    lines = [
        f"{day:<9} {chart[i : i + _DAY_HOURS]} {sum(rows[i : i + _DAY_HOURS])}"
        for day, i in zip(days, starts, strict=True)
    ]
    return ["", f"{'hour':<9} {'0     6     12    18':<{_DAY_HOURS}} rows", *lines]


def _typical(feature: FeatureProfile, rows: int) -> str:
    if isinstance(feature, NumericProfile):
        return "" if feature.mean is None else f"{number(feature.mean)} ± {number(feature.std)}"
    if not feature.categories:
        return ""
    count, name = max(zip(feature.counts, feature.categories, strict=True), key=lambda pair: pair[0])
    return f"{printable(name)} {_percent(count, rows)}"


def _print_bins(feature: FeatureProfile) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    counts, bins = feature.bin_counts(), feature.bins()
    rows, most = sum(counts), max(counts)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(f"{feature.role} {printable(feature.name)}"))
    table.add_column("bin")
    table.add_column("range", overflow="fold")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    for name, label, count in zip(bins.names, bins.ranges, counts, strict=True):
        table.add_row(
            name, Text(printable(label)), str(count), _percent(count, rows), bar(count / most, width=_BAR_WIDTH)
        )
    console().print(table)


def _percent(count: int, rows: int) -> str:
    return f"{count / rows:.1%}" if count else "0"
