"""Replay: rows of data files sent as prediction events to a running sidecar.

`rows` reads files as columns of events, `send` writes bodies of them and posts these.
"""
