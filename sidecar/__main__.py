"""Run as `python -m sidecar`."""

from sidecar.cli import entry_point

entry_point()
