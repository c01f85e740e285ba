"""Profiles from data files of any size: CSV, Parquet, JSON Lines."""

from sidecar.reference.files.build import build, count, summarize

__all__ = ["build", "count", "summarize"]
