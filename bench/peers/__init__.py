"""Other ways of watching a model, measured on the same events, each in a process of its own.

`seed` is a service of the design that this project set out from; the others are libraries from PyPI, in the manner
that their documents show. Those that have no transport are measured in process: nothing is decoded or sent.
"""
