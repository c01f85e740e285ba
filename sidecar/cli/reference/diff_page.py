"""A difference as one HTML file that needs nothing from elsewhere and runs no script."""

from collections.abc import Iterator, Sequence
from html import escape

from sidecar import __version__
from sidecar.cli.terminal import number
from sidecar.reference import CategoricalProfile, FeatureProfile, NumericProfile, Profile
from sidecar.reference.difference import Difference, in_common_bins
from sidecar.statistics.bins import CategoricalBins
from sidecar.statistics.drift_table import PSI, THRESHOLD, other_statistics
from sidecar.statistics.levels import LEVELS, UNKNOWN

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #fff; --a: #8c959f;
  --b: #0072b2; --bad: #a33b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --line: #3d444d; --paper: #0d1117;
  --a: #6e7681; --b: #56b4e9; --bad: #ff9a57; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1120px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; overflow-wrap: anywhere; }
.soft { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-size: .85rem; } .number { text-align: right; white-space: nowrap; }
svg { display: block; width: 12rem; height: 1.3rem; } .a { fill: var(--a); } .b { fill: var(--b); }
"""

_JUDGED_BAD = LEVELS[1:]


def page(a: Profile, b: Profile, found: Sequence[Difference]) -> str:
    """Write what differs: a table of all features, and of each the shares of its bins on both sides."""
    title = f"How {_name(b)} differs from {_name(a)}"
    moved = sum(d.level in _JUDGED_BAD for d in found)
    unjudged = sum(d.level == UNKNOWN for d in found)
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{moved} of {len(found)} features moved; {unjudged} could not be judged.</p>",
        *(f'<p class="soft">{side}: {escape(_facts(p))}</p>' for side, p in (("A, the reference", a), ("B", b))),
        _overview(found),
    ]
    for difference in found:
        body += _bins(a, b, difference)
    body.append(f'<p class="soft">Written by model-sidecar {__version__}.</p>')
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _name(profile: Profile) -> str:
    return profile.source or profile.model or "unnamed"


def _facts(profile: Profile) -> str:
    return f"{_name(profile)}, {profile.rows:,} rows, fingerprint {profile.fingerprint}"


def _overview(found: Sequence[Difference]) -> str:
    shown = (PSI, THRESHOLD, *other_statistics())
    rows = []
    for d in found:
        bad = ' class="bad"' if d.level in _JUDGED_BAD else ""
        numbers = [number(d.statistics[s.name]) for s in shown] + [f"{share:.1%}" for share in d.missing]
        rows.append(
            f'<tr><th scope="row">{escape(d.name)}</th><td>{d.role}</td><td{bad}>{d.level}</td>'
            + "".join(f'<td class="number">{value}</td>' for value in numbers)
            + f"<td>{escape(d.note)}</td></tr>"
        )
    titles = [s.title for s in shown] + ["missing A", "missing B"]
    heads = "".join(f'<th scope="col" class="number">{escape(title)}</th>' for title in titles)
    names = "".join(f'<th scope="col">{title}</th>' for title in ("feature", "role", "level"))
    return _scrolling(
        "all features", f'<thead><tr>{names}{heads}<th scope="col">note</th></tr></thead><tbody>{"".join(rows)}</tbody>'
    )


def _scrolling(label: str, table: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table>{table}</table></div>'


def _bins(a: Profile, b: Profile, difference: Difference) -> Iterator[str]:
    """Write the shares of the bins of a feature that both sides have."""
    sides = [_feature(profile, difference) for profile in (a, b)]
    if sides[0] is None or sides[1] is None:
        return
    matched = in_common_bins(sides[0], sides[1])
    if isinstance(matched, str):
        return
    shares = [[count / sum(counts) for count in counts] for counts in matched[:2]]
    most = max(max(side) for side in shares) or 1.0
    rows = []
    for label, share_a, share_b in zip(_labels(sides[0], sides[1]), *shares, strict=True):
        bars = "".join(
            f'<rect class="{side}" y="{y}" width="{100 * share / most:.2f}" height="8"/>'
            for side, y, share in (("a", 0, share_a), ("b", 10, share_b))
        )
        rows.append(
            f'<tr><th scope="row">{escape(label)}</th><td class="number">{share_a:.1%}</td>'
            f'<td class="number">{share_b:.1%}</td>'
            f'<td><svg viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true">{bars}</svg></td></tr>'
        )
    head = (
        '<thead><tr><th scope="col">bin</th><th scope="col" class="number">A</th><th scope="col" class="number">B</th>'
    )
    name = f"{difference.role} {difference.name}"
    yield f"<h2>{escape(name)}: {difference.level}</h2>"
    yield _scrolling(
        f"bins of {name}", f'{head}<th scope="col">A above B</th></tr></thead><tbody>{"".join(rows)}</tbody>'
    )


def _feature(profile: Profile, difference: Difference) -> FeatureProfile | None:
    return next((f for f in profile.features if (f.role, f.name) == (difference.role, difference.name)), None)


def _labels(a: FeatureProfile, b: FeatureProfile) -> tuple[str, ...]:
    """Return what the bins are called in which both are compared."""
    if isinstance(a, NumericProfile) and isinstance(b, NumericProfile):
        return a.bins().ranges
    if isinstance(a, CategoricalProfile) and isinstance(b, CategoricalProfile):
        return CategoricalBins([name for name in a.categories if name in b.categories]).ranges
    return "present", "missing"
