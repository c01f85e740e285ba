"""The directory of the state: whose it is, the names of its files, and which of them are set aside."""

import fcntl
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sidecar.base.log import Log

log = Log("sidecar.storage")

KEPT_ASIDE = 3
"""Times at which files were set aside whose files are kept; those of older ones are removed."""

_SEGMENT = re.compile(r"journal-(\d{12})")
_ASIDE = re.compile(r"(?:state|journal-\d{12})\.set-aside-(\S+)")


class StorageError(OSError):
    """The directory cannot be used by this process, ever; the message says why in one sentence."""


class Directory:
    """Files of one process at a time: `state`, `journal-<number>` and `lock`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state"
        self._lock: int | None = None

    @property
    def acquired(self) -> bool:
        """Whether it is this process's."""
        return self._lock is not None

    def acquire(self) -> None:
        """Make it where it is missing, and keep other processes out.

        Raises StorageError where another process has it or it is no directory, OSError where it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageError(f"--storage.path: {self.path} is not a directory") from error
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise StorageError(f"--storage.path: {self.path} is in use by another process") from error
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def release(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def segment(self, number: int) -> Path:
        """Return the path of a segment."""
        return self.path / f"journal-{number:012d}"

    def segments(self) -> list[int]:
        """Return the numbers of the segments that are there, in order; raises OSError."""
        found = (_SEGMENT.fullmatch(path.name) for path in self.path.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def remove_segments(self, *, before: int | None = None) -> None:
        """Remove the segments with smaller numbers, or all; raises OSError."""
        for number in self.segments():
            if before is None or number < before:
                self.segment(number).unlink(missing_ok=True)

    def set_aside(self, paths: Iterable[Path]) -> None:
        """Rename files, so that they can be looked at later; only those of the last few times are kept.

        Raises OSError.
        """
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        for path in paths:
            with suppress(FileNotFoundError):
                path.rename(path.with_name(f"{path.name}.set-aside-{moment}"))
        aside = [(match[1], path) for path in self.path.iterdir() if (match := _ASIDE.fullmatch(path.name))]
        kept = sorted({moment for moment, _ in aside})[-KEPT_ASIDE:]
        for moment, path in aside:
            if moment not in kept:
                path.unlink(missing_ok=True)
