"""Disks that really fail: a small file system of its own where that may be mounted, else limits of the process."""

import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class SmallDisk:
    """A directory that can be filled and made read-only."""

    path: Path
    mounted: bool

    @contextmanager
    def full(self, pid: int) -> Iterator[None]:
        """Leave no room for what the process writes, not even where it removes something."""
        if not self.mounted:
            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
            yield
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
            return
        freed = threading.Event()
        self._fill()
        filling = threading.Thread(target=self._go_on_filling, args=(freed,))
        filling.start()
        try:
            yield
        finally:
            freed.set()
            filling.join()
            (self.path / "filler").unlink()

    def _go_on_filling(self, freed: threading.Event) -> None:
        while not freed.wait(0.003):
            self._fill()

    def _fill(self) -> None:
        with (self.path / "filler").open("ab", buffering=0) as filler:
            for size in (64 * 1024, 4096, 1):
                with suppress(OSError):
                    while True:
                        filler.write(b"\0" * size)

    def forbid_writing(self) -> None:
        """Make it read-only."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)
        else:
            self.path.chmod(0o500)
            (self.path / "kept").chmod(0o500)

    def allow_writing(self) -> None:
        """Undo `forbid_writing`."""
        if self.mounted:
            subprocess.run(["mount", "-o", "remount,rw", self.path], check=True)
        else:
            self.path.chmod(0o700)
            (self.path / "kept").chmod(0o700)


@contextmanager
def small_disk(path: Path, *, mebibytes: int) -> Iterator[SmallDisk]:
    """Make a small disk at `path` for as long as the block takes."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield SmallDisk(path, mounted=False)
        return
    try:
        yield SmallDisk(path, mounted=True)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
