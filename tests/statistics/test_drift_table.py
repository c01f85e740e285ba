"""The table of statistics: a line in it is all that a statistic takes to be seen everywhere."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.reference import save
from sidecar.statistics.drift_table import STATISTICS, Statistic
from tests import oracle
from tests.plugins.serving import event, fraud_config, fraud_profile, get, post, samples, value
from tests.statistics.hellinger import HELLINGER
from tools.process import started

PROGRAM = [sys.executable, "-m", "tests.statistics.hellinger"]
EVENTS = 400


def output(*arguments: str) -> str:
    """Run a module in the program that has one statistic more."""
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a sidecar with one statistic more, which has seen the same event many times."""
    directory = tmp_path_factory.mktemp("hellinger")
    command = [*PROGRAM, "sidecar", "serve", "--config.file", str(fraud_config(directory))]
    command += ["--ingest.listen-address", "127.0.0.1:0"]
    with started(command, directory / "log", listeners=1) as (_, [address]):
        assert post(f"http://{address}", [event()] * EVENTS).status == 202
        yield f"http://{address}"


def expected() -> float:
    """Return the distance of `merchant`, of which all events have one value, from the smoothed shares of each side."""
    [merchant] = [feature for feature in fraud_profile().features if feature.name == "merchant"]
    counts = merchant.bin_counts()
    r = oracle.reference_shares(counts)
    q = oracle.live_shares([EVENTS * (name == "visa") for name in merchant.bins().ranges], r)
    return math.sqrt(1 - sum(math.sqrt(a * b) for a, b in zip(q, r, strict=True)))


def test_it_is_in_the_drift_report_in_the_order_of_the_table(url: str) -> None:
    features = get(url, "/drift?model=fraud").json()["models"]["fraud"]["features"]
    [merchant] = [entry for entry in features if entry["feature"] == "merchant"]
    window = merchant["windows"]["5m"]
    assert window["hellinger"] == pytest.approx(expected(), rel=1e-9)
    assert list(window)[:6] == ["psi", "kl", "js", "ks", "threshold", "hellinger"]


def test_it_is_in_the_schema_of_that_report(url: str) -> None:
    window = get(url, "/openapi.json").json()["components"]["schemas"]["WindowDrift"]
    assert window["properties"]["hellinger"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert "hellinger" in window["required"]


def test_it_is_a_gauge(url: str) -> None:
    found = value(samples(url), HELLINGER.metric, feature="merchant", window="5m")
    assert found == pytest.approx(expected(), rel=1e-9)
    assert f"# HELP {HELLINGER.metric} {HELLINGER.help} Absent below" in get(url, "/metrics").text


def test_the_status_page_knows_its_title(url: str) -> None:
    assert '["hellinger","Hellinger"]' in get(url, "/").text


def test_it_is_recorded_for_the_fleet() -> None:
    rules = output("sidecar", "rules")
    for window in ("5m", "1h", "24h"):
        assert f"model_feature:drift_hellinger_distance:ratio{window}" in rules
        assert f"sqrt(model_feature_bin:live:ratio{window} * model_feature_bin:reference:ratio{window})" in rules


def test_a_dashboard_shows_it(tmp_path: Path) -> None:
    output("sidecar", "dashboards", "--output", str(tmp_path))
    text = (tmp_path / "model-feature.json").read_text()
    assert "KL, JS, KS and Hellinger" in text
    assert "model_feature:drift_hellinger_distance:ratio" in text


def test_reference_diff_tells_it(tmp_path: Path) -> None:
    profile = tmp_path / "fraud.profile.json"
    save(fraud_profile(), profile)
    told = json.loads(output("sidecar", "reference", "diff", str(profile), str(profile), "--json"))
    assert all(0 <= feature["hellinger"] < 0.05 for feature in told["features"])
    assert "Hellinger" in output("sidecar", "reference", "diff", str(profile), str(profile))


def test_names_metrics_and_records_are_there_once() -> None:
    for field in ("name", "title", "metric"):
        assert len({getattr(statistic, field) for statistic in STATISTICS}) == len(STATISTICS)
    records = [statistic.record for statistic in STATISTICS if statistic.record]
    assert len(set(records)) == len(records)


def test_a_record_without_an_expression_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^x: a record needs its PromQL expression, and the expression a record$"):
        Statistic(name="x", title="X", words="", formula=HELLINGER.formula, metric="model_x", help="", record="x:ratio")
