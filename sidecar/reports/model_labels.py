"""The labels that every metric of a model begins with."""

from sidecar.monitor.model import Model


def model_labels(model: Model) -> tuple[str, ...]:
    """Return the values of `sidecar.exposition.metric.MODEL` for a model."""
    return (model.name,)
