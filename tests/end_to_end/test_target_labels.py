"""Labels of a target that have the names of our own: honoured, all is as ever; not honoured, an alert says so."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from sidecar.alerting.rules import names
from sidecar.exposition.catalogue import CATALOGUE
from tests.alerting.rules.promtool import RULES, groups
from tests.end_to_end.test_scrape import Query, prometheus
from tests.plugins.serving import Start, event, fraud_config, post, wait_until

OURS = sorted({label for metric in CATALOGUE if metric.name.startswith("model_") for label in metric.labels})
SHIPPED = [
    "README.md",
    "demo/stack.py",
    "docs/rollback.md",
    "examples/compose/prometheus.yml",
    "helm/model-sidecar/templates/podmonitor.yaml",
]


@pytest.fixture
def query(start: Start, tmp_path: Path) -> Iterator[Query]:
    """Scrape one sidecar by two jobs whose target has every label that is ours; only one of them honours them."""
    process = start(fraud_config(tmp_path), web=1)
    post(process.url, [event(features={"amount": 900.0, "merchant": "visa"})] * 300)
    target = {
        "targets": [urlsplit(process.web_urls[0]).netloc],
        "labels": {"namespace": "prod", **dict.fromkeys(OURS, "of-the-target")},
    }
    jobs = [
        {"job_name": name, "honor_labels": name == "honoured", "static_configs": [target]}
        for name in ("honoured", "renamed")
    ]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": jobs,
    }
    with prometheus(tmp_path / "prometheus", yaml.safe_dump(config)) as ask:
        wait_until(lambda: len(ask("count by (job) (model_drift_psi)")) == 2)
        yield ask


def test_labels_that_hide_ours_are_told_and_honoured_ones_change_nothing(query: Query) -> None:
    alert = next(
        rule
        for group in groups(RULES / "health.alerts.yml")
        for rule in group["rules"]
        if rule.get("alert") == "ModelSidecarLabelsHidden"
    )
    told = {(found["metric"]["job"], found["metric"]["label"]) for found in query(alert["expr"])}
    hidden = {"bin", "feature", "model", "model_version", "range", "reason", "reference", "role", "source", "transport"}
    assert told == {("renamed", label) for label in (*hidden, "window")}
    psi = {job: query(f'model_drift_psi{{job="{job}"}}') for job in ("honoured", "renamed")}
    as_ever = {tuple(found["metric"][label] for label in ("model", "role", "feature")) for found in psi["honoured"]}
    assert ("fraud", "input", "amount") in as_ever
    assert not any("exported_role" in found["metric"] for found in psi["honoured"])
    assert {found["metric"]["role"] for found in psi["renamed"]} == {"of-the-target"}


def test_the_alert_looks_at_every_label_that_rules_read() -> None:
    text = "\n".join(path.read_text() for path in sorted(RULES.glob("*.recording.yml")))
    read = {label for key in (names.BIN, names.MODEL) for label in key.split(", ")} - {"namespace"}
    assert read <= set(OURS)
    assert all(label in text for label in read)
    health = (RULES / "health.alerts.yml").read_text()
    assert all(f'exported_{label}!=""' in health for label in read)


@pytest.mark.parametrize("path", SHIPPED)
def test_every_scrape_that_is_shipped_honours_the_labels(path: str) -> None:
    text = (RULES.parent / path).read_text()
    scrapes = text.count("job_name") + text.count("- port: ")
    honoured = text.count("honor_labels: true") + text.count('"honor_labels": True') + text.count("honorLabels: true")
    assert scrapes == honoured > 0
