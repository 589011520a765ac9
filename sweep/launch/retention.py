"""Which weights stay: those of decided candidates are removed as `resources.keep` says.

The event comes before the deed. What a crash leaves between the two is removed when the study
ends, and is not told again. The winner's weights are never removed.
"""

from __future__ import annotations

from functools import cached_property

from sweep.config.models import StudyConfig
from sweep.core.history import State
from sweep.core.records import Event
from sweep.log.log import refused
from sweep.log.study_folder import trial_folder
from sweep.pretraining.checkpoint import ENCODER, drop_state
from sweep.storage.location import Location
from sweep.storage.symlinks import refuse_links
from sweep.study import Study


class Keeper:
    """Removes what no longer serves; a listener of the study.

    Args:
        study: under way.
        config: its `resources.keep` says what stays.
        folder: of the study.
    """

    def __init__(self, study: Study, config: StudyConfig, folder: Location) -> None:
        self._study, self._keep, self._folder = study, config.resources.keep, folder

    def __call__(self, event: Event) -> None:
        """Remove the weights of a trial as soon as it is stopped."""
        if event.kind == "verdict" and event.payload["action"] == "stop":
            self._drop(event.trial_id)

    def finish(self, winner: str | None) -> None:
        """Remove what the end of the study leaves without use."""
        for trial_id in self._study.history.trial_ids:
            stopped = self._study.history.state_of(trial_id) == State.STOPPED
            if trial_id != winner and (stopped or self._keep == "winner"):
                self._drop(trial_id)

    @cached_property
    def _told(self) -> set[str]:
        """Trials whose weights are removed, or would be, had a crash not come between."""
        told = set[str]()
        for event in self._study.events():
            if event.kind == "dropped":
                told.add(event.trial_id)
            elif event.kind == "start":  # it goes on after all, and has weights again
                told.discard(event.trial_id)
        return told

    def _drop(self, trial_id: str) -> None:
        encoder = trial_folder(self._folder, trial_id) / ENCODER
        if encoder.parent.link_target() is not None:
            refuse_links(encoder.parent, itself=True)
        try:
            drop_state(encoder.parent)
            if self._keep == "all" or not encoder.exists():
                return
            if trial_id not in self._told:
                self._study.record("dropped", {}, trial_id=trial_id)
                self._told.add(trial_id)
            encoder.with_suffix(".json").remove()
            encoder.remove()
        except OSError as error:
            raise refused(encoder.parent, error, self._folder) from error
