"""Readings of the monitor for its readers: JSON reports and Prometheus samples.

1. `json_report`    `/drift`, `/latency` and `/quality` as plain objects
2. `collector`      everything that `/metrics` says; `label_samples` has the part about labels
3. `line_prefixes`  the parts of lines that are alike at every scrape, rendered once
"""
