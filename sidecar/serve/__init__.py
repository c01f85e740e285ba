"""The process that `model-sidecar serve` runs: what it listens on, what it answers, and how it is put together.

1. `operations`, `schemas`  the HTTP interface as a table, and the shapes of its bodies
2. `ingest`                 the way in: HTTP, Unix streams and datagrams
3. `routes`, `page`         the way out: reports, metrics and the status page; `alertmanager` asks what fires,
                            `long_answers` has those wait in line that take long
4. `load`                   configuration with the references it names
5. `options`, `listeners`   what the command line says, and the listeners that it names
6. `reload`                 another configuration for the running process
7. `app`                    builds every object once; owns the clock, signals and tasks
"""
