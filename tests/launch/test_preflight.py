"""What preflight refuses, before a file is written; and what it fills in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.cli import app
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError, UserError
from sweep.launch import launch
from sweep.launch.preflight import prepare
from sweep.tables.results import Results
from tests.launch import plugin_members
from tests.small import small_study

OWN = "tests.launch.plugin_members"


def ids(*overrides: str) -> list[str]:
    return sorted(c.trial_id for c in prepare(small_study(*overrides)).candidates)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["method.temperature=1"],
         r"^method\.temperature is no key of barlow_twins\. Keys of barlow_twins: d, hidden, "),
        (["method={name='simclr',temperatur=0.1}"],
         r"method\.temperatur is no key of simclr\. Did you mean 'temperature'\?"),
        (["encoder.stem=cifar"], r"encoder\.stem is no key of small_conv\..* of small_conv: width"),
        (["encoder.width=8"], r"encoder\.width is 8: input should be greater than or equal to 32"),
        (["encoder.width=wide"], r"encoder\.width is 'wide': input should be a valid integer"),
        (["method.layers=0"], r"method\.layers is 0: input should be greater than or equal to 1"),
        (["data.image=x"], r"data\.image is no key of digits\. digits has no keys\."),
        (["probe.data={name='digits',image='x'}"], r"probe\.data\.image is no key of digits\."),
        (["probe.k=5"], r"probe\.k is no key of linear\. .*Keys of linear: l2\."),
        (["probe={name='knn',k=0}"], r"probe\.k is 0: input should be greater than 0"),
        (["probe.l2=[]"], r"probe\.l2 is \[\]: tuple should have at least 1 item"),
        (["rule.eta=2"], r"rule\.eta is no key of paper\. .*Keys of paper: round, sync\."),
        (["rule.round=3"], r"rule\.round is 3: input should be greater than or equal to 4"),
        (["rule.round=many"], r"rule\.round is 'many': input should be a valid integer"),
        (["rule.name=none", "rule.round=4"], r"rule\.round is no key of none\. none has no keys"),
        (["space.proposer={name='tpe',risk=1}"], r"space\.proposer\.risk is no key of tpe"),
        (["criteria.alpha.frist=2"], r"criteria\.alpha\.frist is no key of alpha\. .* 'first'"),
        (["criteria.alpha.first=0"], r"criteria\.alpha\.first is 0: input should be greater than"),
        (["criteria.alpha.first=29"], r"The criterion 'alpha': .*29\.\.30"),
        (["criteria.alpha.last=257"], r"beyond the encoder's 256 features"),
        (["criteria.images=30"], r"needs more than 30 images, and 30 are used"),
        (["criteria.names=['alpha']", "criteria.rankme={}"], r"keys of 'rankme', and names"),
        (["space.axes.encoder.stem=['cifar']"], r"impossible .*encoder\.stem is no key of sm"),
        (["space.axes.method.tau=[0.5]"], r"impossible candidate .*method\.tau is no key of "),
        (["space.axes.d=[8,1]"], r"impossible candidate \{'d': 1.*method\.d is 1: input"),
        (["space.axes.d=[8,'x']"], r"impossible candidate .*method\.d is 'x': input"),
        (["space.axes.width=[32,8]"], r"impossible candidate .*encoder\.width is 8: input"),
        (["space.axes.method.name=['byol']", "space.axes.d=[8]"], r"method\.lambd is no key"),
        (["space.axes={}", "space.points=[{d=8},{d=0}]"], r"impossible .*method\.d is 0: input"),
        (["space.axes={}", "space.points=[{'encoder.stem'='cifar'}]"], r"encoder\.stem is no key"),
        ([f"method.name={OWN}:needy", "space.axes={seed=[1]}"], r"method\.margin is missing\."),
        ([f"method.name={OWN}:needy", "space.axes={'method.margin'=[1.0,-1.0]}"],
         r"impossible candidate .*method\.margin is -1\.0: input should be greater than 0"),
        ([f"method.name={OWN}:needy", "space.axes={'method.depth'=[1]}"],
         r"impossible candidate .*method\.margin is missing"),
        ([f"method.name={OWN}:raising", "space.axes={seed=[1]}"],
         r"The method '.*:raising' failed: RuntimeError: no 0\.5 at all \(plugin_members\.py"),
        ([f"encoder.name={OWN}:raising"], r"The encoder '.*:raising' failed: RuntimeError: no"),
        ([f"data={{name='{OWN}:raising'}}"], r"The data set '.*:raising' failed: RuntimeError"),
        ([f'criteria.names=["alpha","{OWN}:checked"]', f'criteria."{OWN}:checked".margin=3'],
         r"The criterion '.*:checked': it needs 300 features, and there are 256\."),
        ([f"rule.name={OWN}:rule", "rule.margin=0"], r"rule\.margin is 0: input should be greater"),
        ([f"rule.name={OWN}:rule", "rule.seed=3"], r"rule\.seed is no key of"),
        ([f"rule.name={OWN}:Net"], r"has the parameter 'shape', which is not keyword-only"),
        (["probe.at=[0.01]"], r"A look at 0\.01 of a training of 10 steps falls before the "),
        (["probe.at=[0.51,0.49]"], r"look at 0\.51 of .* falls on step 5, as 0\.49 does\. Take"),
        (["probe.at=[0.5]", "criteria.at=[0.52]"], r"look at 0\.52 of .* on step 5, as 0\.5 does"),
        (["criteria.at=[0.99]"], r"A look at 0\.99 of a training of 10 steps falls on the last"),
        (["space.axes.epochs=[1,20]", "probe.at=[0.05]"], r"of a training of 5 steps falls before"),
        (["rule={name='race'}", "probe.at=[0.5]", "space.proposer=tpe"],
         r'rule\.name="race" chooses which candidate begins, so space\.proposer="tpe" would have'),
        (["rule={name='race'}"], r"decides by the online probe: set probe\.at"),
        (["probe.at=[0.5]", "probe.labels=per_model"], r"probe: .*at asks for labels during train"),
        (["probe.labels=bought"], r"probe\.labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        prepare(small_study(*overrides))


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("method.temperature=1", "method.temperature is no key of barlow_twins."),
        ("encoder.stem=cifar", "encoder.stem is no key of small_conv."),
        ("space.axes.d=[8,0]", "method.d is 0: input should be greater than or equal to 2"),
        (f"method.name={OWN}:raising", "failed: RuntimeError: no 0.5 at all"),
    ],
)
def test_nothing_is_written_before_it_is_refused(
    tmp_path: Path,
    words: list[str],
    override: str,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "study.toml"
    config.write_text(
        'data.name = "digits"\nencoder.name = "small_conv"\nspace.axes.seed = [1, 2]\n'
        'rule.name = "all"\nresources.runner = "local"\n'
    )
    results = tmp_path / "results"
    code = app.run_command(["run", str(config), override, "--results", str(results), *words])
    assert code == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not results.exists()


def test_a_window_counts_only_where_alpha_is_measured() -> None:
    wide = ["criteria.alpha.last=1000", "criteria.images=100"]
    with pytest.raises(ConfigError, match="beyond the encoder's 256 features"):
        prepare(small_study(*wide))
    assert len(prepare(small_study("criteria.names=['rankme']", "rule.name=all")).candidates) == 6
    narrow = [f"encoder.name={OWN}:encoder", "rule.name=all"]
    with pytest.raises(ConfigError, match="beyond the encoder's 16 features"):
        prepare(small_study(*narrow))
    assert len(prepare(small_study(*narrow, "criteria.names=['rankme']")).candidates) == 6


def test_a_default_written_out_changes_no_trials_name_and_another_value_does() -> None:
    same = ids()
    for override in (
        "method.name=barlow_twins", "method.layers=2", "encoder.width=32", "data.limit=700",
        "probe.l2=[1.0]", "criteria.alpha.first=2", "criteria.names=['alpha']", "probe.name=knn",
        "rule.name=all", "space.proposer=tpe",
    ):  # fmt: skip
        assert ids(override) == same, override
    for override in ("method.layers=3", "method.scale=2.0", "encoder.width=48", "data.limit=699"):
        assert not set(ids(override)) & set(same), override


def test_a_value_is_one_trial_however_it_is_written() -> None:
    assert ids("encoder.width=32") == ids('encoder.width="32"') == ids("encoder.width=32.0")
    assert ids("method.scale=1") == ids("method.scale=1.0") == ids()


def test_a_point_that_names_another_member_starts_from_its_defaults() -> None:
    points = "space.points=[{'method.name'='byol','method.tau'=0.9},{'method.name'='simclr'}]"
    config = small_study("space.axes={}", points, "method.layers=3")
    methods = {c.config.method.name: c.config.method for c in prepare(config).candidates}
    assert methods["byol"].parameters["tau"] == 0.9
    assert methods["byol"].parameters["layers"] == 2
    assert "tau" not in methods["simclr"].parameters
    with pytest.raises(ConfigError, match=r"method\.tau is no key of barlow_twins"):
        prepare(small_study("space.axes={}", points, "method.tau=0.5"))


def test_required_keys_of_a_plug_in_may_come_from_an_axis_alone() -> None:
    axes = "space.axes={'method.margin'=[0.5,1.0]}"
    prepared = prepare(small_study(f"method.name={OWN}:needy", axes))
    parameters = [candidate.config.method.parameters for candidate in prepared.candidates]
    assert sorted(keys["margin"] for keys in parameters) == [0.5, 1.0]
    assert all(keys["depth"] == 1 for keys in parameters)
    assert prepared.config.method.parameters == {"depth": 1}


def test_the_config_in_the_log_holds_every_key_with_a_default() -> None:
    config = prepare(small_study()).config
    assert config.rule.parameters == {"round": 4, "sync": False}
    assert config.encoder.parameters == {"width": 32}
    assert config.method.parameters["lambd"] == 0.005
    assert config.criteria.parameters_of("alpha") == {"first": 4, "last": 30}
    assert config.probe.parameters["l2"] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert prepare(config).config == config
    eager = prepare(small_study("rule={name='goldilocks'}", "criteria.at=[0.5]")).config
    assert eager.rule.parameters["eager"] is True
    assert prepare(small_study("rule={name='goldilocks'}")).config.rule.parameters["eager"] is False


def own_study(**fields: Any) -> StudyConfig:
    """Return a study whose every member is a plug-in, with a key and a seed."""
    keys = {"margin": 0.25}
    tree: dict[str, Any] = {
        "seed": 5,
        "data": {"name": f"{OWN}:data", "seed": 9, **keys},
        "encoder": {"name": f"{OWN}:encoder", **keys},
        "method": {"name": f"{OWN}:method", **keys},
        "train": {"epochs": 1, "batch": 32, "precision": "float32"},
        "criteria": {"names": [f"{OWN}:criterion"], "images": 50, f"{OWN}:criterion": keys},
        "probe": {"name": f"{OWN}:probe", **keys},
        "space": {"axes": {"lr": [0.01, 0.02, 0.03, 0.04]}, "proposer": f"{OWN}:proposer"},
        "rule": {"name": f"{OWN}:rule", **keys},
        "resources": {"runner": "local", "heartbeat_seconds": 0.2},
    }
    return StudyConfig.parse({**tree, **fields})


def test_plug_ins_of_every_seam_get_their_keys_and_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_members, "MADE", {})
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    outcome = launch.run(own_study(), results=tmp_path, warn=lambda sentence: None)
    assert outcome.probes_paid == 1
    made = dict(plugin_members.MADE)
    assert made.pop("data") == (0.25, 9)
    assert made.pop("proposer") == (0.5, 5)
    assert made == dict.fromkeys(("encoder", "method", "criterion", "probe", "rule"), (0.25, 5))
    rows = Results(tmp_path / "study").trials.to_pylist()
    assert {row["margin"] for row in rows} == {0.25}
    assert all(row["width"] == 0.25 * 50 for row in rows if row["status"] == "probed")


def test_a_trials_own_seed_is_that_of_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_members, "MADE", {})
    prepare(own_study(space={"axes": {"seed": [31]}}))
    assert plugin_members.MADE["method"] == (0.25, 31)
    assert plugin_members.MADE["rule"] == (0.25, 5)


def test_the_line_about_dropped_keys_is_printed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "study.toml"
    config.write_text(
        'data.name = "digits"\nencoder.name = "small_conv"\nspace.axes.seed = [1]\n'
        'rule.name = "goldilocks"\nrule.round = 4\ntrain.epochs = 1\nresources.runner = "local"\n'
    )
    words = ["run", str(config), "rule.name=none", "--results", str(tmp_path / "results")]
    note = "Note: rule.name=none drops rule.round: keys of goldilocks.\n"
    for more in (["--dry-run"], ["--quiet"]):
        assert app.run_command([*words, *more]) == 0
        assert capsys.readouterr().err == note
