"""Printing: text without control characters, and tables as --json, --csv or --table."""

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


def echo(text: str, *, err: bool = False, newline: bool = True) -> None:
    """Print text, with every control character escaped."""
    typer.echo(clean(text), err=err, nl=newline)


def note(sentence: str) -> None:
    """Print a note to standard error, which leaves standard output to the result."""
    echo(f"Note: {sentence}", err=True)


def echo_table(table: pa.Table, form: Form) -> None:
    """Print a table in one of the three forms."""
    echo_unchanged(table_text(table, form))


def echo_unchanged(text: str) -> None:
    """Print text that `table_text` made. Nothing is removed from it."""
    typer.echo(text, color=True)  # else it would cut what looks like a colour out of CSV


def table_text(table: pa.Table, form: Form) -> str:
    """Return a table as text. Control characters are escaped, except in CSV that goes to a file."""
    text = to_text(table, form)
    return text if form == "csv" and not sys.stdout.isatty() else clean(text)


def form_of(as_json: bool, as_csv: bool, as_table: bool) -> Form:
    """Return the form that the options ask for; `UserError` if they ask for several."""
    if as_json + as_csv + as_table > 1:
        raise UserError("--json, --csv and --table exclude each other; give one.")
    return "json" if as_json else "csv" if as_csv else "table"
