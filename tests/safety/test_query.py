"""SQL of another person: it reads only the study's tables, and it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sweep.cli import app
from sweep.core.errors import QueryError
from sweep.core.text import to_text
from sweep.storage.location import locate
from sweep.tables.query import query
from tests.tables.test_query import study

SECRET = "not for queries"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study, and beside it, in the current folder, files that no query may read."""
    folder = study(tmp_path, "one", [{"d": 64, "lambd": 0.5}])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    for name in ("secret.txt", ":memory:", ":memory:.wal", "trials", "secret"):
        (tmp_path / name).write_text(f"{SECRET}\n1\n", encoding="utf-8")
    return folder


READS = [
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_csv_auto('{file}', header = false)",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM read_ndjson_objects('{file}')",
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM parquet_schema('{file}')",
    "SELECT * FROM read_duckdb('{file}')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM glob('{file}')",
    "SELECT * FROM '{file}'",
    "SELECT * FROM query('SELECT * FROM read_text(''{file}'')')",
    "SELECT * FROM query_table('{file}')",
    "SELECT (SELECT content FROM read_text('{file}'))",
    "WITH x AS (SELECT * FROM read_text('{file}')) SELECT * FROM x",
    "SELECT * FROM json_execute_serialized_sql("
    "json_serialize_sql('SELECT * FROM read_text(''{file}'')'))",
]


@pytest.mark.parametrize("sql", READS)
@pytest.mark.parametrize(
    "file",
    ["/etc/passwd", "secret.txt", "*", ":memory:", ":memory:.wal", "file:secret.txt", "~/.ssh/x"],
)
def test_no_file_is_read(folder: Path, sql: str, file: str) -> None:
    with pytest.raises(QueryError) as caught:
        query([locate(folder)], sql.format(file=file))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SELECT * FROM read_csv('s3://bucket/x.csv')",
        "SELECT * FROM read_text('hf://datasets/x')",
        "SELECT http_get('http://127.0.0.1')",
        "SELECT * FROM sqlite_scan('secret.txt', 'x')",
        "SELECT * FROM postgres_scan('host=localhost', 'a', 'b')",
        "SELECT * FROM iceberg_scan('x')",
        "SELECT * FROM st_read('secret.txt')",
        "SELECT getenv('SECRET')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM which_secret('s3://x', 's3')",
        "SELECT * FROM duckdb_extensions()",
        "SELECT * FROM pandas_scan(140000000000000)",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM python_map_function((SELECT 1))",
        "SELECT * FROM seq_scan('trials')",
        "SELECT * FROM enable_logging('QueryLog')",
        "SELECT * FROM enable_profiling()",
        "SELECT * FROM set_config('memory_limit', '100GB')",
    ],
)
def test_no_network_environment_or_extension_is_reached(folder: Path, sql: str) -> None:
    with pytest.raises(QueryError):
        query([locate(folder)], sql)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "COPY trials FROM 'secret.txt'",
        "SELECT * FROM query('COPY (SELECT 1) TO ''out.csv''')",
        "EXPORT DATABASE 'out'",
        "IMPORT DATABASE 'out'",
        "ATTACH 'out.db'",
        "DETACH memory",
        "USE memory",
        "INSTALL httpfs",
        "LOAD 'secret.txt'",
        "UPDATE EXTENSIONS",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET VARIABLE x = 1",
        "RESET disabled_filesystems",
        "PRAGMA enable_profiling",
        "PRAGMA database_list",
        "CALL checkpoint()",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE x AS SELECT 1",
        "EXECUTE x",
        "CREATE TABLE x AS SELECT 1",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE MACRO f(x) AS x",
        "CREATE SECRET (TYPE s3)",
        "CREATE OR REPLACE VIEW trials AS SELECT 1",
        "DROP VIEW trials",
        "ALTER VIEW trials RENAME TO x",
        "COMMENT ON VIEW trials IS 'x'",
        "INSERT INTO trials SELECT * FROM trials",
        "DELETE FROM trials",
        "TRUNCATE trials",
        "MERGE INTO trials USING trials AS t ON true WHEN MATCHED THEN DELETE",
        "WITH x AS (INSERT INTO trials SELECT 1) SELECT * FROM x",
        "SELECT * INTO x FROM trials",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO 'out.csv'",
        "SELECT 1 \0; DROP VIEW trials",
        "SELECT 1 --\n; DROP VIEW trials",
        "EXPLAIN ANALYZE SELECT 1",
        ".shell mkdir out",
    ],
)
def test_nothing_is_changed_or_written(folder: Path, sql: str) -> None:
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    with pytest.raises(QueryError):
        query([locate(folder)], sql)
    after = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    assert before == after


def test_the_settings_contain_no_path_of_this_machine(folder: Path) -> None:
    values = query([locate(folder)], "SELECT value FROM duckdb_settings()")["value"].to_pylist()
    paths = [
        value for value in values if value and (str(folder.parent) in value or ".duckdb" in value)
    ]
    assert paths == []
    assert query(
        [locate(folder)], "SELECT current_setting('secret_directory') AS x"
    ).to_pylist() == [{"x": "-"}]


def test_no_python_variable_is_a_table(folder: Path) -> None:
    frame = pa.table({"x": [SECRET]})
    assert frame.num_rows == 1
    for name in ("frame", "SECRET", "folder", "tables", "connection", "settings", "sys"):
        with pytest.raises(QueryError, match=rf"There is no table '{name}'"):
            query([locate(folder)], f"SELECT * FROM {name}")


def test_sql_that_is_not_valid_unicode_is_refused(folder: Path) -> None:
    with pytest.raises(QueryError, match="and this is not one"):
        query([locate(folder)], "SELECT '\udcff'")
    assert query([locate(folder)], "SELECT 'a\0b' AS x").to_pylist() == [{"x": "a\0b"}]


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_values_that_python_does_not_have_are_shown(folder: Path, form: str) -> None:
    table = query([locate(folder)], "SELECT * FROM test_all_types()")
    text = to_text(table, form)  # type: ignore[arg-type]
    if form == "json":
        assert len(json.loads(text)) == 3
    table = query([locate(folder)], "SELECT 'infinity'::TIMESTAMP AS t, '290000-01-01'::DATE AS d")
    assert to_text(table, form)  # type: ignore[arg-type]


# Limits that DuckDB does not keep ----------------------------------------------------

TOO_MUCH = [
    ("SELECT len(range(1000000000))", "needs more than 1 GB"),
    ("SELECT list_resize([1], 1000000000)", "needs more than 1 GB"),
    ("SELECT length(repeat('x', 4000000000))", "needs more than 1 GB"),
    ("SELECT array_agg(a.range) FROM range(100000) a, range(100000) b", "needs more than 1 GB"),
    (
        "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(s) FROM t",
        "needs more than 1 GB",
    ),
    ("SELECT range FROM range(40000000)", "as text. Select fewer rows"),
]
"""Without the limit of the operating system, the first query takes 20 GB and the last 3 GB."""

SCRIPT = """
import resource, sys
from sweep.cli import app
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
assert app.run_command(["query", "one", "SELECT 1", "--results", sys.argv[1]]) == 0
before = peak()
for sql in sys.argv[2:]:
    print(app.run_command(["query", "one", sql, "--results", sys.argv[1], "--seconds", "60"]))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system counts this memory")
def test_no_query_takes_more_memory_than_the_limit(folder: Path) -> None:
    words = [sys.executable, "-c", SCRIPT, str(folder.parent), *(sql for sql, _ in TOO_MUCH)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=400)
    *codes, peak = done.stdout.splitlines()[3:]
    assert codes == ["2"] * len(TOO_MUCH)
    errors = done.stderr.splitlines()
    assert len(errors) == len(TOO_MUCH)
    for line, (_, why) in zip(errors, TOO_MUCH, strict=True):
        assert why in line
    assert int(peak) < 2 * 10**9


def test_a_query_that_cannot_be_interrupted_is_ended_with_its_process(folder: Path) -> None:
    """A minute in one function that no interrupt of DuckDB reaches; it reaches `levenshtein`."""
    sql = "SELECT jaro_similarity(repeat('a', 4000000), repeat('b', 4000000))"
    code = "from sweep.cli import app, read; read.PATIENCE_SECONDS = 0.5; app.main()"
    words = ["query", "one", sql, "--seconds", "0.5", "--results", str(folder.parent)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ,
    )
    assert done.returncode == 2
    assert done.stderr == "Error: The query took longer than 0.5 s and was ended.\n"


def test_the_memory_limit_is_removed_after_the_query(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    words = ["query", "one", "SELECT 1", "--results", str(folder.parent)]
    assert app.run_command(words) == 0
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
