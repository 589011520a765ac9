"""What every command prints with: text without control characters, and tables in three forms."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.core.errors import UserError
from sweep.core.text import Form, clean, to_text

if TYPE_CHECKING:
    import pyarrow as pa

Json = Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")]
AsTable = Annotated[bool, typer.Option("--table", help="Print aligned columns (the default).")]


def echo(text: str, *, err: bool = False) -> None:
    """Print lines, without anything that a terminal would obey."""
    typer.echo(clean(text), err=err)


def note(sentence: str) -> None:
    echo(f"Note: {sentence}", err=True)


def echo_table(table: pa.Table, form: Form) -> None:
    echo_unchanged(table_text(table, form))


def echo_unchanged(text: str) -> None:
    """Print text that is fit to be shown as it is; click alone would cut some of CSV's."""
    typer.echo(text, color=True)


def table_text(table: pa.Table, form: Form) -> str:
    """Return a table as text; CSV as it is, unless a terminal would show it."""
    text = to_text(table, form)
    return text if form == "csv" and not sys.stdout.isatty() else clean(text)


def form_of(as_json: bool, as_csv: bool, as_table: bool) -> Form:
    if as_json + as_csv + as_table > 1:
        raise UserError("--json, --csv and --table exclude each other; give one.")
    return "json" if as_json else "csv" if as_csv else "table"
