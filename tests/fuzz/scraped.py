"""A scrape of a monitor, read as Prometheus reads it."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState
from sidecar.reports.collector import Collector


def read_back(monitor: Monitor) -> None:
    """Scrape in both formats: each must be read by the parser of its format, to the same series."""
    collector = Collector(monitor, LoadState())
    text, _ = collector.expose("", now=1.0)
    openmetrics, _ = collector.expose("application/openmetrics-text;version=1.0.0", now=1.0)
    families = parse_openmetrics(openmetrics.decode())  # type: ignore[no-untyped-call]
    same = {(s.name, tuple(s.labels.items())) for family in families for s in family.samples}
    assert {(s.name, tuple(s.labels.items())) for family in parse_text(text.decode()) for s in family.samples} == same
