"""The command that shows the progress of a study which another process drives."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sweep.cli.options import RESULTS, ResultsDir, StudyName
from sweep.cli.output import echo
from sweep.cli.run import watcher
from sweep.core.history import History
from sweep.core.records import Decision
from sweep.log import study_folder
from sweep.storage.location import Location

ENDED = {
    "stopped": "Its driver has ended. `sweep resume {study}` goes on with it.",
    "dead": "Its driver was killed or is silent. `sweep resume {study}` goes on with it.",
}


def watch(
    study: StudyName,
    seconds: Annotated[float, typer.Option(min=0.1, help="How often the log is looked at.")] = 1.0,
    results: ResultsDir = RESULTS,
) -> None:
    """Show the progress of a study that runs elsewhere.

    It ends when the study or its driver ends. Ctrl-C ends the view, and the study goes on.

    Example: sweep watch quickstart
    """
    from sweep.cli.summary import of_trials
    from sweep.tables.results import Results

    folder = study_folder.find(results, study)
    try:
        status = _follow(folder, seconds)
    except KeyboardInterrupt:
        echo("The view has ended; the study goes on.")
        return
    echo("\n".join(of_trials(Results(folder))))
    echo(f"status  {status}. {ENDED.get(status, '')}".format(study=study).rstrip())


def _follow(folder: Location, seconds: float) -> str:
    """Show a study's events as they come, and return its status at the end of its driver."""
    from sweep.log.log import MemoryLog
    from sweep.study import Study
    from sweep.tables.results import Results
    from sweep.tables.status import status_of

    config = Results(folder).config
    log = study_folder.log_of(folder)
    known, read_to = MemoryLog(), 0
    for event, end in log.scan():
        known.append(event)
        read_to = end
    workers = config.resources.parallel or 1
    study = Study(rule=_silent, log=known, budget=config.budget, workers=workers)
    with watcher(quiet=False)(study, config, folder) as listener:
        study.listen(listener)
        while not study.finished:
            # Asked before the log is read: what a driver logs before its end is shown.
            status = status_of(folder, "running")
            for event, end in log.scan(offset=read_to, seq=study.history.seq + 1):
                study.follow(event)
                read_to = end
            if status != "running":
                return "finished" if study.finished else status
            time.sleep(seconds)
    return "finished"


def _silent(history: History) -> Decision:
    """Decide nothing: the study's own driver decides."""
    return Decision(zone=history.zone, verdicts=())
