"""Benchmarks: each prints medians of several rounds, next to floors measured in the same run."""
