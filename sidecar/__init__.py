"""Watch a model's inputs, outputs, latency and errors from beside it, and tell Prometheus.

The pipeline, in the order to read it:

1. `event`      what a prediction event is, and how one is refused
2. `decode`     bytes (JSON, NDJSON, columnar, MessagePack) to validated columns
3. `bins`       columns to bin numbers; `sketch` does the same for latency
4. `reference`  the profile that live traffic is compared with: built from data, or learned
5. `window`     counts per bin over the last 5 minutes, hour and day
6. `drift`      counts to PSI, KL, JS, KS and the significance threshold
7. `labels`     what turned out to be true, joined to predictions; `quality` has the statistics
8. `monitor`    the one owner of all that state, a `model` at a time
9. `collector`  its readings to Prometheus exposition; `metrics` is the catalogue
10. `listen`, `web`  the way in (loopback) and the way out (read-only)
11. `storage`    the state in files, where it is to survive a crash
12. `app`, `cli`    put together and started

`backtest` takes history through the same bins, windows and rules, to tell what the alerts would have said.

`client` is apart from all of it: the library that applications send events with.
"""

__version__ = "0.1.0"
