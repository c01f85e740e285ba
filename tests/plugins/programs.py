"""Programs that tests run for real."""

import shutil
import subprocess
import sys

import pytest

TIMEOUT_SECONDS = 60

PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "go": "golang-go",
    "java": "default-jdk-headless",
    "nc": "netcat-openbsd",
    "node": "nodejs",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "systemd-analyze": "systemd",
}


def program(name: str) -> str:
    """Return the path of a program; fails with the command that installs it."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not there; install it with: sudo apt-get install {PACKAGES[name]}")
    return path


def model_sidecar(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    command = [sys.executable, "-m", "sidecar", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
