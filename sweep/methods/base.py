"""The interface of a method: what it is built from, its input in each step, and its output.

Shapes: B images in a batch, C channels, H x W pixels, d outputs of a projector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torch import Generator, Tensor, nn

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a builder gets, besides the encoder and the method's keys.

    Args:
        dim: features of the encoder.
        shape: (C, H, W) of the images.
        images: number of images in the pretraining split; `Batch.rows` are their numbers.
    """

    dim: int
    shape: Shape
    images: int


class View(Protocol):
    """Draws one random view of each image of a batch."""

    def __call__(self, *, second: bool = False) -> Tensor:
        """Return float [B, C, H, W], normalised; `second` takes the recipe `augment.second`."""
        ...


def identity(z: Tensor) -> Tensor:
    """Return z: with one process there are no outputs of other ranks."""
    return z


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The input of a method in one step.

    Args:
        images: uint8 [B, C, H, W], on the device, not augmented.
        rows: int64 [B], on the device: the images' numbers, from 0, in the split that is trained
            on: `pretrain`, or `train` for a method with `uses_labels`.
        draws: generator on the device; all random numbers of the step are drawn from it.
        view: `view()` returns a random view of each image, a different view at each call.
        done: share of training that is done, 0 to 1.
        labels: int64 [B] for a method with `uses_labels`, else None.
        gather: [B, d] -> [ranks * B, d], the outputs of all ranks, differentiable; with one
            process it returns its argument. A loss that compares images with each other calls it.
    """

    images: Tensor
    rows: Tensor
    draws: Generator
    view: View
    done: float
    labels: Tensor | None = None
    gather: Callable[[Tensor], Tensor] = identity


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """The output of a method for one batch.

    Args:
        value: scalar, differentiable.
        outputs: [B, d]; training ends as collapsed when all d outputs are constant over the
            batch. None if a method has no such outputs.
        parts: parts of the loss, detached scalars, with the same names in each step. They are
            divided by the number of outputs, so that values for different d are comparable. Each
            part is recorded as a measure of its name, averaged over the last steps, so it may not
            have the name of another measure.
    """

    value: Tensor
    outputs: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module):
    """A module that holds the encoder and everything else that is trained, and returns the loss.

    Its `state_dict` is the checkpoint, so everything that a step changes must be a parameter or a
    buffer. All random numbers must come from `batch.draws` or `batch.view`.

    Attributes:
        encoder: the network that is measured, probed and exported.
        uses_labels: True for a supervised baseline, which is trained on the split `train` and
            gets the labels of its images.
    """

    encoder: nn.Module
    uses_labels: bool = False

    if TYPE_CHECKING:  # nn.Module calls `forward`

        def __call__(self, batch: Batch) -> Loss:
            """Return the loss of one batch."""
            ...


Builder = Callable[[nn.Module, Facts], Method]
"""Builds a method around an encoder, with fresh weights from torch's default generator."""
