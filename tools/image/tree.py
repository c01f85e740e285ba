"""What is in the image, and what must not be."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from tools.image.programs import Failed

USER = 65532
STATE = "/var/lib/model-sidecar"
SOCKETS = "/run/model-sidecar"

# What nobody needs at run time and what helps an intruder.
TOOLS = (
    "sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "pip", "pip3", "gcc", "cc", "ld", "make", "perl", "tar",
    "curl", "wget", "su", "mount", "strip",
)  # fmt: skip


def check_tree(root: Path) -> None:
    """Look for what must not be in the image; raises Failed."""
    for path in root.rglob("*"):
        status = path.lstat()
        name = path.relative_to(root)
        if stat.S_ISLNK(status.st_mode):
            target = path.readlink()
            if not os.path.lexists(root / target.relative_to("/") if target.is_absolute() else path.parent / target):
                raise Failed(f"/{name} leads nowhere")
            continue
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH | stat.S_IWGRP):
            raise Failed(f"/{name} has mode {stat.filemode(status.st_mode)}")
        if status.st_uid == USER and f"/{name}" not in (STATE, SOCKETS):
            raise Failed(f"/{name} belongs to the user that the sidecar runs as")
        if name.name in TOOLS and status.st_mode & 0o111 and path.is_file():
            raise Failed(f"/{name} is not to be there")
        if name.parts[-2:] == ("site-packages", "pip") or "tests" in name.parts:
            raise Failed(f"/{name} is not to be there")


def sizes(root: Path) -> list[tuple[str, int]]:
    """Return the bytes of each part of the image, the largest first; bytecode is a part of its own."""
    found: dict[str, int] = {}
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        part = _part(path.relative_to(root).parts)
        found[part] = found.get(part, 0) + path.stat().st_size
    return sorted(found.items(), key=lambda item: -item[1])


def _part(names: Sequence[str]) -> str:
    if "site-packages" in names:
        name = names[names.index("site-packages") + 1]
        bytecode = names[-1].endswith(".pyc")
        if name.startswith("numpy.libs"):
            return "numpy's OpenBLAS and its Fortran runtime"
        if bytecode:
            return "bytecode of installed packages"
        return name.partition("-")[0].removesuffix(".py").lower()
    if names[:2] == ("usr", "local"):
        return "bytecode of Python" if names[-1].endswith(".pyc") else "Python and its library"
    if names[0] == "usr" and names[1].startswith("lib"):
        return "Debian's shared libraries"
    return "certificates and the rest"
