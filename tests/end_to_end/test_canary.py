"""Two versions serve side by side: a real Prometheus tells candidate from stable, and so do queries of controllers."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import numpy as np
import pytest
import yaml

from demo.stack import MissingProgram, Stack, monitoring
from sidecar.alerting.rules.policy import ALERTS
from sidecar.statistics import drift
from tests.alerting.rules.promtool import RULES
from tests.paths import DATA
from tests.plugins.serving import event, fraud_config, post
from tools.process import SidecarProcess, sidecar

DELIVERY = RULES / "progressive-delivery"
CRDS = DATA / "delivery_crds"
SETTINGS: dict[str, Any] = {
    "drift": {"interval": "1s", "windows": ["10s", "1m"], "alert_window": "1m", "slices": 2},
    "service": {"interval": "1s"},
    "objectives": {"interval": "1s"},
    "health": {"interval": "1s"},
    "canary": {"window": "10m"},
    "alerts": {name: {"for": "1s"} for name, policy in ALERTS.items() if policy.for_ is not None},
}
START = np.array([0])


def events(number: int, *, amount: Callable[[int], float], failures: int, latency_ms: float) -> list[dict[str, Any]]:
    return [
        event(
            features={"amount": amount(i), "merchant": ("visa", "amex", "discover")[i % 3]},
            error=i % 100 < failures,
            latency_ms=latency_ms,
        )
        for i in range(number)
    ]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path]]:
    """Serve 1 event of a candidate whose amounts moved for every 9 of stable, until every record is there."""
    directory = tmp_path_factory.mktemp("canary")
    with ExitStack() as running:
        both: dict[str, SidecarProcess] = {}
        for track in ("stable", "canary"):
            own = directory / track
            own.mkdir()
            both[track] = running.enter_context(sidecar(own, config=fraud_config(own), web=1))
        addresses = {track: urlsplit(process.web_urls[0]).netloc for track, process in both.items()}
        try:
            stack = running.enter_context(
                monitoring(
                    directory,
                    dict.fromkeys(addresses.values(), "models"),
                    SETTINGS,
                    tracks={address: track for track, address in addresses.items()},
                )
            )
        except MissingProgram as missing:
            pytest.fail(f"programs are missing; run: {missing}")
        stack.wait("both to be scraped", lambda: stack.value("count(model_reference_info)") == 2, seconds=60)

        def sent() -> bool:
            post(both["stable"].url, events(450, amount=lambda i: i % 100, failures=2, latency_ms=20))
            post(both["canary"].url, events(50, amount=lambda i: (i * 2) % 60, failures=10, latency_ms=90))
            names = ("candidate_observations", "stable_observations")
            seen = [stack.value(f'max(model_feature:{name}:increase10m{{feature="amount"}})') for name in names]
            return all(number is not None and number > 600 for number in seen)

        stack.wait("600 events of each", sent, seconds=90)
        alerts = 'count(ALERTS{alertstate="firing", alertname=~"Candidate(DataDrift|HighErrorRate)"})'
        stack.wait("the alerts", lambda: stack.value(alerts) == 2, seconds=60)
        yield stack, directory / "rules" / "progressive-delivery"


def by_bin(stack: Stack, record: str, at: float) -> dict[str, float]:
    found = stack.query(f'{record}{{role="input", feature="amount"}} @ {at!r}')
    return {series["metric"]["bin"]: float(series["value"][1]) for series in found}


def test_psi_of_two_live_sidecars_equals_the_statistics_of_the_sidecar(serving: tuple[Stack, Path]) -> None:
    stack, _ = serving
    [result] = stack.query('timestamp(model_feature:candidate_drift_psi:ratio10m{feature="amount"})')
    at = float(result["value"][1])
    c, s = (by_bin(stack, f"model_feature_bin:{side}_observations:increase10m", at) for side in ("candidate", "stable"))
    assert set(c) == set(s) == {*(f"{i:02d}" for i in range(10)), "missing"}
    candidate, stable = (np.array([side[name] for name in sorted(c)]) for side in (c, s))
    reference = drift.reference_shares(stable, START)
    live = drift.live_shares(candidate, reference, START)
    psi = stack.value(f'model_feature:candidate_drift_psi:ratio10m{{feature="amount"}} @ {at!r}')
    assert psi == pytest.approx(float(drift.psi(live, reference, START)[0]), rel=1e-9)
    least = stack.value(f'model_feature:candidate_drift_psi_threshold:ratio10m{{feature="amount"}} @ {at!r}')
    factor = stack.value('max(model_drift_significance_factor{feature="amount"})')
    assert factor is not None
    assert least == pytest.approx(factor * (1 / candidate.sum() + 1 / stable.sum()), rel=1e-9)


def test_what_was_recorded_is_what_the_sidecars_counted(serving: tuple[Stack, Path]) -> None:
    stack, _ = serving
    for side, track in (("candidate", "canary"), ("stable", "stable")):
        recorded = stack.query(f'model_feature_bin:{side}:ratio10m{{feature="amount"}}')
        counted = stack.query(f'model_bin_observations_total{{feature="amount", track="{track}"}}')
        shares = {series["metric"]["bin"]: float(series["value"][1]) for series in counted}
        total = sum(shares.values())
        for series in recorded:
            assert float(series["value"][1]) == pytest.approx(shares[series["metric"]["bin"]] / total, abs=0.01)


def test_only_the_candidate_and_what_moved_is_alarmed(serving: tuple[Stack, Path]) -> None:
    stack, _ = serving
    firing = stack.query('ALERTS{alertstate="firing", alertname=~"Candidate.*"}')
    found = {(series["metric"]["alertname"], series["metric"].get("feature")) for series in firing}
    assert found == {("CandidateDataDrift", "amount"), ("CandidateHighErrorRate", None)}


EXPECTED = {"data-drift": 1.0, "prediction-drift": 0.0, "errors": 1.0}


def test_the_queries_of_argo_rollouts_tell_good_from_bad_and_from_nothing(serving: tuple[Stack, Path]) -> None:
    stack, written = serving
    [template] = documents(written / "argo-rollouts.analysis-template.yml")
    metrics = {m["name"]: m for m in template["spec"]["metrics"]}
    assert set(metrics) == {f"candidate-{name}" for name in (*EXPECTED, "latency")}
    for name, metric in metrics.items():
        check_answers(stack, name, metric["provider"]["prometheus"]["query"], "{{args.namespace}}", "{{args.model}}")


def test_the_queries_of_flagger_tell_good_from_bad_and_from_nothing(serving: tuple[Stack, Path]) -> None:
    stack, written = serving
    templates = {t["metadata"]["name"]: t["spec"]["query"] for t in documents(written / "flagger.metric-templates.yml")}
    [canary] = documents(written / "flagger.canary.yml")
    assert {m["templateRef"]["name"] for m in canary["spec"]["analysis"]["metrics"]} == set(templates)
    for name, query in templates.items():
        check_answers(stack, name, query, "{{ namespace }}", "{{ variables.model }}")


def check_answers(stack: Stack, name: str, query: str, namespace: str, model: str) -> None:
    def filled(model_name: str) -> str:
        text = query.replace(namespace, "models").replace(model, model_name)
        assert not re.search(r"\{\{|\}\}", text)
        return text

    value = stack.value(filled("fraud"))
    assert value is not None
    if name == "candidate-latency":
        assert value > 2
    else:
        assert value == EXPECTED[name.removeprefix("candidate-")]
    assert stack.query(filled("another")) == []


@pytest.mark.parametrize("path", sorted(DELIVERY.glob("*.yml")), ids=lambda path: path.name)
def test_the_objects_are_allowed_by_the_definitions_of_their_controllers(path: Path) -> None:
    for document in documents(path):
        schema = closed(json.loads((CRDS / f"{document['kind']}.json").read_text()))
        jsonschema.Draft202012Validator(schema).validate(document)
        with pytest.raises(jsonschema.ValidationError, match="unexpected"):
            jsonschema.Draft202012Validator(schema).validate({**document, "spec": {**document["spec"], "odd": 1}})


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def closed(schema: Any) -> Any:
    """Refuse keys that a schema does not name, as the API server does when it is asked to be strict."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made
