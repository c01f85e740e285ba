"""Notice that files have changed: replaced, written, or swapped by the symbolic link that a mounted ConfigMap hangs on.

The kubelet puts the files of a ConfigMap into a new folder and swaps the link `..data`, through which all of them are
reached, in one step. What a path leads to then is another file, with another inode, which is what is compared here.
Polling costs a few system calls and works on every file system, where notifications of the kernel do not.
"""

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int, int] | int | None
"""Device, inode, size and change time of a file, or the errno if it cannot be read."""


class Watch:
    """Files whose changes are to be noticed."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._stamps = {path: stamp(path) for path in paths}

    def changed(self) -> list[Path]:
        """Return the files that have changed since the last call."""
        now = {path: stamp(path) for path in self._stamps}
        changed = [path for path, before in self._stamps.items() if now[path] != before]
        self._stamps = now
        return changed

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch these files from now on; a file watched before keeps its last known state."""
        self._stamps = {path: self._stamps[path] if path in self._stamps else stamp(path) for path in paths}


def stamp(path: Path) -> Stamp:
    """Return a stamp that changes with the content of a file."""
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    except ValueError:  # it cannot be the name of a file
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
