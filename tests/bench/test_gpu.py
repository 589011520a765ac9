from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sweep.bench import alpha, gpu, probe, train
from sweep.core.errors import UserError

PARTS = {"train", "trials_at_once", "alpha", "probe", "study"}


@pytest.mark.slow
def test_every_part_is_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "AT_ONCE", (1, 2))
    report = gpu.run(device="cpu", output=tmp_path, small=True, repeats=1)
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert written == json.loads(report.to_json())
    parts = written["parts"]
    assert parts.keys() == PARTS
    assert [part["error"] for part in parts.values() if "error" in part] == []
    assert parts["trials_at_once"]["against_one"]["1"] == 1.0
    assert parts["study"]["winner"]
    assert "train  " in report.to_text()
    with pytest.raises(UserError, match=r"gpu\.json is there"):
        gpu.run(device="cpu", output=tmp_path)


def test_a_part_that_fails_is_recorded_and_the_next_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**options: object) -> None:
        raise RuntimeError("planted")

    for bench in (train, alpha, probe):
        monkeypatch.setattr(bench, "run", broken)
    monkeypatch.setattr(train, "team", broken)
    report = gpu.run(device="cpu", output=tmp_path, small=True)
    assert report.parts["alpha"]["error"] == "RuntimeError: planted"
    assert "error" not in report.parts["study"]


def test_parts_for_which_no_time_is_left_are_skipped(tmp_path: Path) -> None:
    report = gpu.run(device="cpu", output=tmp_path, small=True, minutes=0)
    assert set(report.skipped) == PARTS
    assert "alpha  skipped" in report.to_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sees no GPU"):
        gpu.run(output=tmp_path / "new")
    assert not (tmp_path / "new").exists()
