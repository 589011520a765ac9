"""The commands of `sweep`, and how an error becomes a sentence and an exit code.

Exit codes: 0 success; 1 every trial failed, or the doctor found something wrong; 2 the user's
error; 75 stopped, can be resumed; 130 Ctrl-C.
The commands import heavy modules themselves, when they need them. So `sweep ls` is quick.
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
from typer.core import TyperGroup

from sweep.cli import (
    data,
    jobs,
    prior,
    read,
    replay,
    report,
    run,
    send,
    start,
    stop,
    studies,
    tools,
    watch,
)
from sweep.cli.output import echo, note
from sweep.core.errors import StudyWarning, SweepError, UserError
from sweep.runners.interrupt import EXIT_INTERRUPTED, Interrupted

GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "Run studies": {
        "start": start.start,
        "init": run.init,
        "run": run.run,
        "resume": run.resume,
        "submit": jobs.submit,
        "watch": watch.watch,
        "stop": stop.stop,
    },
    "Look at studies": {
        "ls": read.list_studies,
        "show": read.show,
        "best": read.best,
        "query": read.query,
        "compare": studies.compare,
        "report": report.report,
        "view": report.view,
    },
    "Take things away": {
        "export": read.export,
        "dump": studies.dump,
        "send": send.send,
        "rm": studies.rm,
    },
    "Rules, tables and models that exist": {
        "landscape": replay.landscape,
        "replay": replay.replay,
        "select": replay.select,
        "prior": prior.prior,
    },
    "Images and this machine": {
        "data": data.data,
        "cache": data.cache,
        "schema": tools.schema,
        "doctor": tools.doctor,
        "bench": tools.bench,
    },
}
"""Heading -> commands, in the order of `sweep --help`."""
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


class Grouped(TyperGroup):
    """Lists the commands below their headings."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each group of `GROUPS` with the first lines of its commands."""
        width = max(map(len, COMMANDS))
        for heading, group in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(width), self.commands[name].get_short_help_str(60))
                        for name in group
                    ]
                )


app = typer.Typer(
    cls=Grouped,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Choose self-supervised models on a budget.",
)

for name, command in COMMANDS.items():
    app.command(name)(command)
app.command("job", hidden=True)(jobs.job)


def main() -> NoReturn:
    """Run the command that this process was started with, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for letters that a terminal cannot show
    sys.exit(run_command(sys.argv[1:]))


def run_command(words: list[str]) -> int:
    """Run one command and return its exit code. A user's error is printed as one sentence."""
    try:
        with _notes():
            code = app(words, prog_name="sweep", standalone_mode=False)
    except _USAGE_ERROR as error:
        usage = io.StringIO()
        error.show(usage)
        echo(usage.getvalue().rstrip(), err=True)
        return int(error.exit_code)
    except SystemExit as end:  # typer raises it where the reader of the output has closed it
        return end.code if isinstance(end.code, int) else 0
    except UserError as error:
        echo(f"Error: {error}", err=True)
        return error.exit_code
    except SweepError as error:
        echo(str(error), err=True)
        return int(getattr(error, "exit_code", 1))
    except Interrupted as signalled:
        echo("Stopped. `sweep resume STUDY` continues a study; `sweep ls` lists them.", err=True)
        return signalled.exit_code
    except KeyboardInterrupt:
        echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except ModuleNotFoundError as error:
        library = (error.name or "sweep").partition(".")[0]
        if library == "sweep":  # a defect of this package keeps its traceback
            raise
        echo(f"Error: This command needs {library}, which is not installed. {_HINT}", err=True)
        return UserError.exit_code
    except BrokenPipeError:  # `sweep show | head`: `head` has closed the output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # for example a full disk, or a folder without the right to read
        echo(f"Error: {error.strerror or error}: {error.filename or 'no file named'}.", err=True)
        return UserError.exit_code
    return code if isinstance(code, int) else 0


_HINT = "`sweep doctor` says what to install; `--runner local` runs a study without Ray."

_USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.mro() if "Click" in kind.__name__)
"""The parser's base error: of the click inside typer, or of the package click in older ones."""


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    """Print each warning about a study once, as a note."""
    printed = set[str]()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, StudyWarning):
            others(message, category, *where, **more)
        elif str(message) not in printed:
            printed.add(str(message))
            note(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", StudyWarning)
        others = warnings.showwarning
        warnings.showwarning = show
        yield
