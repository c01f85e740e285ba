"""Arithmetic over arrays: no I/O and no clock; `now` is an argument.

1. `bins`            values to bin numbers; `latency_sketch` does the same for latency
2. `window`          counts of the last 5 minutes, hour and day, as rings of panes
3. `drift`           counts to PSI, KL, JS, KS and the threshold of significance; `drift_table` lists them, and
                    `levels` says how far it has gone
4. `quality`         predictions and labels to accuracy, precision, recall, Brier score, MAE and RMSE
5. `season`          hours of the day or of the week, by the clocks of a time zone
6. `float_columns`, `buffers`  numbers with missing values to arrays; arrays to bytes and back
"""
