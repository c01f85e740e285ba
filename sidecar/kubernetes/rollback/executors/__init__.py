"""Executors: one file for each way to carry out an action, and `table` to choose among them."""
