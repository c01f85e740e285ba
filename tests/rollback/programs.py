"""Programs that the tests run for real."""

import shutil

import pytest

_PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager", "alertmanager": "prometheus-alertmanager"}


def program(name: str) -> str:
    """Return the path of a program; fail with the command that installs it where it is not there."""
    found = shutil.which(name) or shutil.which(f"prometheus-{name}")
    if found is None:
        pytest.fail(f"{name} is not installed: sudo apt-get install {_PACKAGES[name]}")
    return found
