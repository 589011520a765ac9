"""CSV files as people and spreadsheets write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.core.errors import DataError
from sweep.replay.csv_file import DELIMITERS, read_csv
from sweep.replay.landscape_files import load

TEXT = "id;alpha;accuracy\na;1,5;0,71\nb;2,5;0,6\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_encoding_and_delimiter_are_found(encoding: str, delimiter: str) -> None:
    text = "id;alpha;größe\r\na;1.5;3\r\nb;2.5;4\r\n".replace(";", delimiter)
    table, found = read_csv("t.csv", text.encode(encoding))
    assert found == delimiter
    assert table.to_pydict() == {"id": ["a", "b"], "alpha": ["1.5", "2.5"], "größe": ["3", "4"]}


def test_decimal_commas_are_read_where_another_delimiter_parts_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TEXT)
    assert [c.accuracy for c in load(tmp_path / "t.csv").candidates] == [0.71, 0.6]
    (tmp_path / "u.csv").write_text('id,alpha,accuracy\na,1.5,"0,71"\nb,2.5,0.6\n')
    with pytest.raises(DataError, match=r"row 1, column accuracy: '0,71', its comma is no decimal"):
        load(tmp_path / "u.csv")


def test_the_line_of_a_spreadsheet_names_the_delimiter() -> None:
    table, found = read_csv("t.csv", b"sep=|\na|b,c\n1|2\n")
    assert (found, table.column_names) == ("|", ["a", "b,c"])


def test_an_index_without_a_name_is_left_out_and_another_such_column_refused() -> None:
    table, _ = read_csv("t.csv", b",a,b\n0,1,2\n1,3,4\n")
    assert table.column_names == ["a", "b"]
    with pytest.raises(DataError, match="column 1 has no name"):
        read_csv("t.csv", b",a,b\n5,1,2\n1,3,4\n")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b,a\n1,2,3\n", r"two columns of one name: a, columns 1 and 3"),
        (b"a,b\n1,2,3\n", r"row 1 has 3 cells, and the header has 2, parted by ','"),
        (b"\xe9,b\n1,2\n", r"byte 0 is not UTF-8. Save the file as CSV in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), r"it holds zero bytes\. It may be UTF-16"),
        (b"", r"it is empty"),
        (b'a,b\n1,"' + b"x" * 200_000 + b'"\n', r"field larger than field limit"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_csv("t.csv", data)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=5),
    delimiter=st.sampled_from(DELIMITERS),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_writer_of_csv_wrote_is_read_back(
    rows: list[tuple[str, str, str]], delimiter: str, encoding: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("one", "two", "three"), *rows])
    table, found = read_csv("t.csv", text.getvalue().encode(encoding))
    assert found == delimiter
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
