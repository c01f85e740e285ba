"""Files that people name: pipes, devices, directories and files without end are refused in a sentence, at once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.base.configfile import MOST_BYTES
from tests.plugins.programs import model_sidecar


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)


ODD = pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pipe, "it is not a regular file"),
        (device, "it is not a regular file"),
        (folder, "Is a directory"),
        (endless, f"it has more than {MOST_BYTES} bytes"),
    ],
)


@ODD
def test_a_configuration_that_is_no_file_of_text_is_refused(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "odd.yml"
    make(path)
    for arguments in (["check-config", str(path)], ["serve", f"--config.file={path}"], ["rules", f"--config={path}"]):
        finished = model_sidecar(*arguments)
        assert finished.returncode == 1
        assert finished.stderr.strip().splitlines()[-1] == f"model-sidecar: {path}: {reason}"


def test_a_reference_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "reference.json")
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: fraud, reference: reference.json}]\n", encoding="utf-8")
    finished = model_sidecar("check-config", str(config))
    assert finished.returncode == 1
    assert f"models[0].reference: {tmp_path}/reference.json: it is not a regular file" in finished.stderr
