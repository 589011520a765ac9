"""What every proposer in the table promises."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.config.models import ProposerConfig
from sweep.core.history import State
from sweep.log.log import MemoryLog
from sweep.proposers import PROPOSERS, Proposer, bind
from sweep.rules.baselines import ProbeAll
from sweep.study import Study
from tests.histories import measured, probed

NAMES = [name for name in PROPOSERS if name != "order"]


def proposer_of(name: str, seed: int = 0) -> Proposer:
    return bind(ProposerConfig(name=name), seed=seed).make()


def study_of(name: str, seed: int = 0) -> Study:
    proposer = proposer_of(name, seed)
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: 0.0, proposer=proposer)
    for number in range(49):
        d, lambd = 2.0 ** (4 + number % 7), 10.0 ** (-4 + number // 7)
        study.add(f"t{number}", {"d": d, "lambd": lambd, "stem": "cifar"}, {})
    return study


def accuracy(study: Study, trial_id: str) -> float:
    row = study.history.row(trial_id)
    d, lambd = (float(study.history.column(name)[row]) for name in ("d", "lambd"))
    return float(0.6 - 0.02 * (np.log2(d) - 8) ** 2 - 0.02 * (np.log10(lambd) + 2) ** 2)


def play(study: Study, count: int) -> list[str]:
    order = []
    for _ in range(count):
        trial_id = study.next()
        assert trial_id is not None
        study.start(trial_id)
        study.observe(trial_id, measured(1.0))
        study.observe(trial_id, probed(accuracy(study, trial_id)))
        order.append(trial_id)
    return order


@pytest.mark.parametrize("name", NAMES)
def test_it_names_pending_candidates_until_none_is_left(name: str) -> None:
    study = study_of(name)
    order = play(study, 20)
    assert len(set(order)) == 20
    assert study.history.count(State.PENDING) == 29


@pytest.mark.parametrize("name", NAMES)
def test_asked_twice_it_answers_the_same(name: str) -> None:
    study = study_of(name)
    play(study, 12)
    assert study.next() == study.next()
    assert play(study_of(name, 0), 6) == play(study_of(name, 0), 6)


@pytest.mark.parametrize("name", ["tpe", "gp", "random"])
def test_another_seed_draws_otherwise(name: str) -> None:
    assert play(study_of(name, 0), 6) != play(study_of(name, 99), 6)


@pytest.mark.parametrize("name", ["tpe", "gp", "improvement"])
def test_a_sampler_that_learns_looks_near_the_best(name: str) -> None:
    near = []
    for seed in range(3):
        study = study_of(name, 1000 * seed)
        order = play(study, 25)
        near += [accuracy(study, trial_id) > 0.5 for trial_id in order[12:]]
    plain = study_of("random")
    share = np.mean([accuracy(plain, t) > 0.5 for t in plain.history.trial_ids])
    assert np.mean(near) > share


@pytest.mark.parametrize("name", ["tpe", "gp", "random"])
def test_a_sampler_pays_no_attention_to_the_seed(name: str) -> None:
    orders = []
    for first in (0.0, 1.0):
        study = Study(rule=ProbeAll(), log=MemoryLog(), proposer=proposer_of(name))
        for number in range(40):
            d, lambd = 2.0 ** (4 + number // 2 % 5), 10.0 ** (-4 + number // 10)
            seed = first if number % 2 else 1.0 - first
            study.add(f"t{number}", {"d": d, "lambd": lambd, "seed": seed}, {})
        orders.append(play(study, 20))
    assert orders[0] == orders[1]


def test_nothing_that_varies_leaves_the_order_alone() -> None:
    study = Study(rule=ProbeAll(), log=MemoryLog(), proposer=proposer_of("tpe"))
    study.add("a", {}, {})
    study.add("b", {}, {})
    assert study.next() == "a"
