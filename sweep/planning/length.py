"""How long a training is, and how many labelled images a probe reads, so that both fit a time."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.planning.facts import Facts

FEWEST_IMAGES = 200
"""Images to pretrain on. Alpha is fitted to 100 ranks, which need more than 100 images."""
FIRST_LOOKS = (1 / 32, 1 / 16)
"""Fractions of training at which all candidates are probed, the preferred first."""
STEPS_BEFORE_A_LOOK = 10
"""Optimiser steps before the first look, at least; in complete tables looks after 10 steps told
good models from bad ones. With a shorter training there is no search."""
CANDIDATES = 8
"""Candidates for each worker, of which the best one is trained to its end. In draws from complete
tables of four axes (`experiments/landscapes/halve_once.py`), the better of the best two of 16 at
1/32 of training was 2.4 points (CIFAR-10) and 26 points (cluttered digits) above a random model."""
TRIAL_SECONDS = 1.0
"""Start of a trial, and what its worker writes, in seconds."""
LOOKS_SHARE = 0.1
"""Part of the time that probes may take; with more, each probe reads fewer labelled images."""
FEWEST_LABELLED = 1000
"""Labelled images that each probe is fitted on, at least, where there are as many."""
FEWEST_EPOCHS = 4
"""Passes over the images; where the time allows fewer, fewer images are used. Epochs are whole, so
that the length of a training could not be fitted to the time otherwise."""
MOST_EPOCHS = 1000
"""Longest training that is published for such methods (SimCLR, Barlow Twins)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """How long a training is.

    Args:
        epochs: passes over the images.
        steps: optimiser steps.
        limit: images to pretrain on, where the time does not allow `FEWEST_EPOCHS` of all.
    """

    epochs: int
    steps: int
    limit: int | None = None


def steps_in(seconds: float, step_seconds: float) -> int:
    """Return how many optimiser steps a time allows."""
    return int(max(0.0, seconds) / step_seconds)


def first_look(facts: Facts, available: float) -> float | None:
    """Return the fraction of training at which all candidates are probed, or None if a training is
    too short for such a look."""
    for fraction in FIRST_LOOKS:
        length = length_of_a_search(facts, available, fraction)
        if fraction * length.steps >= STEPS_BEFORE_A_LOOK:
            return fraction
    return None


def length_of_a_search(facts: Facts, available: float, fraction: float) -> Length:
    """Return the length of a training: a worker begins `CANDIDATES`, and finishes one of them."""
    _, look = affordable_labels(facts, CANDIDATES + 2, available)
    outside = (CANDIDATES + 2) * look + (CANDIDATES + 1) * TRIAL_SECONDS
    return length_in(facts, (available - outside) / (1 + fraction * (CANDIDATES - 1)))


def length_in(facts: Facts, seconds: float) -> Length:
    """Return the training that fits a time best, in whole epochs."""
    per_epoch = max(1, facts.images.pretrain // facts.batch)
    steps = steps_in(seconds, facts.timed.step_seconds)
    if steps >= FEWEST_EPOCHS * per_epoch:
        epochs = min(MOST_EPOCHS, round(steps / per_epoch))
        return Length(epochs=epochs, steps=epochs * per_epoch)
    part = max(1, steps // FEWEST_EPOCHS)
    limit = max(part * facts.batch, min(FEWEST_IMAGES, facts.images.pretrain))
    return Length(epochs=FEWEST_EPOCHS, steps=FEWEST_EPOCHS * (limit // facts.batch), limit=limit)


def affordable_labels(facts: Facts, looks: int, available: float) -> tuple[int | None, float]:
    """Return how many training images the probe reads, None for all, and its seconds.

    Args:
        facts: with the seconds of a probe that reads all.
        looks: probes that each worker makes.
        available: seconds of the study.
    """
    allowed = LOOKS_SHARE * available / looks
    if facts.look_seconds <= allowed:
        return None, facts.look_seconds
    fewest = min(facts.images.train, max(FEWEST_LABELLED, 20 * facts.images.classes))
    images = facts.images
    affordable = int(images.labelled * allowed / facts.look_seconds) - images.validation
    labelled = max(fewest, affordable)
    if labelled >= images.train:
        return None, facts.look_seconds
    return labelled, facts.look_seconds * (labelled + images.validation) / images.labelled
