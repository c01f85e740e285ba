import json
from pathlib import Path

import pytest

from sidecar.cli import main
from tests.kubernetes.rollback.processes import POLICIES


def test_check_says_that_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(POLICIES)

    assert main(["rollback", f"--config.file={path}", "--check"]) == 0
    assert capsys.readouterr().out == f"{path}: OK\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.file={0}/none.yml"], "{0}/none.yml: No such file or directory"),
        (["--config.file={0}/bad.yml"], "{0}/bad.yml: policies: [] is not allowed: at least one policy"),
        (
            ["--config.file={0}/policy.yml", "--kubernetes.mode=none"],
            "{0}/policy.yml: policies[0].dry_run: False is not allowed: without Kubernetes there are only dry runs",
        ),
        (
            ["--config.file={0}/policy.yml", "--web.config.file={0}/none.yml"],
            "{0}/none.yml: No such file or directory",
        ),
        (
            ["--config.file={0}/policy.yml", "--kubernetes.objects={0}/objects.yml"],
            "--kubernetes.objects is for --kubernetes.mode=none",
        ),
        (
            ["--config.file={0}/policy.yml", "--kubernetes.kubeconfig={0}/none"],
            "{0}/none: it is not a kubeconfig file: Configuration file {0}/none not found",
        ),
    ],
)
def test_a_mistake_stops_the_start_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "policy.yml").write_text(POLICIES)
    (tmp_path / "bad.yml").write_text("policies: []")

    assert main(["rollback", *(argument.format(tmp_path) for argument in arguments)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"model-sidecar: {message.format(tmp_path)}"


def test_a_duration_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["rollback", "--config.file=a", "--kubernetes.timeout=soon"])

    assert caught.value.code == 2
    assert "'soon' is not a duration" in capsys.readouterr().err


def test_json_is_yaml_for_the_policies(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"policies": [{"name": "a", "action": "rollback", "namespaces": ["ml"]}]}))

    assert main(["rollback", f"--config.file={path}", "--check", "--kubernetes.mode=none"]) == 0
