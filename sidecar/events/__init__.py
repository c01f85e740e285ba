"""The wire: bytes to validated columns.

1. `batch`         which columns the events of a model carry, and a batch of them
2. `refusals`      events and bodies that are not taken, and why
3. `wire_types`    types to decode into, made from the features of a model
4. `columns`       validated events to columns; `arrow` does it for Arrow streams
5. `schemas`       the one owner of the schemas of all models, and of the decoders made from them
6. `forms`         one table of the forms that bodies come in
7. `decode`        bodies to batches and refusals; `one_by_one` looks at the events of those with a mistake
8. `label_decode`  bodies of labels
"""
