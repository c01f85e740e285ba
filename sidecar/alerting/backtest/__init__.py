"""Backtest: what the shipped alerts would have said of timestamped history, before they are switched on.

In the order to read it: `history` reads rows in the order of their times; `counters` counts them as Prometheus would
have scraped them, in the bins of the sidecar; `recorded` does what the recording rules do with counters; `drifts` and
`service` are their results over the whole history; `conditions` and `states` are the alerts; `score` tells false alarms
from found incidents; `tune` looks for settings that keep to a number of false alarms; `study` puts it together.
`report` shows it and writes the settings, `openmetrics` the series themselves.
"""
