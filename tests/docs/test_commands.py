"""The commands of README and documentation run, in their order, over small studies and images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from sweep.cli.app import run_command
from sweep.launch import launch
from tests.docs.pages import commands, words
from tests.small import small_study

NOT_RUN = {
    "sweep run experiments/quickstart.toml": "a minute; CI's slow tests run studies on Ray",
    "sweep start photos --minutes 30": "half an hour; tests/planning runs short ones",
    "sweep run mine.toml data.path=photos data.size=64 resources.gpu=0.25": "needs a GPU",
    "sweep resume mine": "goes on with the study above",
    "sweep run mine.toml data.path=photos": "minutes; the dry run of it runs",
    "sweep run mine.toml data.path=table.parquet": "minutes",
    "sweep run experiments/cifar10.toml data.path=/data data.download=true": "a download",
    "sweep start photos data.label=breed --name breeds": "an hour",
    "sweep run photos.toml name=again": "half an hour",
    "sweep show quickstart --why 61baa8fe65": "names a trial of the README's own run",
    "sweep watch quickstart": "tests/cli/test_watch.py watches a study that runs",
    "sweep send quickstart --to optuna --follow": "tests/exporters sends while a study runs",
    "sweep view": "serves until Ctrl-C; tests/report drives it",
}
"""Command -> why it is not run here."""
ELSEWHERE = ("cifar10", "c10", "digits", "s3://", "http://", "/shared", "results/last-month", "k8s")
"""What stands in commands whose images, stores or clusters are not here."""
FASTER = {"replay": ["--orders", "3", "--draws", "3"], "run": ["--dry-run"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the studies, images and tables that the commands name."""
    folder = tmp_path_factory.mktemp("place")
    for name, epochs in (("quickstart", 1), ("other", 2)):
        study = small_study(
            f"train.epochs={epochs}",
            f"name={name}",
            "probe.test=all",
            "probe.at=[0.5]",
            space={"axes": {"d": [8, 16], "lambd": [0.005, 0.1]}},
            rule={"name": "all"},
        )
        launch.run(study, results=folder / "results")
    for name in ("mystudy", "last-month"):
        shutil.copytree(folder / "results/quickstart", folder / "results" / name)
    pixels, labels = load_digits(return_X_y=True)
    for number, (image, label) in enumerate(zip(pixels[:600], labels[:600] % 2, strict=True)):
        path = folder / "photos" / f"class{label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image.reshape(8, 8) * 15).astype("uint8")).save(path)
    rows = [f"m{i},{1 + i / 10},{0.5 if i < 3 else ''}" for i in range(8)]
    (folder / "models.csv").write_text("\n".join(["checkpoint,alpha,top1", *rows]) + "\n")
    rows = [f"r{i},finished,{1 + i / 10},{0.5 if i < 3 else ''}" for i in range(8)]
    (folder / "runs.csv").write_text("\n".join(["ID,State,alpha,val_top1", *rows]) + "\n")
    return folder


def is_run(command: str) -> bool:
    return command not in NOT_RUN and not any(word in command for word in ELSEWHERE)


def test_the_commands_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert run_command(["landscape", "quickstart", "-o", "table.parquet"]) == 0
    done = [command for command in commands() if is_run(command)]
    # `rm` is last: the commands before it need the study.
    for command in sorted(done, key=lambda command: command.startswith("sweep rm ")):
        name, *rest = words(command)
        faster = [] if "--verify" in rest else FASTER.get(name, [])
        extra = ["--yes"] if name == "rm" else []
        code = run_command([name, *rest, *extra, *faster])
        printed = capsys.readouterr()
        assert code == 0, f"{command}\n{printed.out}{printed.err}"
    assert {command.split()[1] for command in done} >= {
        *("init", "run", "data", "report", "query", "show", "best", "ls", "compare", "dump"),
        *("rm", "export", "landscape", "replay", "select", "prior"),
    }


def test_what_is_not_run_stands_in_the_docs() -> None:
    assert not [command for command in NOT_RUN if command not in commands()]
