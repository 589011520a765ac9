"""Any SQL: its words in any order, valid queries that are cut or joined, and arbitrary text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.commands import check_command, workspace
from tests.safety.logs import small

WORDS = """
SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT JOIN LEFT ON USING WITH RECURSIVE AS UNION ALL
INTERSECT DISTINCT CASE WHEN THEN ELSE END NULL NOT IN EXISTS BETWEEN LIKE CAST TRY_CAST OVER
PARTITION WINDOW VALUES TABLE DESCRIBE SHOW SUMMARIZE PIVOT UNPIVOT QUALIFY SAMPLE FILTER
LATERAL EXPLAIN COPY ATTACH SET PRAGMA CALL CREATE INSERT DELETE DROP UPDATE EXECUTE PREPARE
LOAD INSTALL EXPORT INTO TO trials observations measures spectra verdicts studies trial_id
study alpha accuracy lambd lambda d eigenvalues detail config status x t0 * ( ) , . ; : :: = <>
< > + - / % || -> -- /* */ [ ] { } $ $1 ? 'x' '' '1' "d" "" 1 0 -1 1.5 1e309
9999999999999999999999 0x10 true 'NaN'::DOUBLE INTERVAL DATE count(*) sum( avg( max( list(
array_agg( unnest( range( generate_series( repeat( len( read_csv( getenv( query( json_extract(
regexp_replace( strftime( to_timestamp( chr( printf( list_transform( x->x+1 COLUMNS(*) EXCLUDE
REPLACE ASOF POSITIONAL CROSS ROLLUP CUBE GROUPING
""".split()  # noqa: SIM905  # a list of words is easier to read as words
SENTENCES = [
    "SELECT d, lambd, alpha, accuracy FROM trials ORDER BY accuracy DESC LIMIT 5",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t",
    "SELECT status, count(*) FROM trials GROUP BY status HAVING count(*) > 1",
    "SELECT trial_id, avg(value) OVER (PARTITION BY name ORDER BY step) FROM measures",
    "SELECT unnest(eigenvalues) FROM spectra",
    "SELECT json_extract(config, '$.rule.name'), versions FROM studies",
    "SELECT * FROM trials LEFT JOIN verdicts USING (trial_id) WHERE reason LIKE '%a%'",
    "SELECT {'a': [1, NULL], 'b': MAP {'k': 'x'::BLOB}}, INTERVAL 1 DAY, TIME '10:00'",
    "PIVOT measures ON name USING avg(value) GROUP BY trial_id",
    "SUMMARIZE trials",
    "SELECT * FROM test_all_types()",
]


@st.composite
def damaged_query(draw: st.DrawFn) -> str:
    """Return a query with a few words removed, inserted or exchanged."""
    words = draw(st.sampled_from(SENTENCES)).split()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(words)))
        match draw(st.integers(0, 2)):
            case 0:
                words[at : at + 1] = []
            case 1:
                words.insert(at, draw(st.sampled_from(WORDS)))
            case 2:
                words[at : at + 1] = [draw(st.sampled_from(WORDS))]
    return " ".join(words)


SQL = st.one_of(
    damaged_query(),
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    st.lists(st.sampled_from(SENTENCES), max_size=3).map(" ; ".join),
    st.text(max_size=30),
)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("sql"))


@given(sql=SQL, form=st.sampled_from(["--table", "--json", "--csv"]))
def test_any_sql(sql: str, form: str, study: Path, scratch: Path) -> None:
    with workspace(scratch) as folder:
        check_command(folder, "query", study, form, "--seconds", "5", "--", sql)
