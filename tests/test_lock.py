"""`requirements.lock` is what the image installs: pinned, with hashes, and all that pyproject.toml asks for."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
BLOCKS = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
PINNED = [(Requirement(block.partition(" \\")[0]), block) for block in BLOCKS if block.strip()]


def environment(python: str) -> dict[str, str]:
    full = {"python_version": python, "python_full_version": f"{python}.0"}
    return {**full, "sys_platform": "linux", "platform_system": "Linux", "extra": ""}


def version_for(name: str, python: str) -> str | None:
    """Return the version that is installed of a package on Linux."""
    found = [
        str(pin.specifier).removeprefix("==")
        for pin, _ in PINNED
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment(python)))
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_what_the_project_asks_for(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["rollback"])]
    assert len(asked) > 5
    for requirement in asked:
        version = version_for(requirement.name, python)
        assert version is not None, f"{requirement.name} is not there: make lock"
        assert requirement.specifier.contains(version), f"{requirement.name} {version}: make lock"


def test_everything_is_pinned_with_hashes() -> None:
    assert len(PINNED) > 10
    for pin, block in PINNED:
        assert re.fullmatch(r"==[\w.!+]+", str(pin.specifier)), pin
        assert "--hash=sha256:" in block, pin


def test_the_image_installs_the_lock_and_nothing_beside_it() -> None:
    lines = (ROOT / "Dockerfile").read_text().split("FROM build AS demo")[0].splitlines()
    installs = [line.partition("pip install ")[2] for line in lines if "pip install" in line]
    assert installs == ["--no-cache-dir --require-hashes -r requirements.lock", "--no-cache-dir --no-deps ."]


def test_the_image_runs_as_nobody_and_compose_with_a_read_only_file_system() -> None:
    stage = (ROOT / "Dockerfile").read_text().partition(" AS sidecar\n")[2]
    assert "USER 65532:65532" in stage
    compose = (ROOT / "docker-compose.yml").read_text()
    service = compose.partition("  sidecar:\n")[2].partition("\n\n")[0]
    assert "read_only: true" in service
    assert "cap_drop: [ALL]" in service
