"""From facts to a plan: which models to train, for how long, and how to choose among them.

All functions are pure. A plan is a list of settings, each with its reason, so that the config file
that is written from it hides nothing. The constants are own choices, unless a source is named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.core.errors import DataError, UserError
from sweep.planning.facts import Facts, Images, Machine, Timed
from sweep.planning.ladder import STEPS_OF_A_LARGER_ONE
from sweep.planning.length import (
    CANDIDATES,
    FEWEST_IMAGES,
    affordable_labels,
    first_look,
    length_in,
    length_of_a_search,
    steps_in,
)
from sweep.planning.settings import (
    LOCAL_SECONDS,
    Kind,
    Setting,
    data_settings,
    encoder_settings,
    favourites,
    label_settings,
    method_settings,
    resource_settings,
    search_settings,
    training_settings,
)

FEWEST_STEPS = 20
"""Optimiser steps of a model, below which nothing is learned."""
MOST_WORKERS = 16
"""Trials at once on a machine without a GPU, a core each: with two threads in a trial, a step took
40 times as long on two cores that other jobs shared."""
RAY_SECONDS = 20.0
"""Start of Ray and its workers, and the end of the study; 8 to 30 s on two shared cores."""
LOCAL_OVERHEAD = 1.0
"""Start and end of a study in this process, in seconds."""
VALIDATION_IMAGES = 500
"""Validation images that a choice among models needs: 95 % intervals of 4 points or less."""
MOST_VALIDATION = 0.3
"""Largest share of the training images that becomes the validation split."""
UNUSED = 0.02
"""Share of a split that nothing reads, because there are no labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be done.

    Args:
        kind: `search` among many models, `whole`: one model for each worker for the whole time,
            `unlabelled`, or `plain`: one model with all defaults.
        settings: of the study, in the order of the file.
        why: the reason for the kind, in a sentence.
        seconds: that the study is planned to take, from its start to its end.
        steps: of one training.
    """

    kind: Kind
    settings: tuple[Setting, ...]
    why: str
    seconds: float
    steps: int


def check(images: Images) -> None:
    """Raise `DataError` if there are too few images to pretrain on."""
    if images.pretrain < FEWEST_IMAGES:
        raise DataError(
            f"There are {images.pretrain} images to pretrain on, and `sweep start` needs "
            f"{FEWEST_IMAGES} or more. Give a folder with more images; labels are not needed. For "
            "fewer images, write a config yourself: sweep init mine.toml"
        )


def machine_of(*, cores: int, gpus: int, seconds: float) -> Machine:
    """Divide a machine among trials: one on each GPU, or one on each core."""
    workers = gpus or min(cores, MOST_WORKERS)
    return Machine(workers=1 if seconds < LOCAL_SECONDS else workers, gpus=gpus)


def batch_of(images: Images) -> int:
    """Return the images of a step: 256, or fewer where an epoch would have fewer than ten steps."""
    return max(16, min(256, 1 << int(math.log2(images.pretrain / 10))))


def splits_of(images: Images) -> dict[str, float]:
    """Return the shares of the drawn splits that are changed: keys of `[data]`."""
    if not images.drawn:
        return {}
    if not images.classes:
        return {"validation": UNUSED, "test": UNUSED}
    if images.validation >= VALIDATION_IMAGES:
        return {}
    share = VALIDATION_IMAGES / max(1, images.labelled)
    return {"validation": round(min(MOST_VALIDATION, share), 2)}


def is_worth_a_larger_one(timed: Timed, seconds: float) -> bool:
    """Return whether an encoder is cheap enough for a model of a search in this time."""
    return steps_in(seconds, timed.step_seconds) >= STEPS_OF_A_LARGER_ONE


def chosen_rung(timed: Sequence[Timed], seconds: float) -> Timed:
    """Return the largest rung that is cheap enough; the first if none is.

    Args:
        timed: rungs, the cheapest first.
        seconds: that are left for the study.
    """
    affordable = [one for one in timed if is_worth_a_larger_one(one, seconds)]
    return affordable[-1] if affordable else timed[0]


def overhead(seconds: float) -> float:
    """Return the seconds of a study outside its trials."""
    return LOCAL_OVERHEAD if seconds < LOCAL_SECONDS else RAY_SECONDS


def plan(facts: Facts, *, plain: bool = False) -> Plan:
    """Return the plan.

    Args:
        facts: of the images, the machine and the measured times.
        plain: one model with all defaults for the whole time, to compare a plan with.

    Raises:
        UserError: the time is too short for one model.
    """
    available = facts.seconds - facts.elapsed - overhead(facts.seconds)
    step = facts.timed.step_seconds
    needed = FEWEST_STEPS * step + 2 * facts.look_seconds
    if available < needed:
        least = (facts.seconds - available + needed) / 60
        raise UserError(
            f"--minutes {facts.seconds / 60:g} is too short: reading the images and starting takes "
            f"{facts.seconds - available:.0f} s, and the shortest training {needed:.0f} s. Type "
            f"--minutes {math.ceil(10 * least) / 10:g} or more."
        )
    if plain:
        return _plain(facts, available)
    if not facts.images.classes:
        return _unlabelled(facts, available)
    look = first_look(facts, available)
    if look is None:
        why = (
            f"the time allows {steps_in(available, step)} optimiser steps, too few to compare "
            "models after a small part of them; so every worker trains one model all the time"
        )
        return _whole(facts, available, why)
    return _search(facts, available, look)


def _search(facts: Facts, available: float, fraction: float) -> Plan:
    """Return the plan of one round of successive halving among favoured and drawn points."""
    labelled, _ = affordable_labels(facts, CANDIDATES + 2, available)
    length = length_of_a_search(facts, available, fraction)
    finalists = facts.machine.workers
    count = CANDIDATES * finalists
    settings = [
        *data_settings(facts, length),
        *encoder_settings(facts),
        *label_settings(facts, labelled, length),
        *method_settings("search"),
        *training_settings(
            facts, length, f"so that the best {finalists} of {count} end in the time"
        ),
        *search_settings(count),
        Setting(
            key="probe.at",
            value=[fraction],
            why=f"all {count} are probed after {fraction:.1%} of their {length.steps} steps",
        ),
        Setting(
            key="rule.name",
            value="halving",
            why="takes a time that is known beforehand; race chooses with fewer looks, and does "
            "not know when the time ends",
        ),
        Setting(
            key="rule.eta",
            value=CANDIDATES,
            why="one in so many goes on to the end, one for each worker",
        ),
        Setting(
            key="budget.trials", value=count, why="all candidates; the rule stops most of them"
        ),
        *resource_settings(facts),
    ]
    why = (
        f"{count} models are trained for {fraction:.1%} of {length.steps} steps and probed; "
        f"the best {finalists} are trained to the end"
    )
    return Plan(
        kind="search", settings=tuple(settings), why=why, seconds=available, steps=length.steps
    )


def _whole(facts: Facts, available: float, why: str) -> Plan:
    """Return the plan of one model for each worker, each trained for the whole time."""
    labelled, look = affordable_labels(facts, 2, available)
    length = length_in(facts, available - 2 * look)
    models = facts.machine.workers
    settings = [
        *data_settings(facts, length),
        *encoder_settings(facts),
        *label_settings(facts, labelled, length),
        *method_settings("whole"),
        *training_settings(facts, length, "each training takes the whole time"),
        Setting(
            key="space.points",
            value=[dict(point) for point in favourites(models)],
            why="one model for each worker; complete tables of other images favour them",
        ),
        Setting(key="rule.name", value="all", why="every model is trained to its end and probed"),
        *resource_settings(facts),
    ]
    return Plan(
        kind="whole", settings=tuple(settings), why=why, seconds=available, steps=length.steps
    )


def _plain(facts: Facts, available: float) -> Plan:
    """Return the plan of one model with the defaults of sweep, trained for the whole time."""
    labelled, look = affordable_labels(facts, 2, available)
    length = length_in(facts, available - 2 * look)
    settings = [
        *data_settings(facts, length),
        *encoder_settings(facts),
        *label_settings(facts, labelled, length),
        *method_settings("plain"),
        *training_settings(facts, length, "the training takes the whole time"),
        Setting(key="space.points", value=[{"seed": 0}], why="one candidate: nothing varies"),
        Setting(key="rule.name", value="all", why="the model is trained to its end and probed"),
        *resource_settings(facts),
    ]
    why = "one model with the defaults of sweep, to compare a plan with"
    return Plan(
        kind="plain", settings=tuple(settings), why=why, seconds=available, steps=length.steps
    )


def _unlabelled(facts: Facts, available: float) -> Plan:
    """Return the plan for images without labels: few models, the most promising by tables first."""
    models = max(2, facts.machine.workers)
    rounds = math.ceil(models / facts.machine.workers)
    length = length_in(facts, available / rounds)
    settings = [
        *data_settings(facts, length),
        *encoder_settings(facts),
        *method_settings("search"),
        *training_settings(facts, length, f"each of the {models} models is trained to its end"),
        Setting(
            key="space.points",
            value=[dict(point) for point in favourites(models)],
            why="without labels nothing tells which model is best; these are the most promising "
            "by complete tables of other images, and the first that did not collapse is exported",
        ),
        Setting(
            key="rule.name", value="none", why="there are no labels, so models are only measured"
        ),
        Setting(key="resources.keep", value="all", why="each model may be the one to export"),
        *resource_settings(facts),
    ]
    why = "there are no labels: the models are trained and measured, and nothing tells the best"
    return Plan(
        kind="unlabelled", settings=tuple(settings), why=why, seconds=available, steps=length.steps
    )
