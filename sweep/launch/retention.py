"""Removes the weights of decided candidates that `resources.keep` does not keep.

The event is logged before the files are deleted. Files that a crash leaves between the two are
deleted when the study ends, without a second event. The winner's weights are never removed.
"""

from __future__ import annotations

from functools import cached_property

from sweep.config.study import StudyConfig
from sweep.core.events import Decided, EncoderDropped, Event, TrialStarted
from sweep.core.history import State
from sweep.log.log import refused
from sweep.log.study_folder import trial_folder
from sweep.pretraining.checkpoint import ENCODER, drop_state
from sweep.storage.location import Location
from sweep.storage.symlinks import refuse_links
from sweep.study import Study


class Keeper:
    """Removes weights that nothing needs any more; a listener of the study.

    Args:
        study: the running study.
        config: its `resources.keep` says which weights stay.
        folder: of the study.
    """

    def __init__(self, study: Study, config: StudyConfig, folder: Location) -> None:
        self._study, self._keep, self._folder = study, config.resources.keep, folder

    def __call__(self, event: Event) -> None:
        """Remove the weights of a trial as soon as it is stopped."""
        match event:
            case Decided(action="stop"):
                self._drop(event.trial_id)

    def finish(self, winner: str | None) -> None:
        """Remove the weights that nothing needs after the end of the study."""
        for trial_id in self._study.history.trial_ids:
            stopped = self._study.history.state_of(trial_id) == State.STOPPED
            if trial_id != winner and (stopped or self._keep == "winner"):
                self._drop(trial_id)

    @cached_property
    def _logged(self) -> set[str]:
        """Trials whose removal is in the log; a crash may have left their files."""
        logged = set[str]()
        for event in self._study.events():
            match event:
                case EncoderDropped():
                    logged.add(event.trial_id)
                case TrialStarted():  # the trial runs again, and writes weights again
                    logged.discard(event.trial_id)
        return logged

    def _drop(self, trial_id: str) -> None:
        encoder = trial_folder(self._folder, trial_id) / ENCODER
        if encoder.parent.link_target() is not None:
            refuse_links(encoder.parent, itself=True)
        try:
            drop_state(encoder.parent)
            if self._keep == "all" or not encoder.exists():
                return
            if trial_id not in self._logged:
                self._study.record(EncoderDropped(trial_id=trial_id))
                self._logged.add(trial_id)
            encoder.with_suffix(".json").remove()
            encoder.remove()
        except OSError as error:
            raise refused(encoder.parent, error, self._folder) from error
