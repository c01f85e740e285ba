"""The wire: bytes to validated columns.

1. `batch`         what a batch of events is, and how an event is refused
2. `wire_types`    types to decode into, made from the features of a model
3. `columns`       validated events to columns; `arrow` does it for Arrow streams
4. `decode`        bodies (JSON, NDJSON, columns, MessagePack, Arrow) to batches and refusals
5. `label_decode`  bodies of labels
"""
