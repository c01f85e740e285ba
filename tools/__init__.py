"""Programs for those who work on model-sidecar."""
