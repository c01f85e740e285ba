"""Alerts: the Prometheus rules as a product, the same conditions inside one sidecar, and both on past data.

1. `rules`       recording rules, alerts and routes, generated from one set of settings
2. `conditions`  which features and SLOs are beyond a level now, for `GET /alerts`
3. `backtest`    history through the same bins, windows and rules
"""
