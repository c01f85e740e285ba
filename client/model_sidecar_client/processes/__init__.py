"""Processes that fork and end: `forks` and `process` notice a child, `sigterm` sends what is queued before an end."""
