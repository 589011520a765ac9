"""Three criteria of published papers, each as small as a plug-in may be.

Shapes: N images, n of them in q views, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from sweep import Measure
from sweep.criteria.encoded import Encoded

Count = Annotated[int, Field(ge=2)]


@dataclass(frozen=True, kw_only=True)
class Lidar:
    """LiDAR, the entropy rank of linear discriminant analysis in which each image is a class.

    exp(-sum_k p_k log p_k), p_k = lambda_k / sum lambda + eps, over the eigenvalues lambda of
    S_w^-1/2 S_b S_w^-1/2: S_b is the covariance of the images' mean features, S_w is the mean
    covariance of an image's views plus delta times the identity.

    Args:
        images: n; 1000 in the paper.
        views: q; 50 in the paper.
        delta: added to the variances.
        eps: added to the probabilities.

    Source: Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind and Littwin, "LiDAR: Sensing
    Linear Probing Performance in Joint Embedding SSL Architectures", ICLR 2024, section 4.
    """

    images: Count = 1000
    views: Count = 50
    delta: float = 1e-4
    eps: float = 1e-7

    def __call__(self, encoded: Encoded) -> Measure:
        h_nqD = encoded.views_nqD(self.images, self.views).double()
        mean_nD = h_nqD.mean(1)
        between_DD = torch.cov(mean_nD.T)
        within_nqD = h_nqD - mean_nD[:, None]
        within_DD = within_nqD.flatten(0, 1).T @ within_nqD.flatten(0, 1)
        within_DD /= self.images * (self.views - 1)
        within_DD += self.delta * torch.eye(len(within_DD))
        root_DD = torch.linalg.cholesky(within_DD)
        half_DD = torch.linalg.solve_triangular(root_DD, between_DD, upper=False)
        ratio_DD = torch.linalg.solve_triangular(root_DD, half_DD.T, upper=False)
        values = torch.linalg.eigvalsh(ratio_DD).clamp(min=0)
        p = values / values.sum() + self.eps
        rank = float(torch.exp(-(p * p.log()).sum()))
        detail = {"images": self.images, "views": self.views}
        return Measure(name="lidar", value=rank, detail=detail)

    def check(self, *, dim: int, images: int) -> None:
        """Raise `ValueError` if there are fewer images than n."""
        if images < self.images:
            raise ValueError(f"{self.images} images are to be used, and there are {images}.")


lidar = Lidar


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Mean of |f(x) - f(y)|^power over pairs of views x, y of an image; f has length 1.

    Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and
    Uniformity on the Hypersphere", ICML 2020, section 4.1.1; power 2 is theirs.
    """

    images: Count = 1000
    power: Annotated[float, Field(gt=0)] = 2.0

    def __call__(self, encoded: Encoded) -> Measure:
        f_nqD = normalize(encoded.views_nqD(min(self.images, encoded.count), 2), dim=2)
        distance_n = (f_nqD[:, 0] - f_nqD[:, 1]).norm(dim=1)
        return Measure(name="alignment", value=float(distance_n.pow(self.power).mean()))


@dataclass(frozen=True, kw_only=True)
class Uniformity:
    """log of the mean of exp(-t |f(x) - f(y)|^2) over pairs of images x, y; f has length 1.

    Source: Wang and Isola, ICML 2020, section 4.1.2; t = 2 is theirs.
    """

    t: Annotated[float, Field(gt=0)] = 2.0

    def __call__(self, encoded: Encoded) -> Measure:
        f_ND: Tensor = normalize(encoded.features_ND, dim=1)
        value = torch.pdist(f_ND).square().mul(-self.t).exp().mean().log()
        return Measure(name="uniformity", value=float(value))
