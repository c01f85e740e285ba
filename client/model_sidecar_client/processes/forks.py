"""Whether a process is a fork of another, which every event asks: it must cost next to nothing, as a look at memory."""

from __future__ import annotations

import mmap
import os
import sys

_MADV_WIPEONFORK = 18


class ByPid:
    """Compare the id of the process, by a system call, where the kernel wipes no memory in forks."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int) -> int:
        """Return 1 in the process that made this, and 0 in others."""
        return int(os.getpid() == self._pid)


def mark_process() -> mmap.mmap | ByPid:
    """Return what is 1 at index 0 in this process, and 0 in its forks, also those without Python's hooks."""
    if sys.platform != "linux":
        return ByPid()
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        page.madvise(_MADV_WIPEONFORK)
    except OSError:  # before Linux 4.14
        return ByPid()
    page[0] = 1
    return page
