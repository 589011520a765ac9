"""The columns and types of a study's tables; an empty table has them, too."""

from __future__ import annotations

import pyarrow as pa

from sweep.core.records import MEASURES_OF_PROBE

VERSION = 4
"""Version of the schemas below. For a snapshot of another version, the log is read instead."""

TIME = pa.timestamp("us", tz="UTC")
"""The type of every point in time."""

STUDIES = pa.schema(
    {
        "study": pa.string(),
        "created": TIME,
        "updated": TIME,
        "status": pa.string(),  # created, running, finished; when read also stopped or dead
        "reason": pa.string(),  # why the study finished
        "winner": pa.string(),
        "zone_lo": pa.float64(),
        "zone_hi": pa.float64(),
        "candidates": pa.int64(),
        "pretrained": pa.int64(),
        "probes": pa.int64(),
        "failures": pa.int64(),
        "wall_seconds": pa.float64(),  # of all trials together
        "device_seconds": pa.float64(),
        "seed": pa.int64(),
        "sessions": pa.int64(),  # runs and resumes
        "host": pa.string(),
        "runner": pa.string(),
        "device": pa.string(),
        "workers": pa.int64(),
        "commit": pa.string(),
        "versions": pa.string(),  # JSON, as is config
        "config": pa.string(),  # as last changed by a resume
        "config_digest": pa.string(),
        "data_digest": pa.string(),
    }
)

_SECONDS = {
    f"{part}_{unit}": pa.float64()
    for part in ("pretrain", "measure", "probe", "test")
    for unit in ("seconds", "device_seconds")
}

FURTHER = {f"{name}{end}": pa.float64() for name in MEASURES_OF_PROBE for end in ("", "_lo", "_hi")}

TRIALS = pa.schema(
    {
        "study": pa.string(),
        "trial_id": pa.string(),
        "index": pa.int64(),
        # here: every other varied field, and the method's parameters; see `parameters`
        "seed": pa.int64(),
        "method": pa.string(),
        "encoder": pa.string(),
        "dataset": pa.string(),
        "epochs": pa.int64(),
        "status": pa.string(),
        "reason": pa.string(),
        "fraction": pa.float64(),
        "loss": pa.float64(),
        "alpha": pa.float64(),
        "alpha_r2": pa.float64(),
        "alpha_status": pa.string(),
        "alpha_first": pa.int64(),
        "alpha_last": pa.int64(),
        "rankme": pa.float64(),
        # here: every other measure of a finished stage
        "accuracy": pa.float64(),
        "accuracy_se": pa.float64(),
        "accuracy_lo": pa.float64(),  # ends of the 95 % interval, as of the measures that follow
        "accuracy_hi": pa.float64(),
        "chance": pa.float64(),  # share of the largest class of the validation split
        **FURTHER,
        "class_recall": pa.string(),  # JSON: class -> share of its images that are right
        "test_accuracy": pa.float64(),
        **_SECONDS,
        "attempt": pa.int64(),
        "winner": pa.bool_(),
        "zone_lo": pa.float64(),  # the rule's zone at the trial's last verdict
        "zone_hi": pa.float64(),
        "device": pa.string(),
        "worker": pa.string(),
        "checkpoint": pa.string(),
        "log": pa.string(),
        "config_digest": pa.string(),
    }
)

OBSERVATIONS = pa.schema(
    {
        "study": pa.string(),
        "trial_id": pa.string(),
        "seq": pa.int64(),
        "attempt": pa.int64(),
        "time": TIME,
        "stage": pa.string(),
        "step": pa.int64(),
        "fraction": pa.float64(),
        "loss": pa.float64(),
        "wall_seconds": pa.float64(),
        "device_seconds": pa.float64(),
        "detail": pa.string(),
    }
)

MEASURES = pa.schema(
    {
        "study": pa.string(),
        "trial_id": pa.string(),
        "seq": pa.int64(),
        "stage": pa.string(),
        "step": pa.int64(),
        "fraction": pa.float64(),
        "name": pa.string(),
        "value": pa.float64(),
        "status": pa.string(),
        "detail": pa.string(),
    }
)

SPECTRA = pa.schema(
    {
        "study": pa.string(),
        "trial_id": pa.string(),
        "step": pa.int64(),
        "fraction": pa.float64(),
        "eigenvalues": pa.list_(pa.float64()),
    }
)

VERDICTS = pa.schema(
    {
        "study": pa.string(),
        "trial_id": pa.string(),  # null if the row is a move of the zone, or idle
        "seq": pa.int64(),
        "time": TIME,
        "action": pa.string(),  # continue, hold, stop, begin; or zone, idle
        "reason": pa.string(),
        "lo": pa.float64(),
        "hi": pa.float64(),
        "through": pa.int64(),
        "answers_seq": pa.int64(),
    }
)

ATTEMPTS = pa.schema(
    {
        "study": pa.string(),
        "trial_id": pa.string(),
        "attempt": pa.int64(),
        "worker": pa.string(),  # where the runner names it
        "node": pa.string(),  # its host name, where it is known
        "device": pa.string(),
        "began": TIME,
        "ended": TIME,  # null while it runs
        "outcome": pa.string(),  # finished, stopped, failed, paused, lost, running
        "cause": pa.string(),  # of a failed or lost attempt
    }
)

SCHEMAS = {
    "studies": STUDIES,
    "trials": TRIALS,
    "observations": OBSERVATIONS,
    "measures": MEASURES,
    "spectra": SPECTRA,
    "verdicts": VERDICTS,
    "attempts": ATTEMPTS,
}
"""Every table; `trials` has further columns for varied fields, parameters and criteria."""
