"""Weighted nearest neighbours by cosine similarity: a probe without fitting or tuning.

Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance
Discrimination", CVPR 2018, section 3.4; k and temperature as in solo-learn.
Shapes: N training images, B images to predict at a time, D dimensions, K classes, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from sweep.probes.labelled import Fitted, Labelled, accuracy, measured, unusable
from sweep.probes.measures import top

SIMILARITIES = 1 << 26
"""Similarities that are held in memory at once: 256 MiB of float32."""


def knn(
    *,
    k: Annotated[int, Field(gt=0)] = 20,
    temperature: Annotated[float, Field(gt=0)] = 0.07,
) -> Callable[[Labelled, Labelled], Fitted]:
    """Return the probe.

    Args:
        k: neighbours.
        temperature: each votes with weight exp(cosine / temperature).
    """
    return partial(probe, k=k, temperature=temperature)


def probe(train: Labelled, validation: Labelled, *, k: int, temperature: float) -> Fitted:
    """Return the accuracy of a weighted vote of the k nearest training images.

    Args:
        train: images whose labels vote.
        validation: images on which the accuracy is measured.
        k: number of neighbours; all training images if there are fewer.
        temperature: a neighbour votes with weight exp(cosine similarity / temperature).
    """
    if failed := unusable(train, validation):
        return failed
    k = min(k, len(train))
    unit_ND = normalize(train.features_ND, dim=1)
    classes_K, class_N = torch.unique(train.labels_N, return_inverse=True)
    rows = max(1, SIMILARITIES // len(train))

    def votes(features_ND: Tensor) -> Tensor:
        return torch.cat([vote(part_BD) for part_BD in torch.split(features_ND, rows)])

    def predict(features_ND: Tensor) -> Tensor:
        labels_N: Tensor = classes_K[votes(features_ND).argmax(1)]
        return labels_N

    def vote(part_BD: Tensor) -> Tensor:
        cosine_Bk, nearest_Bk = (normalize(part_BD, dim=1) @ unit_ND.T).topk(k, dim=1)
        # Relative to the nearest neighbour, so that a small temperature causes no overflow.
        weight_Bk = ((cosine_Bk - cosine_Bk[:, :1]) / temperature).exp()
        votes_BK = weight_Bk.new_zeros(len(part_BD), len(classes_K))
        return votes_BK.scatter_add_(1, class_N[nearest_Bk], weight_Bk)

    share = accuracy(predict(validation.features_ND), validation.labels_N)
    detail = {"k": k, "temperature": temperature, "train_images": len(train)}
    return Fitted(
        measure=measured(share, len(validation), detail),
        predict=predict,
        top=lambda features_ND: top(votes(features_ND), classes_K),
    )
