"""The command that stops a study: `sweep stop`."""

from __future__ import annotations

from sweep.cli.options import RESULTS, JobServer, ResultsDir, StudyName
from sweep.cli.output import echo
from sweep.core.errors import StudyError, UserError
from sweep.log import study_folder

STOP_WAIT_SECONDS = 45.0


def stop(study: StudyName, results: ResultsDir = RESULTS, address: JobServer = None) -> None:
    """Ask a study that runs to stop.

    It runs in another terminal, or as a job of a cluster. It can be resumed.

    Example: sweep stop quickstart
    """
    if address is not None:
        _stop_job(study, address)
        return
    from sweep.runners.interrupt import request_stop
    from sweep.storage.lease import holder_of

    folder = study_folder.find(results, study)
    driver = holder_of(folder)
    if driver is None:
        raise StudyError(f"No process runs {folder}. `sweep resume {folder}` continues it.")
    request_stop(folder)
    echo(f"Asked {driver} to stop. `sweep resume {folder}` continues it.")


def _stop_job(name: str, address: str) -> None:
    """Stop a study that is a job, and say what became of it."""
    from sweep.jobs.head import Head
    from sweep.jobs.submit import stop

    job = stop(Head(address), name, wait_seconds=STOP_WAIT_SECONDS)
    if not job.ended:
        raise UserError(f"The job {name} still runs, {STOP_WAIT_SECONDS:.0f} s after the request.")
    echo(f"The job {name} has ended: {job.status.lower()}. Submitting the study again goes on.")
