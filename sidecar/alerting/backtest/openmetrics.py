"""OpenMetrics: what `/metrics` would have said at every scrape of the history, with timestamps, for `promtool`.

`promtool tsdb create-blocks-from openmetrics` makes blocks of it that Prometheus reads. The events go through the same
objects as in a running sidecar, whose clock is the history's.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np

from sidecar.alerting.backtest.counters import scrape_of, scrapes_between
from sidecar.alerting.backtest.history import History, Rows
from sidecar.alerting.backtest.study import Plan
from sidecar.config import Config
from sidecar.events.batch import Batch, Schema
from sidecar.exposition.catalogue import CATALOGUE
from sidecar.exposition.metric import Metric
from sidecar.exposition.text import header, prefix
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState
from sidecar.reports.collector import Collector
from sidecar.statistics.bins import Category, Coded
from sidecar.statistics.season import OFFSETS_SECONDS
from sidecar.statistics.window import PANES

TARGET = {"job": "model-sidecar", "instance": "backtest"}
"""Labels that a scrape would have added, where nothing else is said."""

_OF_THE_PROCESS = "model_sidecar_"


def backfill(history: History, plan: Plan, path: Path, *, labels: Mapping[str, str]) -> int:
    """Write every scrape to a file, and return how many there were.

    One family after the other, and in each one scrape after the other: each family waits in a file of its own, so that
    memory does not grow with the history. Metrics about the process of the sidecar are left out.
    """
    model, scrape = plan.model, plan.scrape_seconds
    begin, end = scrapes_between(history.first, history.last, scrape)
    config = Config(models=(model,))
    start = datetime.fromtimestamp(begin * scrape, UTC)
    monitor = Monitor(config, {model.name: history.profile}, now=begin * scrape, start=start)
    collector = Collector(monitor, LoadState())
    metrics = [metric for metric in CATALOGUE if not metric.name.startswith(_OF_THE_PROCESS)]
    target = TARGET | dict(labels)
    inserted = prefix("", tuple(target), tuple(target.values())).strip("{} ")
    with ExitStack() as stack:
        files = {metric: stack.enter_context(tempfile.TemporaryFile("w+", dir=path.parent)) for metric in metrics}

        def write(number: int) -> None:
            now = number * scrape
            for metric, lines in collector.families(now=now).items():
                if metric in files:
                    files[metric].write(_stamped(lines, inserted, now))

        write(begin)
        done = begin
        shortest = min(window.seconds for window in model.windows) / PANES
        for rows in history.batches():
            for number, piece in _pieces(rows, scrape, shortest):
                while done < number - 1:
                    done += 1
                    write(done)
                batch = _batch(piece, monitor.models[model.name].schema())
                at = float(piece.times[-1])
                monitor.models[model.name].observe(batch, now=at, wall=monitor.wall(at))
        while done < end:
            done += 1
            write(done)
        with path.open("w", encoding="utf-8") as out:
            for metric, file in files.items():
                _append(out, metric, file)
            out.write("# EOF\n")
    return end - begin + 1


def _pieces(rows: Rows, scrape_seconds: int, pane_seconds: float) -> Iterator[tuple[int, Rows]]:
    """Cut rows where a scrape, a pane of the shortest window, or somewhere an hour begins.

    Each piece comes with the scrape that first sees it.
    """
    scrapes = scrape_of(rows.times, scrape_seconds)
    panes, quarters = np.floor(rows.times / pane_seconds), np.floor(rows.times / OFFSETS_SECONDS)
    cuts = np.flatnonzero((np.diff(scrapes) != 0) | (np.diff(panes) != 0) | (np.diff(quarters) != 0)) + 1
    for first, after in zip([0, *cuts.tolist()], [*cuts.tolist(), rows.times.size], strict=True):
        yield int(scrapes[first]), rows.picked(slice(first, after))


def _batch(rows: Rows, schema: Schema) -> Batch:
    number = rows.times.size
    numeric = [np.asarray(rows.columns[key]) for key in schema.numeric]
    categorical: list[Sequence[Category]] = []
    for key in schema.categorical:
        column = rows.columns[key]
        categorical.append(column if isinstance(column, Coded) else (None,) * number)
    seconds = rows.latency_seconds
    return Batch(
        schema=schema,
        events=number,
        errors=0 if rows.errors is None else int(rows.errors.sum()),
        latency_seconds=np.zeros(0) if seconds is None else seconds[~np.isnan(seconds)],
        rows=number,
        numeric=np.array(numeric).reshape(len(numeric), number),
        categorical=categorical,
        unknown=0,
    )


def _stamped(lines: list[str], labels: str, now: int) -> str:
    stamped = []
    for line in lines:
        name, brace, rest = line.partition("{")
        stamped.append(f"{name}{{{labels},{rest} {now}\n" if brace else f"{name} {now}\n")
    return "".join(stamped)


def _append(out: IO[str], metric: Metric, file: IO[str]) -> None:
    if not file.tell():
        return
    out.write(header(metric, openmetrics=True))
    file.seek(0)
    shutil.copyfileobj(file, out, 2**20)
