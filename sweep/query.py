"""One SELECT over the tables of studies, read-only: the only file that imports DuckDB.

The tables are read with pyarrow and handed to a database in memory that can reach
neither files, network, extensions nor Python's variables, and whose settings are locked
(`enable_external_access=false` with allowed folders would still let COPY overwrite a
table). Bounded in time and memory, the result's included.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.types as pat

from sweep import files
from sweep.errors import QueryError
from sweep.files import Place
from sweep.tables import TABLES, StudyTables

_SEALED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "python_scan_all_frames": False,
    "temp_directory": "",
    "lock_configuration": True,
}
_ROWS = 65_536  # of a batch of the result


def query(
    folders: Sequence[Place], sql: str, *, seconds: float = 30.0, memory_bytes: int = 10**9
) -> pa.Table:
    """Return the rows of one SELECT over the tables of one or more studies.

    Args:
        folders: of the studies; their tables are joined by column name, and a column that
            a study lacks is null in its rows.
        sql: one SELECT, WITH and FROM-first included, over `TABLES`.
        seconds: how long it may take.
        memory_bytes: how much it may hold, and how large its result may be.

    Raises:
        QueryError: it is not one SELECT, is wrong, reaches beyond the studies, or takes
            too much; the sentence says what there is and what to type.
        StudyError: a study cannot be read.
    """
    if not folders:
        raise QueryError("A query needs at least one study; `sweep ls` lists those there are.")
    words = set(re.findall(r"\w+", sql.lower()))
    names = [name for name in TABLES if name in words] or TABLES
    studies = [
        StudyTables(folder) for folder in {files.absolute(folder): None for folder in folders}
    ]
    run = partial(_run, sql=sql, seconds=seconds, memory_bytes=memory_bytes)
    if len(studies) == 1:
        try:
            return run({name: studies[0].source(name) for name in names})
        except QueryError as error:
            if "IOError" not in str(error.__cause__):
                raise
    return run({name: _joined([study.table(name) for study in studies]) for name in names})


def _run(
    tables: Mapping[str, pa.Table | ds.Dataset], *, sql: str, seconds: float, memory_bytes: int
) -> pa.Table:
    settings = {**_SEALED, "memory_limit": f"{memory_bytes}B"}
    with duckdb.connect(":memory:", config=settings) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        try:
            statement = _one_select(connection, sql)
            with _deadline(connection, seconds):
                return _bounded(connection.sql(statement), memory_bytes)
        except (duckdb.Error, OSError) as error:  # the latter while the result streams
            raise QueryError(_sentence(error, sql, tables, seconds, memory_bytes)) from error


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"A query is one SELECT, and this is {len(statements)} statements.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError(
            f"A query is one SELECT, and this is {statements[0].type.name}. Nothing in a study "
            f"can be changed by SQL. Try: {_EXAMPLE}"
        )
    return statements[0]


_EXAMPLE = "SELECT d, lambd, alpha, accuracy FROM trials ORDER BY accuracy DESC LIMIT 5"


@contextmanager
def _deadline(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt what the connection runs once the time is over."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            # Again and again: an interrupt that falls between two steps is forgotten.
            while not done.wait(0.02):
                connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _bounded(relation: duckdb.DuckDBPyRelation, memory_bytes: int) -> pa.Table:
    """Stream the result in: DuckDB's limit on memory does not count what it hands out."""
    reader = relation.to_arrow_reader(_ROWS)
    batches, held = [], 0
    for batch in reader:
        held += batch.nbytes
        if held > memory_bytes:
            raise QueryError(
                f"The result is larger than {memory_bytes / 1e9:g} GB. Select fewer rows or "
                "columns, for example with LIMIT 1000."
            )
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)


# Tables of several studies -----------------------------------------------------------


def _joined(tables: list[pa.Table]) -> pa.Table:
    """Put tables under each other by column name; a column of several types becomes text."""
    if len(tables) == 1:
        return tables[0]
    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    text = {name for name, kinds in types.items() if not _alike(kinds)}
    return pa.concat_tables(
        [_as_text(table, text) for table in tables], promote_options="permissive"
    )


def _alike(kinds: set[pa.DataType]) -> bool:
    known = {kind for kind in kinds if not pat.is_null(kind)}
    return len(known) <= 1 or known == {pa.int64(), pa.float64()}


def _as_text(table: pa.Table, names: set[str]) -> pa.Table:
    fields = [
        field.with_type(pa.string()) if field.name in names else field for field in table.schema
    ]
    return table.cast(pa.schema(fields))


# What went wrong ---------------------------------------------------------------------


def _sentence(
    error: Exception,
    sql: str,
    tables: Mapping[str, pa.Table | ds.Dataset],
    seconds: float,
    memory_bytes: int,
) -> str:
    text = str(error)
    what = text.partition("\n")[0].partition("Error: ")[2].rstrip(".!") or text
    if "INTERRUPT" in text:
        return f"The query took longer than {seconds:g} s and was stopped. Narrow it with WHERE."
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in text:
        return f"The query needs more than {memory_bytes / 1e9:g} GB. Narrow it with WHERE."
    if isinstance(error, duckdb.PermissionException):
        return f"A query sees the study's tables and nothing else: {', '.join(TABLES)}. ({what}.)"
    if re.search(r"\blambda\b", sql, re.IGNORECASE):
        return f"{what}. The coefficient's column is `lambd`: SQL reserves the word `lambda`."
    if unknown := re.search(r"Table with name (.+) does not exist", text):
        return f"There is no table {unknown[1]!r}. Tables: {', '.join(TABLES)}."
    if re.search(r'column "[^"]*" not found|not have a column', text):
        columns = "; ".join(f"{name}: {', '.join(t.schema.names)}" for name, t in tables.items())
        return f"{what}. Columns of {columns}."
    return f"{what}. Tables: {', '.join(TABLES)}. Try: {_EXAMPLE}"
