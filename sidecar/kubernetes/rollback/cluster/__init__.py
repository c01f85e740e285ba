"""The cluster, as the receiver sees it.

1. `protocol`   the few requests that are made, and how they fail
2. `api`        these requests over HTTP; `manifests` answers them from a file
3. `workload`, `revisions`  what is known of a workload and of its earlier revisions
"""
