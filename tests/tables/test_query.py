"""One SELECT, over the study and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from sweep.config.study import StudyConfig
from sweep.core.codec import encode
from sweep.core.errors import QueryError, StudyError
from sweep.core.events import CandidateAdded, Event, Observed, StudyBegan
from sweep.core.records import Measure, Observation
from sweep.core.text import to_text
from sweep.log.study_folder import EVENTS, open_log
from sweep.storage.location import locate
from sweep.tables.query import query
from sweep.tables.results import Results
from sweep.tables.snapshots import TABLES, Snapshots, StudyTables


def study(results: Path, name: str, points: list[dict[str, Any]]) -> Path:
    """A study whose trials are probed: accuracy is a tenth of the index."""
    folder = results / name
    folder.mkdir()
    config = StudyConfig(name=name).model_dump(mode="json")
    began = StudyBegan(
        name=name, config=config, config_digest="", data_digest="", versions={}, commit=None,
        created=0.0,
    )  # fmt: skip
    story: list[Event] = [began]
    for index, point in enumerate(points):
        trial_id = f"{name}-{index}"
        measures = (Measure(name="accuracy", value=index / 10),)
        seen = Observation(stage="probed", step=1, measures=measures)
        story += [
            CandidateAdded(trial_id=trial_id, point=point, config={}, index=index),
            Observed(trial_id=trial_id, observation=seen),
        ]
    with (folder / EVENTS).open("wb") as file:
        for seq, event in enumerate(story):
            file.write(encode(replace(event, seq=seq)))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return study(tmp_path, "one", [{"d": 64, "lambd": 0.5}, {"d": 128, "lambd": 0.25}])


README = "SELECT d, lambd, alpha, accuracy FROM trials ORDER BY accuracy DESC LIMIT 5"


@pytest.mark.parametrize(
    "sql",
    [
        README,
        README + ";  -- the best",
        "WITH best AS (" + README + ") SELECT * FROM best",
        "FROM TRIALS SELECT D, Lambd, alpha, accuracy ORDER BY accuracy DESC",
    ],
)
@pytest.mark.parametrize("snapshot", [True, False])
def test_one_select_is_answered(folder: Path, sql: str, snapshot: bool) -> None:
    if snapshot:
        with open_log(locate(folder)) as log:
            Snapshots(log).write()
    table = query([locate(folder)], sql)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (128, 0.25, None, 0.1),
        (64, 0.5, None, 0.0),
    ]
    assert Results(folder).sql(sql).equals(table)


def test_a_damaged_snapshot_is_made_up_for_from_the_log(folder: Path) -> None:
    with open_log(locate(folder)) as log:
        Snapshots(log).write()
    path = folder / "tables" / "trials.parquet"
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for place in range(4, len(data) - footer, 7):
        data[place] ^= 0xFF
    path.write_bytes(data)
    assert isinstance(StudyTables(locate(folder)).source("trials"), ds.Dataset)
    assert query([locate(folder)], "SELECT d, accuracy FROM trials")["d"].to_pylist() == [64, 128]


def test_every_table_can_be_joined_and_listed(folder: Path) -> None:
    joined = query(
        [locate(folder)],
        "SELECT count(*) AS n FROM trials JOIN observations USING (study, trial_id) "
        "JOIN measures USING (study, trial_id) JOIN studies USING (study) "
        "LEFT JOIN spectra USING (study, trial_id) LEFT JOIN verdicts USING (study, trial_id)",
    )
    assert joined["n"].to_pylist() == [2]
    assert query([locate(folder)], "SHOW TABLES")["name"].to_pylist() == sorted(TABLES)
    described = query([locate(folder)], "DESCRIBE trials")["column_name"].to_pylist()
    assert described[:6] == ["study", "trial_id", "index", "d", "lambd", "seed"]


def test_several_studies_are_one_table(tmp_path: Path, folder: Path) -> None:
    other = study(tmp_path, "two", [{"d": 32, "lr": 0.5, "tag": 1}])
    third = study(tmp_path, "three", [{"d": 16, "lr": 1, "tag": "x"}])
    folders = [locate(path) for path in (folder, other, third, folder)]
    table = query(folders, "SELECT study, d, lr, tag FROM trials")
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("one", 64, None, None),
        ("one", 128, None, None),
        ("two", 32, 0.5, "1"),
        ("three", 16, 1.0, "x"),
    ]


def test_an_empty_study_has_no_rows(tmp_path: Path) -> None:
    empty = study(tmp_path, "empty", [])
    rows = query([locate(empty)], "SELECT alpha, accuracy FROM trials")
    assert rows.num_rows == 0
    assert rows.schema.names == ["alpha", "accuracy"]
    with pytest.raises(QueryError, match='column "d" not found'):  # only candidates name it
        query([locate(empty)], README)


def test_no_study_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="at least one study"):
        query([], README)
    with pytest.raises(StudyError, match="There is no study at"):
        query([locate(tmp_path / "nowhere")], README)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("", "this is 0 statements"),
        ("-- nothing", "this is 0 statements"),
        ("SELECT 1; SELECT 2", "this is 2 statements"),
        ("SELECT 1; DROP TABLE trials", "this is 2 statements"),
        ("CREATE TABLE x (a INT)", "this is CREATE"),
        ("CREATE TABLE x AS SELECT * FROM trials", "this is CREATE"),
        ("INSERT INTO trials SELECT * FROM trials", "this is INSERT"),
        ("UPDATE trials SET d = 1", "this is UPDATE"),
        ("DELETE FROM trials", "this is DELETE"),
        ("DROP VIEW trials", "this is DROP"),
        ("COPY trials TO '{folder}/out.csv'", "this is COPY"),
        ("ATTACH '{folder}/out.db'", "this is ATTACH"),
        ("INSTALL httpfs", "this is LOAD"),
        ("LOAD httpfs", "this is LOAD"),
        ("SET enable_external_access = true", "this is SET"),
        ("PRAGMA database_list", "one SELECT"),
        ("CALL duckdb_settings()", "this is CALL"),
        ("EXPORT DATABASE '{folder}/out'", "one SELECT"),
        ("EXPLAIN ANALYZE SELECT 1", "this is EXPLAIN"),
    ],
)
def test_what_is_not_one_select_is_refused(folder: Path, sql: str, why: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(QueryError, match=why):
        query([locate(folder)], sql.format(folder=folder))
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM sniff_csv('{file}')",
        "SELECT * FROM parquet_metadata('{file}')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM sqlite_scan('{file}', 'x')",
        "SELECT * FROM enable_logging(storage = 'file', storage_config = {{'path': '{file}x'}})",
        "SELECT * FROM enable_profiling(save_location = '{file}x')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{file}x''')",
    ],
)
def test_what_reaches_beyond_the_study_is_refused(folder: Path, sql: str) -> None:
    with pytest.raises(QueryError):
        query([locate(folder)], sql.format(file=folder / EVENTS))
    assert [path.name for path in folder.iterdir()] == [EVENTS]


def test_a_file_is_refused_in_a_sentence(folder: Path) -> None:
    with pytest.raises(QueryError, match="sees the study's tables and nothing else: studies, tri"):
        query([locate(folder)], f"SELECT * FROM read_csv('{folder / EVENTS}')")


def test_python_variables_are_out_of_reach(folder: Path) -> None:
    secret = pa.table({"x": [1]})
    assert secret.num_rows == 1
    for name in ("secret", "folder", "tables", "README"):
        with pytest.raises(QueryError, match=rf"There is no table '{name}'. Tables: studies, tri"):
            query([locate(folder)], f"SELECT * FROM {name}")


def test_wrong_sql_is_answered_with_what_there_is(folder: Path) -> None:
    with pytest.raises(QueryError, match=r"Did you mean 'accuracy'. Columns of trials: study, tri"):
        query([locate(folder)], "SELECT accurracy FROM trials")
    with pytest.raises(QueryError, match=r'named "x".*Columns of trials: study, trial_id, index'):
        query([locate(folder)], "SELECT t.x FROM trials t")
    with pytest.raises(QueryError, match=r"There is no table 'trails'. Tables: studies, trials"):
        query([locate(folder)], "SELECT * FROM trails")
    with pytest.raises(QueryError, match=r"syntax error .*Try: SELECT d, lambd"):
        query([locate(folder)], "SELEKT d FROM trials")
    with pytest.raises(QueryError, match="Values were not provided"):
        query([locate(folder)], "SELECT ? FROM trials")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT lambda FROM trials",
        "SELECT d, LAMBDA, alpha FROM trials",
        "SELECT d FROM trials WHERE lambda > 1",
        "SELECT d FROM trials ORDER BY lambda",
        'SELECT "lambda" FROM trials',
    ],
)
def test_lambda_is_called_lambd(folder: Path, sql: str) -> None:
    with pytest.raises(QueryError, match="The coefficient's column is `lambd`"):
        query([locate(folder)], sql)


@pytest.mark.parametrize(
    "sql",
    [
        # A filter that no statistics answer: `range % 7 = 8` is known to be false beforehand.
        "SELECT count(*) FROM range(1000000000000) WHERE hash(range) = 8",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t) SELECT count(*) FROM t",
        "SELECT range FROM range(1000000000000)",
    ],
)
def test_a_query_that_never_ends_is_ended(folder: Path, sql: str) -> None:
    with pytest.raises(QueryError, match=r"longer than 0\.2 s and was stopped. Narrow it"):
        query([locate(folder)], sql, seconds=0.2, memory_bytes=10**12)


def test_a_query_and_its_result_are_bounded_in_memory(folder: Path) -> None:
    with pytest.raises(QueryError, match=r"The result is larger than 0\.05 GB.*LIMIT 1000"):
        query([locate(folder)], "SELECT range FROM range(1000000000000)", memory_bytes=50_000_000)
    with pytest.raises(QueryError, match=r"needs more than 0\.05 GB"):
        query(
            [locate(folder)],
            "SELECT array_agg(range) FROM range(100000000)",
            memory_bytes=50_000_000,
        )


# As text -----------------------------------------------------------------------------

ODD = pa.table(
    {
        "name": ["a\x1b[31m\n", "日本", None],
        "x": [0.1 + 0.2, float("nan"), float("-inf")],
        "n": pa.array([1, None, 10**20], pa.decimal128(38, 0)),
        "l": [[1.0, float("nan")], [], None],
        "b": [True, None, False],
    }
)


def test_json_is_a_list_of_objects_without_nan() -> None:
    assert json.loads(to_text(ODD, "json")) == [
        {"name": "a\x1b[31m\n", "x": 0.1 + 0.2, "n": 1, "l": [1.0, None], "b": True},
        {"name": "日本", "x": None, "n": None, "l": [], "b": None},
        {"name": None, "x": None, "n": 10**20, "l": None, "b": False},
    ]


def test_csv_has_a_header_and_full_precision() -> None:
    assert to_text(ODD, "csv") == (
        'name,x,n,l,b\n"a\x1b[31m\n",0.30000000000000004,1,"[1.0, null]",True\n'
        "日本,nan,,[],\n,-inf,100000000000000000000,,False"
    )


def test_a_table_is_aligned_and_cannot_command_the_terminal() -> None:
    assert to_text(ODD, "table").splitlines() == [
        "name            x                      n  l                b",
        "-----------  ----  ---------------------  -----------  -----",
        "a\\x1b[31m\\n   0.3                      1  [1.0, null]   True",
        "日本          nan                      -  []               -",
        "-            -inf  100000000000000000000  -            False",
    ]


@pytest.mark.parametrize(("how", "text"), [("json", "[]"), ("csv", "d,x"), ("table", "d  x\n-  -")])
def test_no_rows_leave_the_header(how: Any, text: str) -> None:
    assert (
        to_text(pa.table({"d": pa.array([], pa.int64()), "x": pa.array([], pa.string())}), how)
        == text
    )


def test_what_sql_makes_besides_numbers_becomes_text(folder: Path) -> None:
    table = query(
        [locate(folder)],
        "SELECT INTERVAL 1 DAY AS i, TIME '10:00' AS t, TIMESTAMP '2020-01-01' AS s, "
        "'x'::BLOB AS b, {'a': [1, NULL]} AS o, MAP {'k': 1.5} AS m, sum(d) AS n, "
        "uuid() AS u FROM trials",
    )
    (told,) = json.loads(to_text(table, "json"))
    assert (told["t"], told["s"], told["o"], told["n"]) == (
        "10:00:00", "2020-01-01 00:00:00", {"a": [1, None]}, 192,
    )  # fmt: skip
    assert to_text(table.select(["o", "n"]), "csv") == 'o,n\n"{""a"": [1, null]}",192'
    assert len(to_text(table, "table").splitlines()) == 3
