"""Readings of the monitor for its readers: JSON reports and Prometheus samples.

1. `drift_report`, `latency_report`, `quality_report`  the JSON of `/drift`, `/latency` and `/quality`;
                    `drift_body` has the structs of the first, `report` what all share
2. `collector`      everything that `/metrics` says; `label_samples` has the part about labels
3. `line_prefixes`  the parts of lines that are the same at every scrape, rendered once; `model_labels`
                    has the labels of a model that they begin with
"""
