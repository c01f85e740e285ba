"""HTTP of all three services: listeners, TLS and passwords, bounds on connections, OpenAPI and JSON."""
