"""Print what the alerts say of traffic that is made up: `python -m bench.trust [--quick] [NAME …]`."""

import argparse
from dataclasses import dataclass, replace

import numpy as np

from bench.trust import cells, peers
from bench.trust.judge import Order, Verdict, reference_of, replay
from bench.trust.streams import BEGIN, Change, Drift, Stream, between, first, generate, retried, shuffled


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Traffic without drift, and a reference of so many days before it, or of the first `rows` of them.

    `mixed` references are built from rows in another order; of `retries`, that share of live events comes twice.
    """

    stream: Stream
    order: Order = "timestamp"
    days: int = 14
    rows: int | None = None
    mixed: bool = False
    retries: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifting:
    """Traffic in which one feature drifts."""

    stream: Stream
    change: Change
    size: float
    rows: int | None = None


NUMBERS = Stream(features=12, per_hour=900)
WANDER = replace(NUMBERS, wander=0.3)
SEASON = replace(NUMBERS, season=0.6)

QUIET = {
    "independent rows": Quiet(stream=replace(NUMBERS, features=40)),
    "500 features, 250/h": Quiet(stream=Stream(features=500, per_hour=250), days=7),
    "daily season": Quiet(stream=SEASON, order="season"),
    "wandering means": Quiet(stream=WANDER),
    "wandering means, by season": Quiet(stream=WANDER, order="season"),
    "both, 400/h, 30 features": Quiet(
        stream=Stream(features=30, per_hour=400, season=0.5, wander=0.25), order="season"
    ),
    "wandering, rows shuffled": Quiet(stream=WANDER, order="file", mixed=True),
    "wandering, learned": Quiet(stream=WANDER, order="file", rows=10_000),
    "season, learned": Quiet(stream=SEASON, order="file", rows=10_000),
    "Zipf, reference of 1,000": Quiet(stream=Stream(features=8, per_hour=1100, kind="zipf"), order="file", rows=1000),
    "Zipf, reference of 10,000": Quiet(
        stream=Stream(features=8, per_hour=1100, kind="zipf"), order="file", rows=10_000
    ),
    "rare categories, reference of 250": Quiet(
        stream=Stream(features=8, per_hour=1100, kind="rare"), order="file", rows=250
    ),
    "zero-inflated, reference of 500": Quiet(
        stream=Stream(features=9, per_hour=1100, kind="zeros"), order="file", rows=500
    ),
    "30 % retries, 350/h": Quiet(stream=Stream(features=10, per_hour=350), retries=0.3),
    "100 % retries, 350/h": Quiet(stream=Stream(features=10, per_hour=350), retries=1.0),
}

DRIFTING = {
    "mean +0.2 sd, 900/h": Drifting(stream=NUMBERS, change="shift", size=0.2),
    "mean +0.2 sd, 6,000/h": Drifting(stream=Stream(features=4, per_hour=6000), change="shift", size=0.2),
    "mean +0.5 sd": Drifting(stream=NUMBERS, change="shift", size=0.5),
    "sd x1.25": Drifting(stream=NUMBERS, change="spread", size=1.25),
    "1 replica of 10 at +2 sd": Drifting(stream=NUMBERS, change="replica", size=0.1),
    "3 % segment at +2 sd": Drifting(stream=NUMBERS, change="segment", size=0.03),
    "5 % nulls, reference of 1,000": Drifting(stream=NUMBERS, change="nulls", size=0.05, rows=1000),
    "5 % nulls, reference of 100,000": Drifting(stream=NUMBERS, change="nulls", size=0.05),
    "40 % nulls": Drifting(stream=NUMBERS, change="nulls", size=0.4),
    "wandering, mean +1 sd": Drifting(stream=WANDER, change="shift", size=1.0),
    "wandering, mean +2 sd": Drifting(stream=WANDER, change="shift", size=2.0),
}

_DAYS_OF_REFERENCE = 7
_DAYS_BEFORE, _HOURS_AFTER = 2, 12


def quiet(case: Quiet, *, weeks: int, seed: int) -> Verdict:
    """Replay weeks without drift."""
    reference_hours = 24 * case.days
    rows = generate(case.stream, hours=reference_hours + weeks * 168, seed=seed)
    given = between(rows, 0, reference_hours)
    if case.rows is not None:
        given = first(given, case.rows)
    if case.mixed:
        given = shuffled(given, seed=seed)
    live = between(rows, reference_hours, reference_hours + weeks * 168)
    if case.retries:
        live = retried(live, case.retries, seed=seed)
    return replay(live, reference_of(given, case.order))


def drifting(case: Drifting, *, seed: int, compared: bool) -> tuple[Verdict, dict[str, float | None]]:
    """Replay two days without drift and half a day with it, which begins at a time that the seed says."""
    since = 24 * (_DAYS_OF_REFERENCE + _DAYS_BEFORE) + seed % 24
    at = BEGIN + since * 3600 + 60 * (7 * seed % 60)
    rows = generate(case.stream, hours=since + 1 + _HOURS_AFTER, seed=seed, drift=Drift(case.change, at, case.size))
    given = between(rows, 0, 24 * _DAYS_OF_REFERENCE)
    if case.rows is not None:
        given = first(given, case.rows)
    live = between(rows, 24 * _DAYS_OF_REFERENCE, since + 1 + _HOURS_AFTER)
    verdict = replay(live, reference_of(given, "timestamp" if case.rows is None else "file"), drift_at=at)
    alarms = round(verdict.alarms_per_week * verdict.weeks)
    return verdict, peers.delays(given, live, at, alarms=alarms) if compared else {}


def _found(delays: list[float | None]) -> str:
    known = [delay for delay in delays if delay is not None]
    return f"{len(known)} of {len(delays)}" + (f", {np.median(known):.0f} min" if known else "")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.trust", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed of each, and no peers")
    parser.add_argument("name", nargs="*", help="part of the name of a case, or cells; all cases without")
    args = parser.parse_args()
    if args.name == ["cells"]:
        cells.main(references=60 if args.quick else 400, windows=200)
        return

    def chosen(name: str) -> bool:
        return not args.name or any(part in name for part in args.name)

    seeds = range(1, 2 if args.quick else 4)
    print("| no drift | false alarms a week | that ask for a rollback | PSI at a fixed 0.25 |\n|---|---|---|---|")
    for name, case in QUIET.items():
        if chosen(name):
            found = [quiet(case, weeks=1, seed=seed) for seed in seeds]
            means = np.mean([(v.alarms_per_week, v.rollbacks_per_week, v.fixed_per_week) for v in found], axis=0)
            print(f"| {name} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |", flush=True)
    if gone := peers.absent():
        print(f"\nNot installed here, and left out: {', '.join(gone)} (`make bench` has them).")
    others = [] if args.quick else [name for name in ("KS", "Evidently", "ADWIN") if name not in gone]
    heads = ["drift", "PSI", "found", "false alarms a week", "PSI at a fixed 0.25", *others]
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for name, change in DRIFTING.items():
        if chosen(name):
            results = [drifting(change, seed=seed, compared=bool(others)) for seed in seeds]
            verdicts = [verdict for verdict, _ in results]
            row = [
                name,
                f"{np.median([v.peak_psi for v in verdicts]):.2f}",
                _found([v.found_minutes for v in verdicts]),
                f"{np.mean([v.alarms_per_week for v in verdicts]):.1f}",
                _found([v.fixed_minutes for v in verdicts]),
                *(_found([delays[other] for _, delays in results]) for other in others),
            ]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
