"""The Grafana dashboards: `model-sidecar dashboards` writes their JSON files.

`boards` says what is shown: `drift`, `feature`, `service`, `health` and `rollbacks` are a dashboard each. They build
panels with `panels` and `look` from the queries of `promql`; `board` adds what all dashboards share, and `files` makes
text of them. Names of records, windows, levels and objectives come from `sidecar.alerting.rules`, so that a site
with other ones can write its own dashboards.
"""
