"""Backfilled blocks in a real Prometheus: the series are there, and the shipped rules make the same drift of them."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sidecar.alerting.backtest.counters import Layout, counted
from sidecar.alerting.backtest.drifts import Drifts, DriftSeries
from sidecar.alerting.backtest.openmetrics import backfill
from sidecar.alerting.backtest.recorded import evaluations
from sidecar.alerting.backtest.study import Study, keys_of, run
from sidecar.alerting.rules import names, product
from tests.alerting.rules.promtool import call, groups
from tests.plugins.programs import program
from tools.process import end

from .support import afternoon, history, plan, prometheus_major

SCRAPE = 15
TIMEOUT_SECONDS = 30


class Prometheus:
    """A server on a directory of blocks, which it reads when it starts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blocks = directory / "data"
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        config, log = self.directory / "prometheus.yml", self.directory / "prometheus.log"
        config.write_text("")
        with log.open("w") as lines:
            process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self.blocks}",
                    "--storage.tsdb.retention.time=100y",
                    "--web.listen-address=127.0.0.1:0",
                    "--log.level=info",
                ],
                stdout=lines,
                stderr=lines,
            )
        try:
            self.url = self._wait_until_ready(process, log)
            yield
        finally:
            end(process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log: Path) -> str:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            found = re.search(r"msg=\"Listening on\".* address=(\S+)", log.read_text())
            if found:
                try:
                    with urllib.request.urlopen(f"http://{found[1]}/-/ready", timeout=TIMEOUT_SECONDS):
                        return f"http://{found[1]}"
                except (urllib.error.URLError, ConnectionError):
                    pass
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def query(self, query: str, at: float) -> list[dict[str, Any]]:
        parameters = urllib.parse.urlencode({"query": query, "time": at})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{parameters}", timeout=TIMEOUT_SECONDS) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    path = afternoon(minutes=70, storm=(35, 50)).lines(tmp_path_factory.mktemp("history") / "events.jsonl")
    with run(history(path), plan(scrape_seconds=SCRAPE)) as study:
        yield study


@pytest.fixture(scope="module")
def prometheus(found: Study, tmp_path_factory: pytest.TempPathFactory) -> Prometheus:
    """The blocks that promtool makes of the history, for a Prometheus."""
    directory = tmp_path_factory.mktemp("prometheus")
    path = afternoon(minutes=70, storm=(35, 50)).lines(directory / "events.jsonl")
    backfill(history(path), found.plan, directory / "history.om", labels={"namespace": "prod"})
    made = call("promtool", "tsdb", "create-blocks-from", "openmetrics", directory / "history.om", directory / "data")
    assert made.returncode == 0, made.stdout + made.stderr
    return Prometheus(directory)


def levels(rules: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Order records so that each comes after what it reads; those of one step do not read each other."""
    reads = {
        r["record"]: {s["record"] for s in rules if re.search(rf"{re.escape(s['record'])}(?![\w:])", r["expr"])}
        for r in rules
    }
    done: set[str] = set()
    steps = []
    while len(done) < len(reads):
        step = [name for name, others in reads.items() if name not in done and others <= done]
        assert step
        steps.append(step)
        done |= set(step)
    return steps


def test_counters_latencies_and_drift_at_the_end_are_those_of_the_events(prometheus: Prometheus, found: Study) -> None:
    columns = afternoon(minutes=70, storm=(35, 50)).columns
    at = found.span.end * SCRAPE
    with prometheus.running():
        [predictions] = prometheus.query("model_predictions_total", at)
        [errors] = prometheus.query("model_prediction_errors_total", at)
        [slow] = prometheus.query('model_latency_seconds_bucket{le="0.1"}', at)
        bins = prometheus.query('model_bin_observations_total{feature="merchant"}', at)
        psi = prometheus.query('model_drift_psi{window="20m",feature="amount"}', at)

    labels = {"namespace": "prod", "job": "model-sidecar", "instance": "backtest", "model": "fraud"}
    assert predictions["metric"] == {"__name__": "model_predictions_total", **labels}
    assert float(predictions["value"][1]) == len(columns["timestamp"])
    assert float(errors["value"][1]) == sum(columns["error"])
    assert float(slow["value"][1]) == (columns["latency_ms"] <= 100).sum()
    counts = {b["metric"]["range"]: float(b["value"][1]) for b in bins}
    merchants = np.array(columns["merchant"])
    assert counts["visa"] == (merchants == "visa").sum()
    assert counts["missing"] == 0
    assert 0 < float(psi[0]["value"][1]) < 5


def test_the_shipped_recording_rules_give_the_drift_of_the_backtest(prometheus: Prometheus, found: Study) -> None:
    directory, settings = prometheus.directory, found.plan.settings
    rules = directory / "drift.recording.yml"
    rules.write_text(product(settings)[Path(rules.name)])
    whole = groups(rules)
    window = settings.drift.alert_window
    wanted = {names.psi(window), names.psi_threshold(window)}
    # Only what the alerts read. The file keeps its name: a group is evaluated at a second that hangs on it.
    needed = _needed([r for group in whole for r in group["rules"]], wanted)
    for step in levels(needed):
        kept = [{**g, "rules": [r for r in g["rules"] if r["record"] in step]} for g in whole]
        rules.write_text(yaml.safe_dump({"groups": [g for g in kept if g["rules"]]}))
        _record(prometheus, rules, found)

    with prometheus.running():
        compared = _compare(prometheus, found, window)
    assert compared > 100


def _needed(rules: list[dict[str, Any]], wanted: set[str]) -> list[dict[str, Any]]:
    needed, before = set(wanted), -1
    while len(needed) != before:
        before = len(needed)
        for rule in [r for r in rules if r["record"] in needed]:
            needed |= {r["record"] for r in rules if re.search(rf"{re.escape(r['record'])}(?![\w:])", rule["expr"])}
    return [r for r in rules if r["record"] in needed]


def _record(prometheus: Prometheus, rules: Path, found: Study) -> None:
    begin, until = found.span.begin * SCRAPE, found.span.end * SCRAPE
    fresh = prometheus.directory / "fresh"
    with prometheus.running():
        made = call(
            *("promtool", "tsdb", "create-blocks-from", "rules", f"--url={prometheus.url}"),
            *(f"--start={begin}", f"--end={until}", f"--output-dir={fresh}", rules),
        )
        assert made.returncode == 0, made.stdout + made.stderr
    for block in fresh.iterdir():
        if block.name != "wal":
            shutil.move(block, prometheus.blocks / block.name)


def _phase(prometheus: Prometheus, record: str, found: Study) -> int:
    """Return at which millisecond of a minute a record is evaluated."""
    [*series] = prometheus.query(f"{record}[20m]", found.span.end * SCRAPE)
    phases = {round(at * 1000) % 60_000 for s in series for at, _ in s["values"]}
    assert len(phases) == 1
    return int(phases.pop())


def _compare(prometheus: Prometheus, found: Study, window: str) -> int:
    """Compare each recorded PSI and threshold with the backtest's; return how many there were."""
    end_of_history = found.span.end * SCRAPE
    base = found.plan.settings.drift.windows[0]
    slices = _phase(prometheus, names.bin_observations_slice(base), found)
    bases = _phase(prometheus, names.bin_observations(base), found)
    series, times = _drift_at(found, slices, window)
    factors = found.comparison.significance_factor
    compared = 0
    for number, key in enumerate(keys_of(found.comparison)):
        least = series.threshold(number, factors[number])
        for record, values in ((names.psi(window), series.psi[number]), (names.psi_threshold(window), least)):
            [recorded] = prometheus.query(f'{record}{{feature="{key.name}"}}[2h]', end_of_history)
            for at, value in recorded["values"]:
                # It reads the last counts of the base window before it, and these the last of the slices.
                before = _at_or_before(_at_or_before(round(at * 1000), bases), slices)
                assert float(value) == pytest.approx(values[times[before]], abs=1e-9), (record, key, at)
                compared += 1
    return compared


def _at_or_before(time: int, phase: int) -> int:
    return (time - phase) // 60_000 * 60_000 + phase


def _drift_at(found: Study, phase: int, window: str) -> tuple[DriftSeries, dict[int, int]]:
    """Evaluate the same history at another millisecond of each minute."""
    span, comparison = found.span, found.comparison
    evaluated = evaluations(span.begin, span.end, scrape=span.scrape, interval=60_000, phase=phase)
    layout = Layout.of(comparison, (0.1,))
    drifts = Drifts(
        comparison,
        found.plan.settings.drift,
        layout,
        evaluated,
        begin=span.begin,
        scrape=span.scrape,
        prometheus=prometheus_major(),
    )
    path = Path(drifts._directory.name) / "events.jsonl"
    again = history(afternoon(minutes=70, storm=(35, 50)).lines(path))
    for scrapes in counted(again.batches(), comparison, layout, scrape_seconds=SCRAPE):
        drifts.add(scrapes.counts)
    one = next(s for s in drifts.series if s.window == window)
    series = DriftSeries(window, evaluated, np.array(one.psi), np.array(one.samples), one.reference_rows)
    del one
    drifts.close()
    return series, {time: i for i, time in enumerate(evaluated.times().tolist())}
