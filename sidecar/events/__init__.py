"""The wire: bytes to validated columns.

1. `batch`         which columns the events of a model carry, and a batch of them
2. `refusals`      events and bodies that are not taken, and why
3. `wire_types`    types to decode into, made from the features of a model
4. `columns`       validated events to columns; `arrow` does it for Arrow streams
5. `forms`         one table of the forms that bodies come in
6. `decode`        bodies to batches and refusals; `label_decode` does it for labels
"""
