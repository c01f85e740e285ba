"""Send prediction events from an application, without ever holding it up; imports the standard library alone.

In the order to read it: `client` (what an application calls), `delivery` (the queue and its thread), `wire` (events to
bodies, and bodies to the sidecar), `sender` (what is tried again and what is counted), `processes` (forks, and the
end), `measurement` (latency and failure of a block), `middleware` (of a request) and
`wrapper` (of a model's `predict`).
"""

from model_sidecar_client.client import Client
from model_sidecar_client.counts import Stats
from model_sidecar_client.middleware import MonitorASGI, MonitorWSGI
from model_sidecar_client.wrapper import monitored

__all__ = ["Client", "MonitorASGI", "MonitorWSGI", "Stats", "monitored"]
__version__ = "0.1.0"
