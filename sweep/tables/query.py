"""One SELECT over the tables of studies, read-only: the only file that imports DuckDB.

The tables are read with pyarrow and handed to a database in memory that can reach
neither files, network, extensions nor Python's variables, and whose settings are locked
(`enable_external_access=false` with allowed folders would still let COPY overwrite a
table). Bounded in time and memory, the result's included, as far as DuckDB counts: one call
of one function may take what it likes, and `sweep.cli.process_limits` stops that.
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

from sweep.core.errors import QueryError, nearest
from sweep.storage.location import Location
from sweep.tables.snapshots import TABLES, StudyTables

MEMORY_BYTES = 10**9

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "python_scan_all_frames": False,
    "temp_directory": "",
}
_SEAL = """
SET secret_directory = '-';
SET enable_progress_bar = false;
SET enable_external_access = false;
SET lock_configuration = true;
"""
"""In this order, and once the database is there: told at its birth to keep to itself, DuckDB 2.0
allows it a file named `:memory:` in the current folder, which a query could then read. Its
progress bar would stand in the midst of `--json`."""
_ROWS = 65_536  # of a batch of the result


def query(
    folders: Sequence[Location],
    sql: str,
    *,
    seconds: float = 30.0,
    memory_bytes: int = MEMORY_BYTES,
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
        StudyTables(folder) for folder in dict.fromkeys(folder.absolute() for folder in folders)
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
    settings = {**_SETTINGS, "memory_limit": f"{memory_bytes}B"}
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute(_SEAL)
        for name, table in tables.items():
            connection.register(name, table)
        try:
            statement = _one_select(connection, sql)
            with _deadline(connection, seconds):
                return _bounded(connection.sql(statement), memory_bytes)
        except (duckdb.Error, OSError, MemoryError) as error:  # the latter two as results stream
            raise QueryError(_sentence(error, sql, tables, seconds, memory_bytes)) from error


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    try:
        sql.encode()
        statements = connection.extract_statements(sql)
        kinds = [statement.type for statement in statements]
    except ValueError as error:  # no text, or a statement for which Python has no name
        raise QueryError(f"A query is one SELECT, and this is none ({error}).") from error
    if len(statements) != 1:
        raise QueryError(f"A query is one SELECT, and this is {len(statements)} statements.")
    if kinds[0] != duckdb.StatementType.SELECT:
        raise QueryError(
            f"A query is one SELECT, and this is {kinds[0].name}. Nothing in a study "
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
    line = text.partition("\n")[0]
    what = (line.partition("Error: ")[2] or line).rstrip(".!")
    if "INTERRUPT" in text:
        return f"The query took longer than {seconds:g} s and was stopped. Narrow it with WHERE."
    memory = (duckdb.OutOfMemoryException, MemoryError)
    if isinstance(error, memory) or re.search("out of memory|bad_alloc", text, re.IGNORECASE):
        return f"The query needs more than {memory_bytes / 1e9:g} GB. Narrow it with WHERE."
    if isinstance(error, duckdb.PermissionException):
        return f"A query sees the study's tables and nothing else: {', '.join(TABLES)}. ({what}.)"
    if re.search(r"\blambda\b", sql, re.IGNORECASE):
        return f"{what}. The coefficient's column is `lambd`: SQL reserves the word `lambda`."
    if unknown := re.search(r"Table with name (.+) does not exist", text):
        return f"There is no table {unknown[1]!r}. Tables: {', '.join(TABLES)}."
    if re.search(r'column "[^"]*" not found|not have a column', text):
        named = re.search(r'column (?:named )?"([^"]*)"', text)
        known = [column for table in tables.values() for column in table.schema.names]
        hint = nearest(named[1], known) if named else ""
        columns = "; ".join(f"{name}: {', '.join(t.schema.names)}" for name, t in tables.items())
        return f"{what}.{hint} Columns of {columns}."
    return f"{what}. Tables: {', '.join(TABLES)}. Try: {_EXAMPLE}"
