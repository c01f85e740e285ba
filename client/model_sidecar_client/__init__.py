"""Send prediction events from an application, without ever holding it up; imports the standard library alone.

In the order to read it: `monitor` (the queue and its thread), `encode` (events to bodies), `transport` (bodies to the
sidecar), `sender` (what is tried again and what is counted), `measurement` (latency and failure of a block),
`middleware` (of a request) and `wrapper` (of a model's `predict`).
"""

from sidecar.client.counts import Stats
from sidecar.client.middleware import MonitorASGI, MonitorWSGI
from sidecar.client.monitor import Monitor
from sidecar.client.wrapper import monitored

__all__ = ["Monitor", "MonitorASGI", "MonitorWSGI", "Stats", "monitored"]
