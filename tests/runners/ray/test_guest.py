"""In another program: nothing of the process is changed, and a Tuner keeps its contracts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from sweep import GoldilocksScheduler
from sweep.core.errors import ConfigError, StudyWarning
from sweep.core.history import State
from tests.processes import wait_until
from tests.runners.ray import trainables

PROCESS = """
import json, logging, os, signal
import ray, torch
from ray import tune

def look():
    loggers = {name: (logger.level, [type(h).__name__ for h in logger.handlers])
               for name, logger in logging.root.manager.loggerDict.items()
               if isinstance(logger, logging.Logger)}
    return {"environment": dict(os.environ), "loggers": loggers,
            "signals": {n: str(signal.getsignal(n)) for n in (2, 10, 15)},
            "threads": torch.get_num_threads(), "dtype": str(torch.get_default_dtype())}

before = look()
import sweep
sweep.GoldilocksScheduler(round=4)
selector = sweep.Selector({"a": 0.7, "b": 1.1, "c": 1.6})
selector.tell(selector.ask(1)[0].id, accuracy=0.5)
sweep.alpha(torch.randn(300, 128))
sweep.rankme(torch.randn(300, 128))
sweep.load, sweep.load_encoder
after = look()
for kind, values in before.items():
    if isinstance(values, dict):
        values = {k: v for k, v in values.items() if after[kind].get(k) != v}
        new = {k: v for k, v in after[kind].items() if k not in before[kind]}
        assert not values, (kind, values)
        assert kind == "loggers" or not new, (kind, new)
        assert all(level == 0 and not handlers for level, handlers in new.values()), new
    else:
        assert after[kind] == values, kind
print("same")
"""

INTERRUPTED = """
import sys
from ray import tune
import ray, sweep
from tests.runners.ray.test_guest import slow

ray.init("local", num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
tune.Tuner(
    tune.with_resources(slow, {"cpu": 1}),
    param_space={"d": tune.grid_search([2, 3, 4, 6, 8, 10, 12, 16])},
    tune_config=tune.TuneConfig(
        scheduler=sweep.GoldilocksScheduler(rule="all"), metric="accuracy", mode="max"
    ),
    run_config=tune.RunConfig(storage_path=sys.argv[1], name="mine", verbose=0),
).fit()
"""


def slow(config: dict[str, Any]) -> None:
    """Report alpha with a placeholder, and then both numbers; write down each probe."""
    encoder = trainables.pretrain(config["d"])
    alpha = trainables.slope(encoder)
    tune.report({"alpha": alpha, "accuracy": 0.0})
    time.sleep(0.5)
    folder = os.environ.get("PROBES")
    if folder:
        with (Path(folder) / f"{config['d']}").open("a") as file:
            file.write("probed\n")
    tune.report({"alpha": alpha, "accuracy": trainables.probe(encoder)})


def never(config: dict[str, Any]) -> None:
    """Report an accuracy that is not a number."""
    tune.report({"alpha": 1.0 + config["d"] / 100, "accuracy": float("nan")})
    tune.report({"alpha": 1.0 + config["d"] / 100, "accuracy": float("nan")})


def tuner(trainable: Any, scheduler: GoldilocksScheduler, path: Path, **config: Any) -> tune.Tuner:
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"d": tune.grid_search([2, 3, 4, 6])},
        tune_config=tune.TuneConfig(scheduler=scheduler, **config),
        run_config=tune.RunConfig(storage_path=str(path), name="mine", verbose=0),
    )


def test_what_a_guest_uses_changes_nothing_in_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.endswith("same\n"), done.stderr


@pytest.mark.usefixtures("ray_cluster")
def test_a_placeholder_is_no_probe(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="all")
    with pytest.warns(StudyWarning, match="stands beside its first alpha"):
        results = tuner(slow, scheduler, tmp_path, metric="accuracy", mode="max").fit()
    best = results.get_best_result()
    assert scheduler.outcome().probes_paid == 4
    assert scheduler.outcome().accuracy == (best.metrics or {})["accuracy"] > 0
    assert "alpha" in (best.metrics or {})


@pytest.mark.usefixtures("ray_cluster")
def test_a_trial_without_an_accuracy_has_failed(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="all")
    with pytest.warns(StudyWarning, match="placeholder"):
        tuner(never, scheduler, tmp_path).fit()
    history = scheduler.study.history
    assert history.count(State.FAILED) == 4
    causes = {e.failure.cause for e in scheduler.study.events() if hasattr(e, "failure")}
    assert causes == {"no accuracy"}


@pytest.mark.usefixtures("ray_cluster")
def test_a_scheduler_in_two_tuners_is_refused(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="all")
    tuner(slow, scheduler, tmp_path / "one").fit()
    with pytest.raises(ConfigError, match="belongs to another Tuner"):
        tuner(slow, scheduler, tmp_path / "two").fit()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_restored_tuner_pays_no_probe_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = tmp_path / "probes"
    probes.mkdir()
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PROBES": str(probes), "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], env=environment, cwd=tmp_path
    ) as first:
        wait_until(lambda: len(list(probes.iterdir())) >= 3, 90)
        first.send_signal(signal.SIGINT)
        first.wait(timeout=60)
    done = {file.name for file in probes.iterdir()}
    assert len(done) < 8
    monkeypatch.setenv("PROBES", str(probes))
    restored = tune.Tuner.restore(str(tmp_path / "mine"), tune.with_resources(slow, {"cpu": 1}))
    before = {t for t in done if len((probes / t).read_text().splitlines()) == 1}
    results = restored.fit()
    metrics = [results[number].metrics or {} for number in range(len(results))]
    assert all(found["accuracy"] > 0 for found in metrics)
    again = [t for t in before if len((probes / t).read_text().splitlines()) > 1]
    assert len(again) <= 2  # those that worked when the first Tuner was interrupted
