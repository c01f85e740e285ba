"""All of it in memory: waiting for the disk would show nothing."""

from tests.plugins.memory import tmp_path

__all__ = ["tmp_path"]
