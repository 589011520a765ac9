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
        images: uint8 [B, C, H, W], on the device, not augmented. With several processes, these
            are the images of this process, and the same holds for `rows`, `labels` and views.
        rows: int64 [B], on the device: the images' numbers, from 0, in the split that is trained
            on: `pretrain`, or `train` for a method with `uses_labels`.
        draws: generator on the device; all random numbers of the step are drawn from it.
        view: `view()` returns a random view of each image, a different view at each call.
        done: share of training that is done, 0 to 1.
        labels: int64 [B] for a method with `uses_labels`, else None.
        gather: [B, ...] -> [processes * B, ...], the rows of all processes, differentiable; with
            one process it returns its argument. A loss that compares images with each other calls
            it. The shape must be the same in each process.
        rank: the number of this process, from 0.
        processes: how many processes share the batch, each with an equal part.
    """

    images: Tensor
    rows: Tensor
    draws: Generator
    view: View
    done: float
    labels: Tensor | None = None
    gather: Callable[[Tensor], Tensor] = identity
    rank: int = 0
    processes: int = 1

    @property
    def size(self) -> int:
        """The number of images in the whole batch, of all processes."""
        return len(self.images) * self.processes

    def part(self, whole: Tensor) -> Tensor:
        """Return this process's rows of a tensor with one row for each image of the whole batch.

        A method that draws random numbers draws them for `size` images, and takes its part.
        """
        return whole.chunk(self.processes)[self.rank] if self.processes > 1 else whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """The output of a method for one batch.

    Args:
        value: scalar, differentiable. With several processes, the mean of their values counts.
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
        parallel: True if the mean of `Loss.value` over several processes, each with an equal part
            of a batch, is the loss of the whole batch. A class with a `forward` of its own
            declares it itself.
    """

    encoder: nn.Module
    uses_labels: bool = False
    parallel: bool = False

    if TYPE_CHECKING:  # nn.Module calls `forward`

        def __call__(self, batch: Batch) -> Loss:
            """Return the loss of one batch."""
            ...


def is_parallel(method: nn.Module) -> bool:
    """Return whether a method's class declares `parallel = True` for the `forward` that it has."""
    for kind in type(method).__mro__:
        if "parallel" in vars(kind):
            return bool(vars(kind)["parallel"])
        if "forward" in vars(kind):
            return False
    return False


Builder = Callable[[nn.Module, Facts], Method]
"""Builds a method around an encoder, with fresh weights from torch's default generator."""
