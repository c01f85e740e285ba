"""Metric: what is said of one family, and the labels that every metric of a model begins with."""

from dataclasses import dataclass
from typing import Literal

MetricType = Literal["counter", "gauge", "histogram"]

MODEL = ("model",)
"""Labels of every metric of a model; `sidecar.reports.model_labels` gives their values."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Describe one metric family: full sample name, type, label names in order, help text."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    help: str
