"""Rows in the order of a column, in bounded memory: sorted on disk by DuckDB."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sidecar.data.files import DataError, one_sentence


def ordered(batches: Iterable[pa.RecordBatch], column: str, *, memory: str = "1GiB") -> Iterator[pa.RecordBatch]:
    """Sort rows by a column of numbers; rows of one value stay in the order they came.

    What does not fit into `memory` waits in a temporary directory, which is as large as the rows. Raises DataError.
    """
    with tempfile.TemporaryDirectory(prefix="model-sidecar-") as directory:
        place = Path(directory)
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "temp_directory": str(place / "spilled"),
            "preserve_insertion_order": False,
        }
        with duckdb.connect(str(place / "rows.duckdb"), config=config) as connection:
            connection.execute("SET enable_progress_bar = false")
            try:
                yield from _sorted(connection, batches, column)
            except duckdb.Error as error:
                raise DataError(f"rows cannot be put in the order of {column!r}: {one_sentence(error)}") from error


def _sorted(
    connection: duckdb.DuckDBPyConnection, batches: Iterable[pa.RecordBatch], column: str
) -> Iterator[pa.RecordBatch]:
    names: list[str] = []
    seen, begun = 0, False
    for batch in batches:
        names = batch.schema.names
        # Columns are known to DuckDB by their number, as everywhere.
        columns = [*batch.columns, pa.array(np.arange(seen, seen + batch.num_rows))]
        seen += batch.num_rows
        numbered = pa.RecordBatch.from_arrays(columns, names=[f"v{i}" for i in range(len(columns))])
        connection.register("batch", numbered)
        into = "INSERT INTO rows" if begun else "CREATE TABLE rows AS"
        connection.execute(f"{into} SELECT * FROM batch")
        begun = True
        connection.unregister("batch")
    if not names:
        return
    picked = ", ".join(f"v{i}" for i in range(len(names)))
    order = f"v{names.index(column)}, v{len(names)}"
    for batch in connection.sql(f"SELECT {picked} FROM rows ORDER BY {order}").to_arrow_reader(131_072):
        yield batch.rename_columns(names)
