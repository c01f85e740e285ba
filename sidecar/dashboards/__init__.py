"""The Grafana dashboards: `model-sidecar dashboards` writes their JSON files.

`drift`, `feature`, `service`, `health` and `rollbacks` say what is shown, each of them one dashboard. They build
panels with `panels` and `look` from the queries of `promql`; `board` adds what all dashboards share, and `files` makes
text of them. Names of records, windows, levels and objectives come from `sidecar.alerting.rules`, so that a site
with other ones can write its own dashboards.
"""
