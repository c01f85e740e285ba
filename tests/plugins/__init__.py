"""Fixtures, a subject a module."""
