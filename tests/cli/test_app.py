"""The command line as a person meets it: messages, exit codes, forms of output."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweep.cli import app
from sweep.config.study import StudyConfig
from sweep.launch import launch
from sweep.replay.landscape_files import load

TINY = """
[data]
name = "digits"
[encoder]
name = "small_conv"
[augment]
flip = 0.0
[train]
epochs = 1
batch = 256
[criteria]
alpha.last = 30
images = 500
[space.axes]
d = [8, 32]
lambd = [0.005, 0.1]
[rule]
name = "all"
[probe]
test = "all"
[resources]
runner = "local"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of four small models; returns its results folder."""
    results = tmp_path_factory.mktemp("results")
    import tomllib

    config = StudyConfig.parse({**tomllib.loads(TINY), "name": "tiny"})
    launch.run(config, results=results, warn=lambda sentence: None)
    return results


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of one command."""
    code = app.run_command([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_ls_show_and_best_agree_on_the_winner(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call("ls", "--results", done, "--json", capsys=capsys)
    assert code == 0
    winner = json.loads(out)[0]["winner"]
    _, out, _ = call("best", "tiny", "--results", done, "--json", capsys=capsys)
    row = json.loads(out)[0]
    assert row["trial_id"] == winner
    assert 0.0 < row["test_accuracy"] <= 1.0
    _, out, _ = call("show", "tiny", "--results", done, capsys=capsys)
    assert winner in out.splitlines()[2]
    assert "trials  4 probed" in out


EQUALS = """
from sweep import Measure, Observation

def trial(config, context):
    number = config.options["number"]
    alpha = Measure(name="alpha", value=0.1 * number)
    yield Observation(stage="measured", step=1, measures=(alpha,))
    accuracy = Measure(name="accuracy", value=0.25 if number == 1 else 0.5)
    yield Observation(stage="probed", step=1, measures=(accuracy,))
"""

TIES = """
name = "ties"
trial = "equals:trial"
[space.axes]
"options.number" = [1, 2, 3, 4, 5, 6, 7, 8]
[rule]
name = "all"
[resources]
runner = "local"
"""


def test_of_equal_accuracies_the_first_candidate_comes_first_in_every_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "equals.py").write_text(EQUALS, encoding="utf-8")
    (tmp_path / "ties.toml").write_text(TIES, encoding="utf-8")
    code, summary, _ = call(
        "run", tmp_path / "ties.toml", "--quiet", "--results", tmp_path, capsys=capsys
    )
    assert code == 0
    sql = "SELECT trial_id, options_number AS n FROM trials WHERE accuracy = 0.5 ORDER BY index"
    _, out, _ = call("query", "ties", sql, "--json", "--results", tmp_path, capsys=capsys)
    equals = {row["trial_id"]: row["n"] for row in json.loads(out)}
    winner, *_ = equals
    assert len(equals) == 7

    def listed(table: str) -> list[str]:
        first_words = [line.split(" ")[0] for line in table.splitlines()]
        return [word for word in first_words if word in equals]

    assert f"winner  {winner}: 50.00%" in summary
    assert listed(summary) == list(equals)[:5]
    _, best, _ = call("best", "ties", "--results", tmp_path, capsys=capsys)
    assert listed(best) == [winner]
    _, every_trial, _ = call("show", "ties", "--results", tmp_path, capsys=capsys)
    assert listed(every_trial) == list(equals)
    words = ["resume", "ties", "--repeat-top", 1, "--seeds", 2, "--quiet", "--results", tmp_path]
    _, repeated, _ = call(*words, capsys=capsys)
    header, _, row = repeated.split("ties-repeats:\n")[1].splitlines()
    cells = dict(zip(header.split(), row.split(), strict=True))
    assert int(cells["options.number"]) == equals[winner]


def test_slices_of_a_table_are_joined(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tomllib

    points = ({"d": 8, "lambd": 0.005}, {"d": 32, "lambd": 0.1})
    for number, point in enumerate(points):
        tree = {**tomllib.loads(TINY), "name": f"part-{number}", "space": {"points": [point]}}
        launch.run(StudyConfig.parse(tree), results=tmp_path, warn=lambda sentence: None)
    table = tmp_path / "both.parquet"
    words = ["part-0", "part-1", "--results", tmp_path, "-o", table]
    code, out, _ = call("landscape", *words, capsys=capsys)
    assert code == 0
    assert "both.parquet: 2 candidates" in out
    whole = {candidate.trial_id for candidate in load(done / "tiny").candidates}
    assert {candidate.trial_id for candidate in load(table).candidates} < whole
    code, _, error = call("landscape", "part-0", table, "--results", tmp_path, capsys=capsys)
    assert code == 2
    assert "both hold the candidate" in error


def test_a_finished_study_becomes_a_table_over_which_rules_are_replayed(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "tiny.parquet"
    code, out, _ = call("landscape", "tiny", "--results", done, "-o", table, capsys=capsys)
    assert code == 0
    assert "4 candidates" in out
    assert "spearman" in out
    picture = tmp_path / "tiny.png"
    words = [table, "--plot", picture, "--column", "rankme=loss"]
    code, again, _ = call("landscape", *words, capsys=capsys)
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "spearman" in again
    rows = tmp_path / "rows.parquet"
    words = ["--rules", "goldilocks,paper:round=4,random", "--orders", 4, "--draws", 2, "-o", rows]
    code, out, _ = call("replay", table, *words, "--json", capsys=capsys)
    assert code == 0
    assert rows.exists()
    found = {row["rule"]: row for row in json.loads(out)}
    assert found.keys() == {"goldilocks", "paper:round=4", "random"}
    keys = {"table", "rule", "orders", "p_within_1", "mean_regret", "worst_regret", "probes"}
    for row in found.values():
        assert keys | {"device_seconds_fraction"} <= row.keys()
        assert 0 <= row["device_seconds_fraction"] <= 1.01
    code, out, _ = call("replay", "tiny", *words, "--results", done, capsys=capsys)
    assert code == 0
    assert "mean_regret" in out


def test_the_leaders_are_trained_again_with_fresh_seeds(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["resume", "tiny", "--repeat-top", 1, "--seeds", 3, "--quiet", "--results", done]
    code, out, _ = call(*words, capsys=capsys)
    assert code == 0
    header, _, row = out.split("tiny-repeats:\n")[1].splitlines()
    cells = dict(zip(header.split(), row.split(), strict=True))
    assert cells["seeds"] == "3"
    assert float(cells["lo"]) < float(cells["mean"]) < float(cells["hi"])
    _, out, _ = call(
        "query",
        "tiny-repeats",
        "SELECT DISTINCT seed FROM trials",
        "--json",
        "--results",
        done,
        capsys=capsys,
    )
    assert sorted(row["seed"] for row in json.loads(out)) == [1, 2, 3]
    _, best, _ = call("best", "tiny", "--results", done, "--json", capsys=capsys)
    assert cells["d"] == str(json.loads(best)[0]["d"])
    code, _, _ = call(*words, capsys=capsys)  # again: nothing is left to do
    assert code == 0


def test_every_verdict_of_a_live_study_is_reproduced(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call("replay", "--verify", "tiny", "--results", done, capsys=capsys)
    assert code == 0
    assert "4 verdicts reproduced" in out


def test_why_tells_what_the_rule_knew_of_a_trial(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = call("best", "tiny", "--results", done, "--json", capsys=capsys)
    winner = json.loads(out)[0]["trial_id"]
    code, out, _ = call("show", "tiny", "--why", winner, "--results", done, capsys=capsys)
    assert code == 0
    assert "rule all probes every model" in out
    code, _, err = call("show", "tiny", "--why", "nobody", "--results", done, capsys=capsys)
    assert code == 2
    assert "The trial 'nobody'" in err


def test_select_says_whom_to_probe_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "models.csv"
    lines = [f"m{i},{0.5 + i / 10},{'0.5' if i == 3 else ''}" for i in range(12)]
    path.write_text("\n".join(["id,alpha,acc", *lines]))
    names = ["--column", "trial_id=id", "--column", "accuracy=acc"]
    code, out, _ = call("select", path, "-n", 3, *names, "--json", capsys=capsys)
    assert code == 0
    suggested = json.loads(out)
    assert len(suggested) == 3
    assert all(row["reason"] and row["id"] != "m3" for row in suggested)
    code, _, err = call("select", path, capsys=capsys)
    assert code == 2
    assert "--column accuracy=NAME" in err


@pytest.mark.parametrize("form", ["--json", "--csv", "--table"])
def test_a_query_answers_in_three_forms(
    done: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT d, lambd, alpha, accuracy FROM trials ORDER BY accuracy DESC LIMIT 2"
    code, out, _ = call("query", done / "tiny", sql, form, capsys=capsys)
    assert code == 0
    if form == "--json":
        assert [set(row) for row in json.loads(out)] == [{"d", "lambd", "alpha", "accuracy"}] * 2
    elif form == "--csv":
        assert len(list(csv.DictReader(io.StringIO(out)))) == 2
    else:
        assert len(out.splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "none.toml"], "There is no config none.toml. `sweep init none.toml` writes"),
        (["show", "tiney"], "The study 'tiney' is not known. Did you mean 'tiny'?"),
        (["query", "tiny", "DROP TABLE trials"], "SELECT"),
        (["query", "tiny", "SELECT lambda FROM trials"], "lambd"),
        (["query", "SELECT 1"], "A query names a study and then a SELECT"),
        (["ls", "--json", "--csv"], "exclude each other"),
        (["stop", "tiny"], "No process runs"),
        (["export", "tiny", "-o", "x.pt"], "does not end in .safetensors"),
        (["export", "tiny", "-o", "x.safetensors", "--trial", "zz"], "has no trial 'zz'"),
        (["landscape", "tiny", "--plot", "x.gif"], "does not end in .svg, .png or .pdf"),
        (["landscape", "x.parquet", "-o", "x.parquet"], "x.parquet is the table itself"),
        (["bench", "trian"], "The bench 'trian' is not known. Did you mean 'train'?"),
        (["resume", "tiny", "train.epochs=2"], "A resume cannot change train"),
        (["resume", "tiny", "space.axes.d=[8]"], "may only enlarge the space"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    done: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [] if words[0] == "bench" else ["--results", done]
    code, out, err = call(*words, *where, capsys=capsys)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err + out


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["data.path=/no/such/folder"], "/no/such/folder"),
        (["train.batch=5000"], "fewer than a batch of 5000. Set train.batch to"),
        (["criteria.alpha.last=257"], "reaches beyond the encoder's 256 features"),
        (["space.axes.d=[0]"], "impossible candidate"),
        (["space.axes.lambd=[-1.0]"], "impossible candidate"),
        (["encoder.name=resnet19"], "Did you mean 'resnet18'?"),
        (["method.name=barlow"], "Did you mean 'barlow_twins'?"),
        (["criteria.names=['alfa']"], "Did you mean 'alpha'?"),
        (["rule.name=paper", "criteria.names=['rankme']"], "decides by alpha"),
        (["probe.name=liner"], "Did you mean 'linear'?"),
        (["rule.name=papr"], "Did you mean 'paper'?"),
        (["trial=mine:run"], "No module named 'mine'"),
        (["resources.gpu=1"], "no GPU was found. Set resources.gpu=0"),
        (["resources.cpu=4096"], "resources.cpu is 4096, and there are"),
        (["trainn.epochs=1"], "Did you mean 'train'?"),
    ],
)
def test_a_study_that_cannot_be_leaves_nothing_behind(
    tmp_path: Path, overrides: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    results = tmp_path / "results"
    code, _, err = call("run", path, *overrides, "--results", results, capsys=capsys)
    assert code == 2
    assert sentence in err
    assert not results.exists()


def test_a_probe_without_labels_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(300):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.replace('name = "digits"', f'path = "{photos}"'), encoding="utf-8")
    small = ["train.batch=64", "criteria.images=200", "--results", tmp_path / "results"]
    code, _, err = call("run", path, *small, capsys=capsys)
    assert code == 2
    assert "The probe needs labels, and the train split has none. Name a labelled set" in err
    code, out, _ = call("run", path, "rule.name=none", *small, capsys=capsys)
    assert code == 0
    assert "winner  none: nothing was probed" in out


def test_an_existing_study_is_not_overwritten(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    code, _, err = call("run", path, "--results", done, capsys=capsys)
    assert code == 2
    assert "exists already. `sweep resume" in err


def test_a_study_that_is_over_is_shown_by_resume_and_nothing_is_written(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (done / "tiny" / "events.jsonl").read_bytes()
    _, out, _ = call("ls", "--results", done, "--json", capsys=capsys)
    winner = next(row["winner"] for row in json.loads(out) if row["study"] == "tiny")
    code, out, _ = call("resume", "tiny", "--results", done, capsys=capsys)
    assert code == 0
    assert f"winner  {winner}: " in out
    assert launch.resume(done / "tiny").winner == winner
    assert (done / "tiny" / "events.jsonl").read_bytes() == before
    assert '"finished"' in call("ls", "--results", done, "--json", capsys=capsys)[1]


def test_a_damaged_study_is_shown_up_to_the_damage_with_one_note_and_not_resumed(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(done / "tiny", folder)
    shutil.rmtree(folder / "tables")
    log = folder / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:-2], b"{}\n", *lines[-1:]]))
    lambdas = "SELECT lambd FROM trials WHERE accuracy IS NOT NULL"
    for words in (["show", folder], ["query", folder, lambdas]):
        code, out, err = call(*words, capsys=capsys)
        assert code == 0
        rows = [line for line in out.splitlines() if not line.startswith("chance")]
        assert len([line for line in rows if "0." in line]) == 4
        assert err.count("Note: ") == 1
        assert f"is damaged at line {len(lines) - 1}" in err
    code, _, err = call("resume", folder, capsys=capsys)
    assert code == 2
    assert "The lines before it are whole; restore the file from a copy." in err


def test_init_writes_a_config_that_dry_run_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    assert call("init", path, capsys=capsys)[0] == 0
    assert call("init", path, capsys=capsys)[0] == 2
    path.write_text(TINY, encoding="utf-8")
    code, out, _ = call("run", path, "--dry-run", capsys=capsys)
    assert code == 0
    assert "4 candidates, 1 at once" in out
    assert "pretraining" in out
    assert "disk" in out


def test_a_study_in_which_every_trial_fails_says_so_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_code.py").write_text(
        "def trial(config, context):\n    raise OSError('gone')\n"
    )
    path = tmp_path / "fails.toml"
    path.write_text(TINY.replace("[data]", 'trial = "broken_code:trial"\n[data]'), encoding="utf-8")
    code, out, err = call("run", path, "--results", tmp_path / "results", capsys=capsys)
    assert code == 1
    assert "Every trial failed." in err
    assert "OSError: gone (see" in out
    log = next((tmp_path / "results").glob("fails/trials/*/log.txt"))
    assert "OSError: gone" in log.read_text(encoding="utf-8")


def test_a_study_without_probes_ranks_its_models_by_each_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "equals.py").write_text(EQUALS, encoding="utf-8")
    (tmp_path / "ties.toml").write_text(TIES, encoding="utf-8")
    words = ["run", tmp_path / "ties.toml", "rule.name=none", "--quiet", "--results", tmp_path]
    code, summary, _ = call(*words, capsys=capsys)
    assert code == 0
    sql = "SELECT trial_id FROM trials ORDER BY alpha DESC LIMIT 5"
    _, out, _ = call("query", "ties", sql, "--json", "--results", tmp_path, capsys=capsys)
    nearest = [row["trial_id"] for row in json.loads(out)]
    first, second, third, _, worth, *_ = summary.splitlines()
    numbers = [
        f"{trial_id} ({0.1 * n:.4g})" for trial_id, n in zip(nearest, (8, 7, 6, 5, 4), strict=True)
    ]
    assert first == f"alpha, nearest 1 first: {', '.join(numbers)}"
    assert second == "rankme, largest first: not measured"
    assert third == "loss, lowest first: not measured"
    assert worth.startswith("Such a ranking is worth little: ")


def test_the_help_shows_each_command_in_a_whole_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.run_command(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in app.COMMANDS.items():
        first = (command.__doc__ or "").splitlines()[0]
        assert len(first) <= 50, name
        assert first.endswith("."), name
        assert first in shown, name
