"""The rules as a product: Prometheus decides and Alertmanager routes, by files generated from one set of
values.

In the order to read it: `settings` and `policy` hold every value; `names` the records; `recording`
computes them, `alerts` decide; `alertmanager` routes; `progressive_delivery` tells controllers of canaries
what to ask; `rule` writes YAML and `files` puts it together.
"""

from sidecar.alerting.rules.files import product, prometheus_rule, rule_groups
from sidecar.alerting.rules.policy import ALERTS
from sidecar.alerting.rules.settings import Settings, load

__all__ = ["ALERTS", "Settings", "load", "product", "prometheus_rule", "rule_groups"]
