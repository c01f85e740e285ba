"""Metrics as Prometheus reads them.

1. `metric`       what a metric is; `model_metrics`, `label_metrics`, `sidecar_metrics`, all together `catalogue`
2. `samples`      numbers to lines, a slice at a time
3. `text`         families to text 0.0.4 and OpenMetrics 1.0
4. `negotiation`  which of them, and which encoding, a request accepts
"""
