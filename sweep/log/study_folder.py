"""Where studies lie, and what lies where in a study's folder: the only file that knows its paths.

RESULTS/NAME/events.jsonl       the log: a file on a disk, a folder on an object store
RESULTS/NAME/driver.json, .lock the lease of the driver (`sweep.storage.lease`)
RESULTS/NAME/prior.json         what the rule knows from earlier studies (`sweep.log.prior_copy`)
RESULTS/NAME/stop.request       the request to stop (`sweep stop`)
RESULTS/NAME/tables/            Parquet snapshots of the tables
RESULTS/NAME/trials/TRIAL/      the files of one trial
"""

from __future__ import annotations

from sweep.core.errors import StudyError, StudyExists, UserError, unknown_name
from sweep.core.events import Event
from sweep.core.limits import NAME
from sweep.log.file_log import FileLog, FileLogReader
from sweep.log.log import LogReader, StudyLog
from sweep.log.s3_log import S3Log, S3LogReader
from sweep.storage.lease import LOCK, NOTE, take
from sweep.storage.location import Location, locate
from sweep.storage.symlinks import refuse_links

EVENTS = "events.jsonl"
PRIOR = "prior.json"
TABLES = "tables"
TRIALS = "trials"


# Paths -------------------------------------------------------------------------------


def trial_folder(folder: Location, trial_id: str) -> Location:
    """Return the folder of one trial of a study."""
    return folder / TRIALS / trial_id


def tables_folder(folder: Location) -> Location:
    """Return the folder of a study's Parquet snapshots."""
    return folder / TABLES


def prior_file(folder: Location) -> Location:
    """Return the copy of a study's prior."""
    return folder / PRIOR


def stop_file(folder: Location) -> Location:
    """Return the file that asks the driver of a study to stop."""
    return folder / "stop.request"


# The log -----------------------------------------------------------------------------


def open_log(folder: Location) -> StudyLog:
    """Return the log of a study, open for appending by this process alone.

    Raises:
        StudyError: another driver holds the study, its log is damaged, or a link leads out of
            the folder.
    """
    refuse_links(folder)
    lease, path = take(folder), folder / EVENTS
    return FileLog(path, lease) if folder.conditional is None else S3Log(path, lease)


def log_of(folder: Location) -> LogReader:
    """Return a reader of a study's log, which another process may be writing."""
    path = folder / EVENTS
    return FileLogReader(path) if folder.conditional is None else S3LogReader(path)


def read_log(folder: Location) -> list[Event]:
    """Return every event of a study; raises as `LogReader.scan` does."""
    return [event for event, _ in log_of(folder).scan()]


# Studies -----------------------------------------------------------------------------


def create(results: Location, name: str) -> Location:
    """Make the folder of a new study and return it.

    A folder whose driver died before its first event is used again.

    Raises:
        UserError: `results` is not writable.
        StudyError: the name is not a valid file name, or is taken.
    """
    folder = check_vacant(results, name)
    check_writable(results)
    try:
        folder.make_folder()
    except FileExistsError:
        raise _not_a_folder(folder) from None
    return folder


def check_vacant(results: Location, name: str) -> Location:
    """Return where a new study of that name would lie; raise `StudyError` if it cannot."""
    if not NAME.fullmatch(name):
        raise StudyError(
            f"A study cannot be named {name!r}: letters, digits, '.', '_' and '-', "
            "at most 100 of them, a letter or digit first."
        )
    folder = results / name
    if (target := folder.link_target()) is not None:
        raise StudyError(
            f"{folder} is a link to {target}: a study is made in a folder of its own. "
            "Choose another name=NAME, or --results DIR."
        )
    if folder.exists():
        raise _not_a_folder(folder)
    check_no_event(folder)
    if others := set(folder.names()) - {EVENTS, LOCK, NOTE, PRIOR}:
        raise StudyError(
            f"{folder} is not a study but holds {min(others)!r}. Choose another name=NAME."
        )
    return folder


def check_no_event(folder: Location) -> None:
    """Raise `StudyExists` if the log of a study holds an event."""
    if has_begun(folder):
        raise StudyExists(
            f"The study {folder} exists already. `sweep resume {folder}` goes on with it; "
            "name=NAME begins another."
        )


def has_begun(folder: Location) -> bool:
    """Return whether the log of a study holds an event."""
    log = log_of(folder)
    return log.exists() and next(log.scan(), None) is not None


def find(results: Location, study: str) -> Location:
    """Return the folder of a study, given its name under `results` or a path.

    Raises:
        StudyError: there is no such study; the sentence lists the studies under `results`.
    """
    name = study.rstrip("/")
    if NAME.fullmatch(name) and is_study(results / name):
        return results / name
    if study and is_study(folder := locate(study)):
        return folder
    names = [folder.name for folder in listing(results)]
    if not names:
        raise StudyError(
            f"There is no study {study!r}, and none at all in {results}. "
            "`sweep run experiments/quickstart.toml` makes one; --results DIR looks elsewhere."
        )
    raise StudyError(unknown_name("The study", study, names) + f" They lie in {results}.")


def listing(results: Location) -> list[Location]:
    """Return the folders of all studies under `results`, by name."""
    return [results / name for name in results.names() if is_study(results / name)]


def check_writable(results: Location) -> None:
    """Make the folder and write into it; raise `UserError` if that fails."""
    try:
        results.check_writable()
    except OSError as error:
        raise UserError(
            f"Results cannot be written to {results}: {error.strerror or error}. "
            "Name another folder with --results DIR."
        ) from error


def is_study(folder: Location) -> bool:
    """Return whether a folder holds a study's log."""
    return log_of(folder).exists()


def _not_a_folder(folder: Location) -> StudyError:
    return StudyError(f"{folder} exists and is not a folder. Choose another name=NAME.")
