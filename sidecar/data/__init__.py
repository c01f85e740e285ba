"""Data files: CSV, Parquet and JSON Lines of any size, read through DuckDB.

`files` says which files are meant and how each is read, `table` reads them as one table, a batch at a time.
Needs the extra `reference`.
"""
