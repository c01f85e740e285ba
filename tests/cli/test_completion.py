"""Completion in a real bash, as argcomplete sets it up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("model-sidecar re", {"reference", "replay"}),
        ("model-sidecar reference bu", {"build"}),
        ("model-sidecar reference build --timestamp", {"--timestamp", "--timestamp-format"}),
        ("model-sidecar serve --storage", {"--storage.path"}),
        ("model-sidecar serve --log.level d", {"debug"}),
        ("model-sidecar quack --", {"--help"}),
    ],
)
def test_bash_completes_commands_options_and_choices(line: str, completions: set[str]) -> None:
    words = line.split()
    script = f"""
eval "$(register-python-argcomplete model-sidecar)"
COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}; COMP_TYPE=9
_python_argcomplete model-sidecar
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = {"PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=os.environ | path, capture_output=True, text=True, check=False)
    assert completions <= {word.strip() for word in done.stdout.splitlines()}, done.stderr
