"""The quick start of the README, word for word; only the port differs, because it is a free one."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.paths import ROOT
from tests.plugins.programs import program
from tools.process import sidecar

PORT = "127.0.0.1:8000"


def blocks() -> list[tuple[str, str]]:
    """Return language and text of every block of code under "Quick start", in order."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Quick start\n")[2].partition("\n## ")[0]
    return re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", section)


COMMANDS = [text for language, text in blocks() if language == "sh"]
SERVE = COMMANDS[0]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run every block but the one that serves, in order; yields what each printed."""
    program("curl")
    directory = tmp_path_factory.mktemp("quick-start")
    with sidecar(directory) as process:

        def run(text: str) -> str:
            command = text.replace(PORT, process.url.removeprefix("http://"))
            finished = subprocess.run(
                ["/bin/sh", "-ec", command],
                cwd=directory,
                capture_output=True,
                encoding="utf-8",
                timeout=60,
                check=False,
            )
            assert (finished.returncode, finished.stderr) == (0, ""), text
            return finished.stdout

        yield {text: run(text) for text in COMMANDS[1:]}


def test_first_command_serves() -> None:
    assert SERVE == "make serve\n"
    assert "\n\t$(BIN)/model-sidecar serve\n" in (ROOT / "Makefile").read_text()


def test_every_command_prints_something_and_no_error(outputs: dict[str, str]) -> None:
    assert len(outputs) >= 3
    for text, output in outputs.items():
        assert output, text
        assert '"error":' not in output, text


def test_prints_what_the_readme_shows(outputs: dict[str, str]) -> None:
    before, shown = "", 0
    for language, text in blocks():
        if language == "json":
            assert json.loads(outputs[before]) == json.loads(text), before
            shown += 1
        before = text
    assert shown


def test_the_features_that_the_readme_names_are_critical(outputs: dict[str, str]) -> None:
    [drift] = [json.loads(output) for text, output in outputs.items() if text.rstrip().endswith("/drift")]
    levels = {entry["feature"]: entry["level"] for entry in drift["models"]["default"]["features"]}
    section = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.search(r"^((?:`\w+`(?:, | and ))+`\w+`) are `critical`", section, re.MULTILINE)
    assert named
    assert {name: levels[name] for name in re.findall(r"`(\w+)`", named[1])} == dict.fromkeys(levels, "critical")
