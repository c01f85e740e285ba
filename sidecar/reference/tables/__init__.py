"""Profiles from tables of an engine that Ibis speaks to: Spark, a warehouse, DuckDB."""

from sidecar.reference.tables.build import build

__all__ = ["build"]
