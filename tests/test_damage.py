"""Storage that fails in the middle of a study: real full, lost and read-only file systems.

Needs a mount namespace of its own, as Linux gives to root and mostly to anybody.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

STUDY = '''
import subprocess
from pathlib import Path
from sweep import Measure, Observation

def harm(name, folder):
    """Let the storage fail; `folder` is the study's."""
    if name == "full":
        with (folder.parent / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
    elif name == "gone":
        folder.rename(folder.with_name("elsewhere"))
    else:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)

def heal(name, folder):
    if name == "full":
        (folder.parent / "filler").unlink()
    elif name == "gone":
        folder.with_name("elsewhere").rename(folder)
    else:
        subprocess.run(["umount", folder], check=True)

def trial(config, context):
    number = config.options["number"]
    marker = Path(__file__).with_name(config.options["harm"])
    alpha = Measure(name="alpha", value=1.0 + number)
    for step in range(60):
        yield Observation(stage="pretrain", step=step, fraction=0.5)
        if number == 3 and step == 20 and not marker.exists():
            marker.touch()
            harm(config.options["harm"], context.folder.parent.parent)
    yield Observation(stage="measured", step=100, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.1 * number)
    yield Observation(stage="probed", step=100, measures=(accuracy,))
'''

DRIVER = """
import contextlib, json, os, subprocess, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root))
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", root / "disk"], check=True)
from sweep.launch import launch
from sweep.log.study_folder import read_log
from sweep.storage.location import locate
from sweep.config.study import StudyConfig
from sweep.core.codec import encode
from sweep.core.errors import SweepError
from sweep.core.events import Observed
from harmed import heal

def study(harm):
    axes = {"options.number": [1, 2, 3, 4], "options.harm": [harm]}
    resources = {"runner": "local", "retries": 3}
    tree = {"name": harm, "trial": "harmed:trial", "space": {"axes": axes}}
    return StudyConfig.parse({**tree, "rule": {"name": "all"}, "resources": resources})

told = []
@contextlib.contextmanager
def watch(study, config, folder):
    yield lambda event: told.append(event)

found = {}
for harm in ("full", "gone", "read-only"):
    folder = root / "disk" / harm / harm
    told.clear()
    try:
        launch.run(study(harm), results=folder.parent, watch=watch, warn=print)
    except SweepError as error:
        said, code = str(error), error.exit_code
    heal(harm, folder)
    launch.resume(folder, watch=watch)
    events = read_log(locate(folder))
    seen = [(e.trial_id, e.observation.stage, e.observation.step)
            for e in events if isinstance(e, Observed)]
    found[harm] = {
        "said": said,
        "code": code,
        "lost": [e.seq for e in told if encode(e) != encode(events[e.seq])],
        "doubled": len(seen) - len(set(seen)),
        "observations": len(seen),
        "last": events[-1].kind,
        "left": [p.name for p in folder.rglob("*.tmp")],
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of three studies whose storage failed; one process plays them all."""
    root = tmp_path_factory.mktemp("damage")
    alone = ["unshare", "--map-root-user", "--mount"]
    try:
        mount = ["mount", "-t", "tmpfs", "none", str(root)]
        subprocess.run([*alone, *mount], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this machine gives nobody a mount namespace")
    (root / "disk").mkdir()
    (root / "harmed.py").write_text(STUDY, encoding="utf-8")
    (root / "driver.py").write_text(DRIVER, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*alone, sys.executable, str(root / "driver.py"), str(root)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("full", "cannot be written: No space left on device. Free some space there, then `sweep"),
        ("gone", "cannot be written: No such file or directory. Put that right, then `sweep res"),
        ("read-only", "cannot be written: Read-only file system. Put that right, then `sweep re"),
    ],
)
def test_a_study_whose_storage_fails_ends_resumable_and_loses_nothing(
    found: dict[str, Any], harm: str, sentence: str
) -> None:
    one = found[harm]
    assert sentence in one["said"]
    assert one["code"] == 75
    assert one["lost"] == []
    assert one["doubled"] == 0
    assert one["observations"] == 4 * 62
    assert one["last"] == "finish"
    assert one["left"] == []
