"""What a reload says of the counts that it discards."""

import signal
from pathlib import Path

import pytest

from sidecar.reference import save
from tests.plugins.serving import Start, event, fraud_config, fraud_profile, post, wait_until
from tools.process import SidecarProcess

MODEL = "models:\n  - name: fraud\n    reference: fraud.profile.json\n"
LABELS = "    labels: {}\n"


def reload(process: SidecarProcess, config: Path, text: str) -> list[str]:
    """Load another configuration, and return the lines about what was discarded."""
    config.write_text(text, encoding="utf-8")
    before = process.log.read_text()
    process.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "msg=reloaded" in process.log.read_text()[len(before) :])
    lines = process.log.read_text()[len(before) :].splitlines()
    return [line.partition(" model=")[2] for line in lines if 'msg="counts discarded by the reload"' in line]


@pytest.mark.parametrize(
    ("changed", "discarded"),
    [
        (MODEL + LABELS, []),
        (MODEL + LABELS + "    drift: {min_samples: 5}\n", []),
        (MODEL, ['fraud part=labels reason="labels settings changed"']),
        (
            MODEL + LABELS + "    latency: {buckets: [0.2, 0.7]}\n",
            ['fraud part=traffic reason="latency buckets changed"'],
        ),
        (
            MODEL + LABELS + "    windows: [1h]\n",
            [f'fraud part={part} reason="windows changed"' for part in ("traffic", "labels", "comparison")],
        ),
        (
            MODEL.replace("fraud.profile", "other.profile") + LABELS,
            ['fraud part=comparison reason="reference changed"'],
        ),
        (
            MODEL.replace("    reference: fraud.profile.json\n", "") + LABELS,
            ['fraud part=comparison reason="learn settings changed"'],
        ),
        (
            "models: [{name: churn}]\n",
            [
                f'fraud part={part} reason="the model is no longer configured"'
                for part in ("traffic", "comparison", "labels")
            ],
        ),
    ],
)
def test_a_reload_names_what_it_discards_and_why(
    start: Start, tmp_path: Path, changed: str, discarded: list[str]
) -> None:
    config = fraud_config(tmp_path, LABELS)
    save(fraud_profile(500), tmp_path / "other.profile.json")
    process = start(config)
    assert post(process.url, event()).status == 202
    assert reload(process, config, changed) == discarded


def test_a_reload_says_that_learning_begins_again(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: fraud, learn: {events: 100}}]\n", encoding="utf-8")
    process = start(config)
    assert post(process.url, event()).status == 202
    told = reload(process, config, "models: [{name: fraud, learn: {events: 200}}]\n")
    assert told == ['fraud part=learning reason="learn settings changed"']
