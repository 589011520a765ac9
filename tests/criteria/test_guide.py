"""The criterion that the guide shows runs as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import sweep
from sweep.core.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs/pages/guide/members.md"
CONFIG = """
data.name = "digits"
encoder.name = "small_conv"
train = { epochs = 1, batch = 256 }
space.axes.d = [8, 32]
resources.runner = "local"
rule.name = "none"
[criteria]
images = 300
names = ["alpha", "my_criteria:dead_units"]
alpha = { last = 30 }
"my_criteria:dead_units" = { below = 0.01 }
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config with the guide's criterion beside it; nothing of it is left behind."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = next(block for block in blocks if block.startswith("# my_criteria.py"))
    (tmp_path / "my_criteria.py").write_text(code, encoding="utf-8")
    path = tmp_path / "own.toml"
    path.write_text(CONFIG, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("sweep.core.plugins._FOLDERS", [])
    monkeypatch.delitem(sys.modules, "my_criteria", raising=False)
    return path


def test_the_criterion_of_the_guide_is_a_column_of_the_trials(config: Path) -> None:
    sweep.run(config, results=config.parent / "results")
    trials = sweep.load(config.parent / "results" / "own").trials
    assert all(0 <= share <= 1 for share in trials["dead_units"].to_pylist())


def test_a_value_of_its_key_out_of_range_is_refused(config: Path) -> None:
    wrong = 'criteria."my_criteria:dead_units".below=0'
    with pytest.raises(ConfigError, match=r"below is 0: input should be greater than 0"):
        sweep.run(config, results=config.parent / "results", overrides=[wrong])
    assert not (config.parent / "results").exists()
