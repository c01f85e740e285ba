"""Two services for a cluster: `rollback` carries out what Alertmanager asks for, `inject` adds the sidecar to pods."""
