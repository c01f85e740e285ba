"""Watch a model's inputs, outputs, latency and errors from beside it, and tell Prometheus.

The pipeline, in the order to read it. Each line is a package that imports only packages named before it:

1. `base`        configuration files, log lines, watched files, long work in slices
2. `http`        what all listeners share
3. `config`      the configuration of `serve`
4. `statistics`  values to bins, bins to windows, windows to PSI, KL, JS and KS
5. `exposition`  metrics as Prometheus reads them, from one catalogue
6. `kubernetes`  two services of their own: `rollback` receives alerts, `inject` adds the sidecar to pods
7. `events`      bytes to validated columns; `data` reads files
8. `reference`   the profile that live traffic is compared with: built from data, or learned
9. `monitor`     the one owner of all counts, a model at a time
10. `storage`    these counts in files, so that they survive a crash
11. `reports`    readings of the monitor as JSON and as Prometheus samples
12. `alerting`   Prometheus rules, the same conditions in one process, and both on past data
13. `serve`      listeners in, reports out, and what puts it together
14. `cli`        commands

`client` is apart from all of it: the library that applications send events with.
"""

__version__ = "0.1.0"
