"""`model-sidecar backtest`."""

import argparse
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.reference.data import add_column_options, add_timestamp_format_option, writing
from sidecar.cli.terminal import console, needs_extra, printable, progress_bar, tell, unwritable

if TYPE_CHECKING:
    from sidecar.alerting.backtest.study import Plan, Study
    from sidecar.config import ModelConfig
    from sidecar.reference import Profile

_LABEL = re.compile(r"([a-zA-Z_]\w*)=(.*)", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "history", metavar="HISTORY", nargs="+", help="file, directory or pattern such as 'data/*.parquet'"
    )
    parser.add_argument("--reference", metavar="FILE", type=Path, required=True, help="the profile to compare with")
    parser.add_argument(
        "--config.file", "--config", dest="config", metavar="FILE", type=Path, help="configuration of the sidecar"
    )
    parser.add_argument("--model", metavar="NAME", help="the model of it, of several")
    parser.add_argument("--rules-config", metavar="FILE", type=Path, help="settings of `model-sidecar rules`")
    parser.add_argument(
        "--timestamp", metavar="COL", default="timestamp", help="column of the time (default: %(default)s)"
    )
    add_timestamp_format_option(parser)
    add_column_options(parser, kinds=False)
    parser.add_argument("--latency-ms", metavar="COL", help="column of the latency in milliseconds")
    parser.add_argument("--error", metavar="COL", help="column that is true where the prediction failed")
    parser.add_argument("--since", metavar="TIME", type=_start, help="leave out rows before this time")
    parser.add_argument("--until", metavar="TIME", type=_end, help="leave out rows from this time on")
    parser.add_argument(
        "--incident",
        metavar="FROM..TO",
        type=_incident,
        action="append",
        default=[],
        help="known trouble, such as 2026-02-08..2026-02-09; may be given more than once",
    )
    parser.add_argument(
        "--max-false-alarms-per-week",
        metavar="N",
        type=_not_negative,
        dest="most_per_week",
        help="look for settings by which no drift alert raises more",
    )
    parser.add_argument(
        "--scrape-interval",
        metavar="DURATION",
        type=_whole_seconds,
        default="1m",
        help="how often Prometheus would have scraped (default: %(default)s)",
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write a page of HTML with plots")
    parser.add_argument("--values", metavar="FILE", type=Path, help="write the tuned settings of `model-sidecar rules`")
    parser.add_argument(
        "--helm-values", metavar="FILE", type=Path, help="write what the Helm chart can change, tuned: durations"
    )
    parser.add_argument(
        "--tuned-reference", metavar="FILE", type=Path, help="write the profile with tuned design effects"
    )
    parser.add_argument(
        "--openmetrics", metavar="FILE", type=Path, help="write the metrics of every scrape, for promtool to backfill"
    )
    parser.add_argument(
        "--label",
        metavar="NAME=VALUE",
        type=_label,
        action="append",
        default=[],
        help="label of these series, such as namespace=prod; may be given more than once",
    )


def run(args: argparse.Namespace) -> int:
    """Replay, print what the alerts would have said, and write the files that were asked for."""
    tuned = [o for o in ("values", "helm_values", "tuned_reference") if getattr(args, o) is not None]
    if tuned and args.most_per_week is None:
        tell(f"--{tuned[0].replace('_', '-')} needs --max-false-alarms-per-week")
        return 2
    outputs = (args.report, args.values, args.helm_values, args.tuned_reference, args.openmetrics)
    problem = next((told for path in outputs if path is not None and (told := unwritable(path))), None)
    if problem is not None:
        tell(problem)
        return 1
    with needs_extra():
        return _backtest(args)


def _backtest(args: argparse.Namespace) -> int:
    from sidecar.alerting.backtest import study
    from sidecar.alerting.backtest.history import History, HistoryError, Named
    from sidecar.base.configfile import ConfigError
    from sidecar.data.files import DataError
    from sidecar.reference import ProfileError, load

    try:
        reference = load(args.reference)
        plan = _plan(args, reference)
        with progress_bar() as progress:
            history = History(
                args.history,
                reference,
                Named(
                    timestamp=args.timestamp,
                    features=args.features,
                    prediction=args.prediction,
                    probability=args.probability,
                    latency_ms=args.latency_ms,
                    error=args.error,
                ),
                writing=writing(args),
                since=-math.inf if args.since is None else args.since,
                until=math.inf if args.until is None else args.until,
                progress=progress,
                notice=tell,
            )
            found = study.run(history, plan, progress=progress)
            with found:
                _write(args, found)
                if args.openmetrics is not None:
                    from sidecar.alerting.backtest.openmetrics import backfill

                    scrapes = backfill(history, plan, args.openmetrics, labels=dict(args.label))
                    tell(f"{args.openmetrics}: {scrapes} scrapes")
                _print(found)
    except (ConfigError, DataError, HistoryError, ProfileError) as error:
        tell(printable(str(error)))
        return 1
    except OSError as error:
        tell(printable(f"{error.filename}: {error.strerror}" if error.filename else str(error)))
        return 1
    except KeyboardInterrupt:
        tell("stopped")
        return 1
    return 0


def _plan(args: argparse.Namespace, reference: "Profile") -> "Plan":
    from sidecar.alerting.backtest.score import Incident
    from sidecar.alerting.backtest.study import Plan
    from sidecar.alerting.rules import Settings, load
    from sidecar.base.configfile import ConfigError
    from sidecar.base.duration import milliseconds

    settings = load(args.rules_config) if args.rules_config else Settings()
    shortest = min(settings.drift.windows[0], settings.service.window, settings.objectives.windows[0], key=milliseconds)
    if milliseconds(shortest) < 2000 * args.scrape_interval:
        raise ConfigError(f"--scrape-interval is more than half of the window {shortest}, which would be empty")
    return Plan(
        model=_model(args.config, args.model, reference),
        settings=settings,
        scrape_seconds=args.scrape_interval,
        incidents=[Incident(start, end) for start, end in args.incident],
        most_per_week=args.most_per_week,
    )


def _model(config_file: Path | None, name: str | None, reference: "Profile") -> "ModelConfig":
    from sidecar.base.configfile import ConfigError
    from sidecar.config import ModelConfig, load

    if config_file is None:
        return ModelConfig(name=name or reference.model or "default")
    models = {model.name: model for model in load(config_file).models}
    wanted = name or (next(iter(models)) if len(models) == 1 else reference.model)
    if wanted not in models:
        raise ConfigError(f"{config_file}: no model {wanted!r}; there is: {', '.join(models)} (--model)")
    return models[wanted]


def _write(args: argparse.Namespace, found: "Study") -> None:
    from sidecar.alerting.backtest.report import values
    from sidecar.alerting.backtest.report.page import page
    from sidecar.reference.profile import dump

    files: list[tuple[Path | None, Callable[[], str]]] = [
        (args.report, lambda: page(found)),
        (args.values, lambda: values.rules(found)),
        (args.helm_values, lambda: values.helm(found)),
        (args.tuned_reference, lambda: dump(found.profile()).decode()),
    ]
    for path, text in files:
        if path is not None:
            path.write_text(text(), encoding="utf-8")


def _print(found: "Study") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sidecar.alerting.backtest.report import text

    out = console()
    plan, profile = found.plan, found.comparison.profile
    by_season = "" if profile.season is None else f" by {profile.season}"
    out.print(
        f"{found.rows} rows from {text.moment(found.first)} to {text.moment(found.last)} UTC, "
        f"{found.known.seconds / 604_800:.1f} weeks; reference {profile.fingerprint}{by_season}; "
        f"alerts read {plan.settings.drift.alert_window}, every {plan.settings.drift.interval}"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("alert")
    titles = ["for", "firings", "false a week", "of the time"]
    titles += [f"found {text.moment(i.start)[:10]}" for i in plan.incidents]
    for title in titles:
        table.add_column(title, justify="right")
    if plan.most_per_week is not None:
        table.add_column(f"<= {plan.most_per_week:g}")
    table.add_column("what", overflow="fold")
    for alert, score in found.scores.items():
        cells = [alert, plan.settings.policy(alert).for_ or "", str(score.firings)]
        cells += [f"{score.false_per_week:.2f}", f"{score.firing_share:.1%}"]
        cells += [text.detection(d) for d in score.detections]
        cells += [text.verdict(found, score)] if plan.most_per_week is not None else []
        table.add_row(*cells, Text(printable(text.subjects(score))))
    out.print(table)
    _print_ways(found)
    for note in text.notes(found):
        out.print(Text(printable(note)))


def _print_ways(found: "Study") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sidecar.alerting.backtest.report import text
    from sidecar.alerting.backtest.study import caught, totals

    out = console()
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="What calibration does: all drift alerts", title_justify="left"
    )
    table.add_column("PSI at the level")
    for title in ("false a week", "of the time", "incidents found"):
        table.add_column(title, justify="right")
    for name, scores in found.calibration.items():
        false, share = totals(scores)
        table.add_row(name, f"{false:.2f}", f"{share:.1%}", f"{caught(scores)} of {len(found.plan.incidents)}")
    out.print(table)
    if not found.ways:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Ways to fewer false alarms", title_justify="left")
    for title in ("way", "most false a week", "incidents found", "soonest", "changes"):
        table.add_column(title, overflow="fold")
    for way in found.ways:
        delays = [d for d in way.delays() if d is not None]
        chosen = " *" if way is found.chosen else ""
        table.add_row(
            f"{way.name}{chosen}",
            f"{way.worst():.2f}",
            f"{way.found()} of {len(found.plan.incidents)}",
            ", ".join(text.length(d) for d in delays),
            Text(text.changes(found.plan.settings, way)),
        )
    out.print(table)


def _start(text: str) -> float:
    return _time(text, end=False)


def _end(text: str) -> float:
    return _time(text, end=True)


def _time(text: str, *, end: bool) -> float:
    """Read an ISO time, UTC where it says no zone; a day alone ends with the day."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-02-08 or 2026-02-08T14:30Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if end and re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
        moment += timedelta(days=1)
    return moment.timestamp()


def _incident(text: str) -> tuple[float, float]:
    start, dots, end = text.partition("..")
    if not dots:
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM..TO, such as 2026-02-08..2026-02-09")
    found = (_start(start), _end(end))
    if found[0] >= found[1]:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins")
    return found


def _not_negative(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return number


def _whole_seconds(text: str) -> int:
    from sidecar.base.duration import Duration

    try:
        seconds = Duration(text).seconds
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds < 1 or seconds % 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of whole seconds")
    return int(seconds)


def _label(text: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return found[1], found[2]
