"""Carry out `rollback` and `scale_down` when Alertmanager says so, once, and only where a policy allows it.

The way of a notification, in the order to read it:

1. `web`        the webhook that Alertmanager calls, and what it is answered
2. `payload`    a body to alerts, lenient in what may come and go between versions
3. `policy`     what may be done, where and how often; `quiet` is the hours in which nothing is
4. `respond`    one alert from here on: find, decide, carry out, and again where somebody else was faster
5. `find`       the workload that serves the model, from the `cluster`; `cluster.workload` is what is known of it
6. `history`    what was done to a workload, kept in its annotations
7. `decide`     alert, policy and workload to an action, or none with its reason; `outcome` lists the reasons
8. `executors`  each kind of action: a pure plan, and the requests that carry it out; `claim` for those of two requests
9. `audit`      log line, Kubernetes Event, metrics and `/history` of every decision
10. `service`   puts it together; `cluster.api` and `cluster.manifests` are the clusters it runs against
"""
