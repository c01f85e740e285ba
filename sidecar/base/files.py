"""Read files that people name: regular ones, up to a bound, so that none of them hangs or fills the memory."""

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path, *, most_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises OSError, whose `strerror` says so, where it is a pipe, a device or a directory, or has more bytes.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open a file, without blocking on a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
