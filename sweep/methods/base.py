"""What a method is built from, what it sees in each step, and what it returns.

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
    """What a method may be built from, besides the encoder and its own keys.

    Args:
        dim: features of the encoder.
        shape: (C, H, W) of the images.
        images: images of the pretraining split.
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
    """Return z: on one process, the outputs of all ranks are its own."""
    return z


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What a method sees in one step.

    Args:
        images: uint8 [B, C, H, W], on the device, not augmented.
        rows: int64 [B], on the device: which images of the pretraining split these are.
        draws: generator on the device; all random numbers of the step come from it.
        view: `view()` returns a random view of each image, another one at each call.
        done: share of training that is done, 0 to 1.
        labels: int64 [B] for a method with `uses_labels`, else None.
        gather: returns the outputs of all ranks, [ranks * B, d], and is differentiable; on one
            process it returns its argument. A loss over the batch calls it on its outputs.
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
    """What a method returns for one batch.

    Args:
        value: scalar, differentiable.
        outputs: [B, d]; training ends as collapsed once none of the d varies over the batch.
            None where a method has no such outputs.
        parts: parts of the loss, scalars, so scaled that they compare across d. Each is recorded
            as a measure of its name, averaged over the last steps.
    """

    value: Tensor
    outputs: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module):
    """A module that holds the encoder and whatever else is trained, and returns the loss.

    Its `state_dict` is the checkpoint, so that every state that a step changes is a parameter or
    a buffer. All random numbers come from `batch.draws`.

    Attributes:
        encoder: the network that is measured, probed and exported.
        uses_labels: True for a supervised baseline: it is trained on the labelled training split.
    """

    encoder: nn.Module
    uses_labels: bool = False

    if TYPE_CHECKING:  # nn.Module calls `forward`

        def __call__(self, batch: Batch) -> Loss:
            """Return the loss of one batch."""
            ...


Builder = Callable[[nn.Module, Facts], Method]
"""Builds a method around an encoder, with fresh weights from torch's default generator."""
