"""The allocator of the C library: how soon it returns freed memory. Other libraries than glibc go without."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h
_MAPPED_BYTES, _KEPT_BYTES = 4 * 2**20, 6 * 2**20
"""Size from which memory goes back at once, and how much of the rest may wait to be used again.

To take it anew for every body of a megabyte or two would double what such bodies cost.
"""


def return_memory_sooner() -> None:
    """Return freed memory sooner, and share one arena among threads."""
    for option, value in ((_M_MMAP_THRESHOLD, _MAPPED_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_ARENA_MAX, 1)):
        _call("mallopt", option, value)


def trim() -> None:
    """Return the memory that is free now."""
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    found = getattr(ctypes.CDLL(None), function, None)
    if found is not None:
        found(*arguments)
