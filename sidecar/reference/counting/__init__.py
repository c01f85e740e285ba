"""Rows to counts in agreed bins, and to the design effect that their order or their times show.

1. `counts`     agreed bins, counts and the profile that they make
2. `stretches`, `blocks`, `by_clock`  rows by stretch of the clock, by block of rows, and by slot of a season
3. `design_effects`  how much more these differ than independent rows would
4. `thin`       how much more independent rows differ in bins of few than chi-square says
5. `rows`, `times`   all of it, a batch at a time, for rows without and with times
"""
