"""One SELECT over the tables of studies, read-only: the only file that imports DuckDB.

The tables are read with pyarrow and handed to a database in memory. That database cannot reach
files, network, extensions or Python's variables, and its settings are locked
(`enable_external_access=false` with allowed folders would still let COPY overwrite a table).
Time and memory are limited, the result included, as far as DuckDB counts them. One call of one
SQL function may take more than DuckDB counts; `sweep.cli.process_limits` stops such a call.
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
from sweep.tables.parameters import between
from sweep.tables.snapshots import TABLES, StudyTables
from sweep.tables.status import with_status_now

MEMORY_BYTES = 10**9

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "python_scan_all_frames": False,
    "temp_directory": "",
}
_LOCK_SETTINGS = """
SET secret_directory = '-';
SET TimeZone = 'UTC';
SET enable_progress_bar = false;
SET enable_external_access = false;
SET lock_configuration = true;
"""
"""Set in this order, and only after the database is open. With `enable_external_access=false` at
the opening, DuckDB 2.0 would allow access to a file named `:memory:` in the current folder. Its
progress bar would print into the output of `--json`."""
_BATCH_ROWS = 65_536  # of the result


def query(
    folders: Sequence[Location],
    sql: str,
    *,
    seconds: float = 30.0,
    memory_bytes: int = MEMORY_BYTES,
) -> pa.Table:
    """Return the rows of one SELECT over the tables of one or more studies.

    Args:
        folders: of the studies. Tables of several studies are joined by column name; a column
            that a study lacks is null in its rows.
        sql: one SELECT, WITH and FROM-first included, over `TABLES`.
        seconds: the longest time that the query may take.
        memory_bytes: the most memory that the query may use, and the largest result.

    Raises:
        QueryError: the SQL is not one SELECT, is wrong, reaches beyond the studies, or takes
            too much; the sentence names tables, columns and an example.
        StudyError: a study cannot be read.
    """
    if not folders:
        raise QueryError("A query needs at least one study; `sweep ls` lists the studies.")
    words = set(re.findall(r"\w+", sql.lower()))
    names = [name for name in TABLES if name in words] or TABLES
    studies = {
        folder: StudyTables(folder)
        for folder in dict.fromkeys(folder.absolute() for folder in folders)
    }
    run = partial(_run, sql=sql, seconds=seconds, memory_bytes=memory_bytes)
    if len(studies) == 1:
        ((folder, study),) = studies.items()
        try:
            return run({name: _source(folder, study, name) for name in names})
        except QueryError as error:
            if "IOError" not in str(error.__cause__):
                raise
    return run(
        {name: _joined([_table(*study, name) for study in studies.items()]) for name in names}
    )


def _table(folder: Location, study: StudyTables, name: str) -> pa.Table:
    """Return a table of a study; the status in `studies` is that of now."""
    table = study.table(name)
    return with_status_now(table, folder) if name == "studies" else table


def _source(folder: Location, study: StudyTables, name: str) -> pa.Table | ds.Dataset:
    """Return a table of a study, of which only the columns that are needed may be read."""
    return _table(folder, study, name) if name == "studies" else study.source(name)


def _run(
    tables: Mapping[str, pa.Table | ds.Dataset], *, sql: str, seconds: float, memory_bytes: int
) -> pa.Table:
    settings = {**_SETTINGS, "memory_limit": f"{memory_bytes}B"}
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute(_LOCK_SETTINGS)
        for name, table in tables.items():
            connection.register(name, table)
        try:
            statement = _one_select(connection, sql, _example(tables))
            with _deadline(connection, seconds):
                return _bounded(connection.sql(statement), memory_bytes)
        except (
            duckdb.Error,
            OSError,
            MemoryError,
        ) as error:  # the last two come while rows are read
            raise QueryError(_sentence(error, sql, tables, seconds, memory_bytes)) from error


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str, example: str) -> duckdb.Statement:
    try:
        sql.encode()
        statements = connection.extract_statements(sql)
        kinds = [statement.type for statement in statements]
    except ValueError as error:  # not UTF-8, or a kind of statement that Python does not know
        raise QueryError(f"A query is one SELECT, and this is not one ({error}).") from error
    if len(statements) != 1:
        raise QueryError(f"A query is one SELECT, and this is {len(statements)} statements.")
    if kinds[0] != duckdb.StatementType.SELECT:
        raise QueryError(
            f"A query is one SELECT, and this is {kinds[0].name}. Nothing in a study "
            f"can be changed by SQL. Try: {example}"
        )
    return statements[0]


def _example(tables: Mapping[str, pa.Table | ds.Dataset]) -> str:
    """Return a query that works, with two of the study's own columns."""
    own = between(tables["trials"].schema.names)[:2] if "trials" in tables else []
    columns = ", ".join([*own, "alpha", "accuracy"])
    return f"SELECT {columns} FROM trials ORDER BY accuracy DESC LIMIT 5"


@contextmanager
def _deadline(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt the connection's query once the time is over."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            # Repeated: DuckDB forgets an interrupt that comes between two steps.
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
    """Read the result in batches: DuckDB's memory limit does not count batches it handed out."""
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    batches, size = [], 0
    for batch in reader:
        size += batch.nbytes
        if size > memory_bytes:
            raise QueryError(
                f"The result is larger than {memory_bytes / 1e9:g} GB. Select fewer rows or "
                "columns, for example with LIMIT 1000."
            )
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)


# Tables of several studies -----------------------------------------------------------


def _joined(tables: list[pa.Table]) -> pa.Table:
    """Concatenate tables by column name; a column of several types becomes text."""
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


# Error sentences ----------------------------------------------------------------------


def _sentence(
    error: Exception,
    sql: str,
    tables: Mapping[str, pa.Table | ds.Dataset],
    seconds: float,
    memory_bytes: int,
) -> str:
    text = str(error)
    line = text.partition("\n")[0]
    reason = (line.partition("Error: ")[2] or line).rstrip(".!")
    if "INTERRUPT" in text:
        return f"The query took longer than {seconds:g} s and was stopped. Narrow it with WHERE."
    memory = (duckdb.OutOfMemoryException, MemoryError)
    if isinstance(error, memory) or re.search("out of memory|bad_alloc", text, re.IGNORECASE):
        return f"The query needs more than {memory_bytes / 1e9:g} GB. Narrow it with WHERE."
    if isinstance(error, duckdb.PermissionException):
        return f"A query sees the study's tables and nothing else: {', '.join(TABLES)}. ({reason}.)"
    known = [column for table in tables.values() for column in table.schema.names]
    if "lambd" in known and re.search(r"\blambda\b", sql, re.IGNORECASE):
        return f"{reason}. The coefficient's column is `lambd`: SQL reserves the word `lambda`."
    if unknown := re.search(r"Table with name (.+) does not exist", text):
        return f"There is no table {unknown[1]!r}. Tables: {', '.join(TABLES)}."
    if re.search(r'column "[^"]*" not found|not have a column', text):
        named = re.search(r'column (?:named )?"([^"]*)"', text)
        hint = nearest(named[1], known) if named else ""
        columns = "; ".join(f"{name}: {', '.join(t.schema.names)}" for name, t in tables.items())
        return f"{reason}.{hint} Columns of {columns}."
    return f"{reason}. Tables: {', '.join(TABLES)}. Try: {_example(tables)}"
