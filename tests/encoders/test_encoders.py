from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sweep.config.models import EncoderConfig
from sweep.core.errors import ConfigError
from sweep.encoders import build, dim_of


def config(name: str, **keys: Any) -> EncoderConfig:
    return EncoderConfig(name=name).with_parameters(keys)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_an_imagenet_resnet_loads_into_torchvision_and_gives_the_same_features(name: str) -> None:
    encoder = build(config(name, stem="imagenet"), (3, 64, 64)).eval()
    reference = getattr(torchvision.models, name)()
    result = reference.load_state_dict(encoder.state_dict(), strict=False)
    assert sorted(result.missing_keys) == ["fc.bias", "fc.weight"]
    assert result.unexpected_keys == []
    reference.fc = nn.Identity()
    x_BCHW = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(encoder(x_BCHW), reference.eval()(x_BCHW))


def test_initial_weights_of_a_resnet_are_as_large_as_those_of_torchvision() -> None:
    encoder = build(config("resnet18", stem="imagenet"), (3, 64, 64))
    reference = torchvision.models.resnet18()
    for name, weight in encoder.named_parameters():
        other = reference.get_parameter(name)
        assert weight.std().item() == pytest.approx(other.std().item(), rel=0.1, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "stem", "pixels"), [("resnet18", "cifar", 32), ("resnet18", "imagenet", 8)]
)
def test_the_cifar_stem_keeps_the_resolution(
    name: str, stem: Literal["cifar", "imagenet"], pixels: int
) -> None:
    encoder = build(config(name, stem=stem, width=8), (3, 32, 32))
    shapes: list[torch.Size] = []
    encoder.get_submodule("layer1").register_forward_hook(
        lambda *args: shapes.append(args[2].shape)
    )
    encoder(torch.rand(2, 3, 32, 32))
    assert shapes == [torch.Size([2, 8, pixels, pixels])]


def test_the_number_of_features_grows_with_the_width() -> None:
    shape = (3, 32, 32)
    assert dim_of(config("resnet18", width=16), shape) == 128
    assert dim_of(config("resnet50", width=16), shape) == 512
    assert dim_of(EncoderConfig(name="small_conv"), shape) == 256
    assert dim_of(config("small_conv", width=48), shape) == 384


def test_small_conv_refuses_fewer_than_256_features() -> None:
    with pytest.raises(
        ConfigError, match=r"encoder\.width is 31: input should be greater than or equal to 32"
    ):
        build(config("small_conv", width=31), (3, 16, 16))


@pytest.mark.parametrize("side", [16, 32])
def test_small_conv_needs_under_four_million_multiply_adds(side: int) -> None:
    with torch.device("meta"):
        encoder = build(EncoderConfig(name="small_conv"), (3, side, side))
        with FlopCounterMode(display=False) as counter:
            encoder(torch.rand(1, 3, side, side))
    assert 3.7e6 < counter.get_total_flops() / 2 < 3.8e6


def test_a_users_own_encoder_is_found_by_module_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_encoders.py").write_text(
        "from torch import nn\n"
        "def flat(*, scale=1):\n"
        "    def make(shape):\n"
        "        module = nn.Flatten()\n"
        "        module.dim = scale * shape[0] * shape[1] * shape[2]\n"
        "        return module\n"
        "    return make\n"
        "def nameless():\n"
        "    return lambda shape: nn.Flatten()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert dim_of(EncoderConfig(name="my_encoders:flat"), (3, 4, 5)) == 60
    assert dim_of(config("my_encoders:flat", scale=2), (3, 4, 5)) == 120
    with pytest.raises(ConfigError, match="'my_encoders:nameless' has no integer attribute `dim`"):
        dim_of(EncoderConfig(name="my_encoders:nameless"), (3, 4, 5))
