"""Directories in memory, where waiting for the disk costs nothing."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with TemporaryDirectory(dir=IN_MEMORY) as name:
        yield Path(name)
