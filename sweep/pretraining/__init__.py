"""One trial from data to probe: the training loop, its optimiser, augmentation and checkpoints.

Imports `core`, `config`, `storage` and the seams (methods, encoders, datasets, criteria, probes).
To add an augmentation or an optimiser: `augment` or `optim`, and its key in `sweep.config.models`.
"""
