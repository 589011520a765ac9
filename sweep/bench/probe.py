"""The linear probe with its choice of strength, beside 100 epochs of plain SGD."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sweep.bench.timing import Figure, in_turn, of_ceiling
from sweep.probes import Labelled, linear
from sweep.probes.labelled import accuracy


def run(
    *,
    repeats: int = 3,
    device: str = "cpu",
    images: int = 45_000,
    held_out: int = 5_000,
    dim: int = 512,
    classes: int = 10,
    epochs: int = 100,
) -> Figure:
    """Time the probe of [images, dim] features on `device`, all strengths and the choice included.

    Bar: a third of the baseline's seconds; `accuracy_difference`, ours minus the
    baseline's in points on images that neither saw, at least -0.2.

    Args:
        repeats: timed runs of each.
        device: where the features lie.
        images: of the training part.
        held_out: images of the validation part, and half of those of the test part.
        dim, classes: of the features.
        epochs: of the baseline.
    """
    sizes = [images, held_out, 2 * held_out]
    h_ND, labels_N = features(sum(sizes), dim, classes)
    train, validation, test = (
        Labelled(features_ND=h.to(device), labels_N=y.to(device))
        for h, y in zip(torch.split(h_ND, sizes), torch.split(labels_N, sizes), strict=True)
    )
    probe = linear()

    def score(predict: Callable[[Tensor], Tensor]) -> float:
        return 100 * accuracy(predict(test.features_ND), test.labels_N)

    fitted = probe(train, validation)
    ours, baseline = score(fitted.predict), score(sgd(train, classes, epochs))
    timing = in_turn(
        lambda: probe(train, validation),
        lambda: sgd(train, classes, epochs),
        repeats=repeats,
        device=device,
    )
    # Two products of images x dim x classes in each evaluation of the objective.
    flop = 4 * images * dim * classes * fitted.measure.detail["iterations"]
    return timing.figure(
        "probe",
        device=device,
        images=images,
        dim=dim,
        accuracy=ours,
        accuracy_difference=ours - baseline,
        l2=fitted.measure.detail["l2"],
        **of_ceiling(flop, statistics.median(timing.ours), device),
    )


def sgd(
    train: Labelled, classes: int, epochs: int, *, batch: int = 256, lr: float = 0.01, seed: int = 0
) -> Callable[[Tensor], Tensor]:
    """Fit a linear layer to standardised features by SGD, momentum 0.9, half a cosine to 0.

    Plain: slices of tensors in memory, shuffled once an epoch; one learning rate, no decay.
    """
    h_ND, labels_N = train.features_ND, train.labels_N
    std_D, mean_D = torch.std_mean(h_ND, 0)
    z_ND = (h_ND - mean_D) / std_D
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(h_ND.shape[1], classes, device=h_ND.device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr, momentum=0.9)
    steps = epochs * math.ceil(len(train) / batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        order_N = torch.randperm(len(train), generator=generator).to(h_ND.device)
        shuffled_ND, shuffled_N = z_ND[order_N], labels_N[order_N]
        for start in range(0, len(train), batch):
            part = slice(start, start + batch)
            loss = cross_entropy(layer(shuffled_ND[part]), shuffled_N[part])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()

    def predict(h_ND: Tensor) -> Tensor:
        with torch.no_grad():
            predicted: Tensor = layer((h_ND - mean_D) / std_D).argmax(1)
        return predicted

    return predict


def features(images: int, dim: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return ReLU features [images, dim] and labels that a line parts to 80-90 %.

    Each class is four clouds in a latent space whose variance falls as 1/i, seen through a
    random layer: non-negative, correlated, and not linearly separable, as an encoder's.
    """
    generator = torch.Generator().manual_seed(seed)
    clouds = 4
    scale_D = torch.arange(1, dim + 1).rsqrt()
    centre_CD = 0.4 * scale_D * torch.randn(classes * clouds, dim, generator=generator)
    cloud_N = torch.randint(classes * clouds, (images,), generator=generator)
    z_ND = centre_CD[cloud_N] + scale_D * torch.randn(images, dim, generator=generator)
    layer_DD = torch.randn(dim, dim, generator=generator)
    return torch.relu(z_ND @ layer_DD), cloud_N // clouds
