"""Trust: what the drift alerts say of traffic that is made up, so that what happened in it is known.

`python -m bench.trust` prints false alarms a week without any drift, and how soon a known drift is found, beside what
others would have said at as few false alarms. `python -m bench.trust cells` prints how often the PSI of single windows
exceeds what chance explains.
"""
