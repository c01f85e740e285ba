"""The corpus of the fuzzer is taken or refused in our own words, and a short run over each target finds nothing new."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.storage import recovery
from sidecar.storage.checkpoint import decode
from tests.fuzz import state
from tests.fuzz.targets import TARGETS
from tests.paths import ROOT

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
INPUTS = [path for path in sorted(CORPUS.rglob("*")) if path.is_file()]
RUNS = 2000


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_of_the_corpus_is_taken_or_refused_in_our_own_words(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


def test_the_state_that_the_fuzzer_changes_is_one_that_is_taken() -> None:
    for payload in state.real_states():
        recovered = recovery._restore(decode(state.sealed(payload)))
        assert sum(model.traffic.events for model in recovered.monitor.models.values()) in (0, 3)


def test_a_short_run_of_the_fuzzer_breaks_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.one", "all", str(tmp_path), f"-atheris_runs={RUNS}", "-seed=7"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output[-5000:]
    assert f"Done {RUNS} in" in output, output[-5000:]


def test_the_fuzzer_tells_of_what_breaks_a_target(tmp_path: Path) -> None:
    """A target that is broken on purpose: an assertion of the bodies that cannot hold."""
    script = (
        "import atheris, tests.fuzz.targets as t\n"
        "def broken(data):\n    assert b'legitimate' not in data\n"
        "t.TARGETS['bodies'] = broken\n"
        "from tests.fuzz.one import main\n"
        f"main('bodies', {str(tmp_path)!r}, '-atheris_runs={RUNS}')\n"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode != 0
    assert [path.name[:6] for path in tmp_path.glob("crash-*")] == ["crash-"], finished.stdout + finished.stderr
