"""The image, as far as can be seen without building it; `make image-check` builds it and runs it."""

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.cli import COMMANDS
from tests.paths import ROOT
from tools.image import gather, tree
from tools.image.build import arguments_of
from tools.image.programs import Failed

DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    (name, rest) for name, rest in re.findall(r"^([A-Z]+) (.+)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)
]
LAST = INSTRUCTIONS[max(i for i, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def last(instruction: str) -> list[str]:
    """Return what the last stage says with an instruction."""
    return [rest for name, rest in LAST if name == instruction]


def test_nothing_gets_to_the_builder_but_what_is_copied() -> None:
    first, *others = (ROOT / ".dockerignore").read_text().splitlines()
    assert first == "*"
    sent = {line[1:] for line in others if line.startswith("!")}
    copied = {
        source
        for name, rest in INSTRUCTIONS
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert sent == copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_the_last_stage_begins_with_nothing_and_runs_nothing_as_root() -> None:
    assert last("FROM") == ["scratch AS sidecar"]
    [user] = last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert user == f"{gather.USER}:{gather.USER}"
    assert last("RUN") == []
    for copied in last("COPY"):
        assert copied.startswith("--from=")


def test_the_image_starts_without_a_shell_and_asks_for_health_by_a_command_that_is_there() -> None:
    [entry], [command], [health] = last("ENTRYPOINT"), last("CMD"), last("HEALTHCHECK")
    assert json.loads(entry) == ["/venv/bin/model-sidecar"]
    assert json.loads(command)[0] in COMMANDS
    program, asked = json.loads(health.partition("CMD ")[2])
    assert [program] == json.loads(entry)
    assert asked in COMMANDS


def test_the_labels_say_which_version_and_base_this_is() -> None:
    arguments = arguments_of(DOCKERFILE)
    assert arguments["VERSION"] == __version__
    version = re.fullmatch(r"python:(3\.\d+)-slim-\w+", arguments["PYTHON_IMAGE"])
    assert version is not None
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: {version[1]}" in classifiers
    [labels] = last("LABEL")
    named = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", labels))
    assert named == {"title", "description", "licenses", "version", "revision", "base.name"}


def test_the_command_of_startup_probes_is_in_the_image() -> None:
    probes = [ROOT / "sidecar/kubernetes/inject/additions.py", ROOT / "helm/model-sidecar/templates/_sidecar.tpl"]
    commands = {re.findall(r'command"?: \["?(\w+)"?, "?-S', path.read_text())[0] for path in probes}
    assert commands == {"test"}
    assert "/usr/bin/test" in gather.FILES


def test_files_are_left_out_by_path_and_by_name(tmp_path: Path) -> None:
    for name in (
        "numpy/f2py/a.py",
        "numpy/tests/b.py",
        "numpy/core.py",
        "numpy/core.pyi",
        "f2py/c.py",
        "pip/__init__.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {str(path.relative_to(tmp_path)) for path in gather.wanted(tmp_path, gather.UNUSED_PACKAGES)}
    assert found == {"numpy/core.py", "f2py/c.py"}


def test_the_libraries_of_python_are_found_and_come_with_what_they_are_links_to(tmp_path: Path) -> None:
    libraries = gather.shared_libraries([Path(sys.executable)])
    assert any(path.name.startswith("libc.so") for path in libraries)
    (tmp_path / "from").mkdir()
    (tmp_path / "from/libz.so.1.3").write_text("it")
    (tmp_path / "from/libz.so.1").symlink_to("libz.so.1.3")
    (tmp_path / "from/libz.so").symlink_to(tmp_path / "from/libz.so.1")
    gather.bring(tmp_path / "from/libz.so", tmp_path / "root")
    there = (tmp_path / "root") / (tmp_path / "from").relative_to("/")
    assert sorted(path.name for path in there.iterdir()) == ["libz.so", "libz.so.1", "libz.so.1.3"]
    assert (there / "libz.so.1").read_text() == "it"


def set_user_id(root: Path) -> None:
    (root / "usr/bin/test").chmod(0o4755)


def writable_for_all(root: Path) -> None:
    (root / "usr").chmod(0o777)


def shell(root: Path) -> None:
    shutil.copy("/bin/sh", root / "usr/bin/sh")


def pip(root: Path) -> None:
    (root / "venv/lib/python3.13/site-packages/pip").mkdir(parents=True)


def link_to_nowhere(root: Path) -> None:
    (root / "sbin").symlink_to("usr/sbin")


SPOILED = {
    set_user_id: "/usr/bin/test has mode -rwsr-xr-x",
    writable_for_all: "/usr has mode drwxrwxrwx",
    shell: "/usr/bin/sh is not to be there",
    pip: "/venv/lib/python3.13/site-packages/pip is not to be there",
    link_to_nowhere: "/sbin leads nowhere",
}


@pytest.mark.parametrize(("spoil", "problem"), SPOILED.items())
def test_a_tree_with_something_that_must_not_be_there_fails(
    spoil: Callable[[Path], None], problem: str, tmp_path: Path
) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    shutil.copy("/usr/bin/test", tmp_path / "usr/bin/test")
    (tmp_path / "bin").symlink_to("usr/bin")
    tree.check_tree(tmp_path)
    spoil(tmp_path)
    with pytest.raises(Failed, match=f"^{re.escape(problem)}$"):
        tree.check_tree(tmp_path)


def test_a_tree_with_files_of_the_user_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "USER", os.getuid())
    (tmp_path / "run/model-sidecar").mkdir(parents=True)
    with pytest.raises(Failed, match="/run belongs to the user"):
        tree.check_tree(tmp_path)


def test_bytes_are_told_apart_by_what_they_are_of(tmp_path: Path) -> None:
    packages = "venv/lib/python3.13/site-packages"
    files = {
        f"{packages}/numpy/core.py": 3,
        f"{packages}/numpy/__pycache__/core.pyc": 5,
        f"{packages}/numpy.libs/libopenblas.so": 7,
        f"{packages}/numpy-2.dist-info/METADATA": 11,
        "usr/local/lib/python3.13/abc.py": 13,
        "usr/lib/x/libc.so.6": 17,
        "etc/passwd": 19,
    }
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    assert tree.sizes(tmp_path) == [
        ("certificates and the rest", 19),
        ("Debian's shared libraries", 17),
        ("numpy", 14),
        ("Python and its library", 13),
        ("numpy's OpenBLAS and its Fortran runtime", 7),
        ("bytecode of installed packages", 5),
    ]
