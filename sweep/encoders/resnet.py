"""ResNet-18 and ResNet-50 (He, Zhang, Ren and Sun, CVPR 2016) of any base width.

Blocks and parameter names are torchvision's. So with an ImageNet stem and width 64 the weights
load into `torchvision.models.resnet18()`; only those of `fc` are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

if TYPE_CHECKING:
    from torchvision.models.resnet import BasicBlock, Bottleneck

Width = Annotated[int, Field(ge=8, le=1024)]
Stem = Literal["cifar", "imagenet"]


def resnet18(
    *, width: Width = 64, stem: Stem = "cifar"
) -> Callable[[tuple[int, int, int]], ResNet]:
    """Return the builder of a ResNet-18 with 8 * width features.

    Args:
        width: channels of the first stage.
        stem: `imagenet`, or `cifar` for small images; see `ResNet`.
    """
    from torchvision.models.resnet import BasicBlock  # slow to import, and only ResNets need it

    return partial(ResNet, BasicBlock, (2, 2, 2, 2), stem=stem, width=width)


def resnet50(
    *, width: Width = 64, stem: Stem = "cifar"
) -> Callable[[tuple[int, int, int]], ResNet]:
    """Return the builder of a ResNet-50 (stride in the 3x3 convolution) with 32 * width features.

    Args:
        width: channels of the first stage.
        stem: `imagenet`, or `cifar` for small images; see `ResNet`.
    """
    from torchvision.models.resnet import Bottleneck

    return partial(ResNet, Bottleneck, (3, 4, 6, 3), stem=stem, width=width)


class ResNet(nn.Module):
    """[B, C, H, W] -> [B, dim]: stem, four stages, global average pool.

    Args:
        block: torchvision's `BasicBlock` or `Bottleneck`.
        depths: blocks in each stage.
        shape: (C, H, W) of the images; only C is used.
        stem: `imagenet` (7x7 of stride 2, max-pool) or `cifar` (3x3 of stride 1, without
            max-pool; Chen 2020, SimCLR, appendix B.9).
        width: channels of the first stage.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        shape: tuple[int, int, int],
        *,
        stem: Stem,
        width: int,
    ) -> None:
        super().__init__()
        self.dim: int = 8 * width * block.expansion
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(shape[0], width, 7, stride=2, padding=3, bias=False)
            self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        ends = [width * block.expansion * 2**stage for stage in range(4)]
        self.layer1 = _stage(block, width, ends[0], depths[0], stride=1)
        self.layer2 = _stage(block, ends[0], ends[1], depths[1], stride=2)
        self.layer3 = _stage(block, ends[1], ends[2], depths[2], stride=2)
        self.layer4 = _stage(block, ends[2], ends[3], depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.maxpool(self.relu(self.bn1(self.conv1(x_BCHW))))
        x_BCHW = self.layer4(self.layer3(self.layer2(self.layer1(x_BCHW))))
        h_BD: Tensor = self.avgpool(x_BCHW).flatten(1)
        return h_BD


def _stage(
    block: type[BasicBlock] | type[Bottleneck], start: int, end: int, depth: int, *, stride: int
) -> nn.Sequential:
    """Return `depth` blocks from `start` to `end` channels, the first of them with `stride`."""
    shortcut = None
    if stride != 1 or start != end:
        shortcut = nn.Sequential(
            nn.Conv2d(start, end, 1, stride=stride, bias=False), nn.BatchNorm2d(end)
        )
    planes = end // block.expansion
    first = block(start, planes, stride=stride, downsample=shortcut)
    return nn.Sequential(first, *(block(end, planes) for _ in range(depth - 1)))
