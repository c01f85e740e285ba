"""The command line: help, wrong usage, and `check-config`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sidecar.cli import COMMANDS
from sidecar.reference import build, save
from sidecar.statistics.season import Season
from tests.plugins.programs import model_sidecar
from tests.plugins.serving import fraud_config, fraud_profile
from tests.seasons import by_season


def test_help_lists_every_command() -> None:
    finished = model_sidecar("--help")
    assert (finished.returncode, finished.stderr) == (0, "")
    for command, summary in COMMANDS.items():
        assert command in finished.stdout
        assert summary.split()[0] in finished.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    finished = model_sidecar(command, "--help")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"usage: model-sidecar {command} ")
    assert " ".join(COMMANDS[command].split())[1:] in " ".join(finished.stdout.split())


def test_no_command_declares_its_options_with_the_web_server_loaded() -> None:
    """It would read the certificates that the system trusts, before `serve` can do without: 2 MiB."""
    modules = [f"sidecar.cli.{command.replace('-', '_')}" for command in COMMANDS]
    command = [sys.executable, "-c", f"import {', '.join(modules)}, sys; sys.exit('aiohttp' in sys.modules)"]
    assert subprocess.run(command, check=False).returncode == 0


WRONG = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "an unknown command": (["observe"], "invalid choice: 'observe'"),
    "an unknown option": (["serve", "--stowage"], "unrecognized arguments: --stowage"),
    "no value": (["serve", "--config.file"], "argument --config.file: expected one argument"),
    "an unknown level": (["serve", "--log.level=loud"], "argument --log.level: invalid choice: 'loud'"),
    "an unknown format": (["serve", "--log.format=xml"], "argument --log.format: invalid choice: 'xml'"),
    "a file too few": (["check-config"], "name one configuration file: FILE or --config.file"),
    "two files": (["check-config", "a", "--config.file=b"], "name one configuration file: FILE or --config.file"),
    "the beginning of an option": (["serve", "--storage", "x"], "--storage x; did you mean --storage.path?"),
    "a misspelt option": (["serve", "--log.levl=debug"], "--log.levl=debug; did you mean --log.level?"),
    "a misspelt option of a subcommand": (
        ["reference", "build", "x.csv", "--timestmp", "at"],
        "unrecognized arguments: --timestmp at; did you mean --timestamp?",
    ),
    "what is near no option": (["serve", "--quack"], "unrecognized arguments: --quack"),
    "a file too many": (["check-config", "a", "b"], "unrecognized arguments: b"),
}


@pytest.mark.parametrize(("arguments", "error"), WRONG.values(), ids=WRONG)
def test_refuses_wrong_usage_with_status_2_and_the_reason(arguments: list[str], error: str) -> None:
    finished = model_sidecar(*arguments)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert error in finished.stderr.splitlines()[-1]


def test_shows_the_usage_of_the_command_that_was_given_an_unknown_option() -> None:
    assert model_sidecar("serve", "--nope").stderr.startswith("usage: model-sidecar serve ")
    assert model_sidecar("--nope", "serve").stderr.startswith("usage: model-sidecar [-h]")


@pytest.mark.parametrize("option", ["--ingest.listen-address", "--web.listen-address"])
@pytest.mark.parametrize(
    "text", ["", "8000", "localhost", "localhost:", "localhost:http", "127.0.0.1:65536", ":::1", ":²"]
)
def test_refuses_what_is_no_address(option: str, text: str) -> None:
    finished = model_sidecar("serve", f"{option}={text}")
    assert finished.returncode == 2
    sentence = f"argument {option}: {text!r} is not an address such as 127.0.0.1:8000 or :9090"
    assert finished.stderr.splitlines()[-1] == f"model-sidecar serve: error: {sentence}"


@pytest.mark.parametrize("text", ["", "metrics", "/", "/a/", "/a b", "/a?b", "/a#b", "/{a}", "//a", "/é"])
def test_refuses_what_is_no_path(text: str) -> None:
    finished = model_sidecar("serve", f"--web.telemetry-path={text}")
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1].endswith(f"{text!r} is not a path such as /metrics")


def test_check_config_tells_what_a_file_configures(tmp_path: Path) -> None:
    config = fraud_config(tmp_path, "  - {name: new, learn: {events: 500}, windows: [1m, 1h30m]}\n")
    finished = model_sidecar("check-config", str(config))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.splitlines() == [
        f"fraud: 4 features, reference {fraud_profile().fingerprint} of 1000 rows; windows 5m, 1h, 24h",
        "new: learns its reference from 500 events; windows 1m, 1h30m",
        f"{config}: OK",
    ]


def test_check_config_tells_the_season_of_a_reference(tmp_path: Path) -> None:
    config, columns = fraud_config(tmp_path), {"a": ["x", "y"] * 120}
    season = Season(cycle="hour-of-day", time_zone="US/Eastern")
    profile = by_season(build(columns), columns, np.arange(240) % season.slots, season)
    save(profile, tmp_path / "fraud.profile.json")
    told = f"fraud: 1 features, reference {profile.fingerprint} of 240 rows by hour of day in US/Eastern; windows "
    assert model_sidecar("check-config", str(config)).stdout.startswith(told)


BAD = {
    "an unknown key": ("model: []", "there is no such key: `model`"),
    "a wrong type": ("models: [{name: 3}]", "models[0].name: 3: Expected `str`, got `int`"),
    "no model": ("models: []", "models: [] is not allowed: at least one model"),
    "a key twice": ("limits: {}\nlimits: {}", "line 2: the key 'limits' is there twice"),
    "no YAML": ("models: {", "line 1: expected the node content, but found '<stream end>'"),
    "no reference": ("models: [{name: a, reference: none.json}]", "models[0].reference: "),
    "two models of one name": (
        "models: [{name: a}, {name: a}]",
        "models[1].name: 'a' is not allowed: each model has a name of its own",
    ),
    "too many features": ("models: [{name: a, reference: fraud.profile.json}]\nlimits: {features: 1}", "2 features"),
}


@pytest.mark.parametrize(("text", "error"), BAD.values(), ids=BAD)
def test_check_config_says_what_is_wrong_in_one_sentence(tmp_path: Path, text: str, error: str) -> None:
    config = fraud_config(tmp_path)
    config.write_text(text)
    finished = model_sidecar("check-config", str(config))
    assert (finished.returncode, finished.stdout) == (1, "")
    [sentence] = finished.stderr.splitlines()
    assert sentence.startswith(f"model-sidecar: {config}:")
    assert error in sentence


def test_check_config_says_that_there_is_no_file(tmp_path: Path) -> None:
    finished = model_sidecar("check-config", str(tmp_path / "none.yml"))
    assert (finished.returncode, finished.stderr) == (
        1,
        f"model-sidecar: {tmp_path}/none.yml: No such file or directory\n",
    )
