"""`sweep watch` follows a study that another process drives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.cli.app import run_command
from tests.processes import wait_until

CONFIG = """
data = { name = "digits", limit = 700 }
encoder.name = "small_conv"
augment = { flip = 0.0, crop_min = 0.6 }
train = { epochs = 2, batch = 128, precision = "float32" }
criteria = { images = 300, alpha.last = 30 }
rule.name = "all"
resources.runner = "local"
"""


@pytest.mark.parametrize("killed", [False, True])
def test_watch_shows_what_happens_until_the_driver_ends(killed: bool, tmp_path: Path) -> None:
    seeds = list(range(40 if killed else 12))
    (tmp_path / "one.toml").write_text(f"{CONFIG}space.axes.seed = {seeds}\n")
    driver = subprocess.Popen(
        [sys.executable, "-m", "sweep", "run", "one.toml", "--quiet"], cwd=tmp_path
    )
    try:
        log = tmp_path / "results/one/events.jsonl"
        wait_until(lambda: log.exists() and b'"measured"' in log.read_bytes())
        with subprocess.Popen(
            [sys.executable, "-m", "sweep", "watch", "one", "--seconds", "0.2"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        ) as watching:
            assert watching.stdout is not None
            lines = [watching.stdout.readline()]
            if killed:
                os.kill(driver.pid, signal.SIGKILL)
            lines += watching.stdout.readlines()
        assert watching.returncode == 0
        shown = "".join(lines)
        assert any(f" {stage}: " in shown for stage in ("trained", "measured", "probed")), shown
        status = "dead" if killed else "finished"
        assert f"status  {status}" in lines[-1], shown
        assert ("sweep resume one" in lines[-1]) == killed
    finally:
        driver.kill()
        driver.wait()


def test_there_is_a_sentence_where_there_is_no_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["watch", "nothing"]) != 0
    assert "nothing" in capsys.readouterr().err
