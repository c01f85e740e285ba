"""The state of every model, from events to numbers that can be read at any time.

1. `traffic`              predictions, errors and latency, per window
2. `comparison`           counts per bin against a reference, per window
3. `pending_predictions`, `label_join`  predictions that wait for their label, and what the labels say
4. `model`                one model: its traffic, labels, and the comparison or the learning of a reference
5. `event_buffer`         events of several bodies, which wait to be counted together
6. `monitor`              the one owner of all models, and of the counters of what came and was refused
7. `status`               storage and exposition of the sidecar itself
"""
