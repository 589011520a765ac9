"""Signals: noted, answered at once, or in time, as the block says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.runners.interrupt import Interrupted, StopRequest, ending_at_once, request_stop
from sweep.storage.location import locate

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_ends_a_block_at_once(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as raised, ending_at_once():
        signal.raise_signal(number)
    assert raised.value.exit_code == code
    assert signal.getsignal(number) is before


def test_a_study_notes_a_signal_and_does_not_wait_after_a_second_ctrl_c(tmp_path: Path) -> None:
    stop = StopRequest(locate(tmp_path))
    with stop.installed():
        signal.raise_signal(signal.SIGTERM)
        assert stop
        assert stop.exit_code == 75
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
    assert stop.exit_code == 130


def test_a_request_from_another_terminal_is_found_and_an_old_one_forgotten(tmp_path: Path) -> None:
    request_stop(locate(tmp_path))
    assert not StopRequest(locate(tmp_path))
    stop = StopRequest(locate(tmp_path))
    request_stop(locate(tmp_path))
    assert stop
    assert stop.exit_code == 75


STUCK = """
import hashlib
from sweep.runners.interrupt import ending_at_once, leaving_in_time
with leaving_in_time(SECONDS, hurried=0.1), ending_at_once():
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)  # minutes, without a look at signals
"""


@pytest.mark.parametrize(
    ("seconds", "numbers", "code"),
    [(0.1, [signal.SIGTERM], 75), (60, [signal.SIGINT, signal.SIGINT], 130)],
)
def test_a_call_into_c_does_not_keep_a_process(
    seconds: float, numbers: list[signal.Signals], code: int
) -> None:
    command = [sys.executable, "-c", STUCK.replace("SECONDS", str(seconds))]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for number in numbers:
            time.sleep(0.5)  # two at once are one
            process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert "`sweep resume` goes on" in said


def test_a_block_without_a_signal_leaves_the_process_alone() -> None:
    code = (
        "import time; from sweep.runners.interrupt import leaving_in_time\n"
        "with leaving_in_time(0.1):\n    pass\n"
        "time.sleep(0.5); print('whole')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "whole\n"
