"""The command line: each command parses, calls one function, prints.

Exit codes: 0; 1 every trial failed; 2 the user's error; 75 stopped, resumable; 130 Ctrl-C.
Heavy modules are imported inside the commands that need them, so that `sweep ls` is quick.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import typer

from sweep.cli import read, replay, run, tools
from sweep.cli.output import echo, note
from sweep.core.errors import StudyWarning, SweepError, UserError
from sweep.runners.interrupt import EXIT_INTERRUPTED, Interrupted

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Choose self-supervised models on a budget: pretrain a grid, measure alpha, probe few.",
)

COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "resume": run.resume,
    "stop": run.stop,
    "init": run.init,
    "ls": read.list_studies,
    "show": read.show,
    "best": read.best,
    "query": read.query,
    "export": read.export,
    "landscape": replay.landscape,
    "replay": replay.replay,
    "select": replay.select,
    "doctor": tools.doctor,
    "bench": tools.bench,
}
"""In the order of `sweep --help`."""

for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> NoReturn:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks some letters
    sys.exit(run_command(sys.argv[1:]))


def run_command(words: list[str]) -> int:
    """Run one command and return its exit code; a user's error is one sentence."""
    try:
        with _notes():
            code = app(words, prog_name="sweep", standalone_mode=False)
    except _WRONG_WORDS as error:
        usage = io.StringIO()
        error.show(usage)
        echo(usage.getvalue().rstrip(), err=True)
        return int(error.exit_code)
    except SystemExit as end:  # how typer says that nobody reads on
        return end.code if isinstance(end.code, int) else 0
    except UserError as error:
        echo(f"Error: {error}", err=True)
        return error.exit_code
    except SweepError as error:
        echo(str(error), err=True)
        return int(getattr(error, "exit_code", 1))
    except Interrupted as signalled:
        echo("Stopped. `sweep resume` goes on with what had begun; see `sweep ls`.", err=True)
        return signalled.exit_code
    except KeyboardInterrupt:
        echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `sweep show | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a disk that is full, a folder that may not be read
        echo(f"Error: {error.strerror or error}: {error.filename or 'no file named'}.", err=True)
        return UserError.exit_code
    return code if isinstance(code, int) else 0


_WRONG_WORDS: Any = next(kind for kind in typer.BadParameter.mro() if "Click" in kind.__name__)
"""What the parser raises: of the click that typer has, its own or the other one."""


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    """Print warnings about studies as notes, each once."""
    said = set[str]()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, StudyWarning):
            others(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", StudyWarning)
        others = warnings.showwarning
        warnings.showwarning = show
        yield
