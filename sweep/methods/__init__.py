"""Methods: how an encoder is trained without labels.

A member is a factory `name(*, key=default)` that returns a `Builder`. The builder takes an encoder
and returns the method: a module that maps a `Batch` to a `Loss` (`base`). For a loss that compares
two views, use `TwoViews` (`two_views`). Imports `core` and `config`. To add a method: a file here,
and a line in `METHODS`. For your own method in a file beside the config:
docs/pages/guide/methods.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from sweep.config.models import MethodConfig
from sweep.core import plugins
from sweep.core.errors import ConfigError
from sweep.methods.barlow_twins import barlow_twins
from sweep.methods.base import Batch, Builder, Facts, Loss, Method
from sweep.methods.byol import byol
from sweep.methods.diet import diet
from sweep.methods.simclr import simclr
from sweep.methods.vicreg import vicreg

__all__ = ["METHODS", "Batch", "Builder", "Facts", "Loss", "Method", "bind", "build"]

METHODS: Mapping[str, Callable[..., Builder]] = {
    "barlow_twins": barlow_twins,
    "byol": byol,
    "diet": diet,
    "simclr": simclr,
    "vicreg": vicreg,
}


def bind(config: MethodConfig, *, seed: int = 0) -> plugins.Bound[Builder]:
    """Return the method that a config names, its keys checked.

    Args:
        config: the name and the keys.
        seed: of the trial, for a method that has a parameter `seed`.

    Raises:
        ConfigError: no such method, or a key or value that it does not take.
    """
    return plugins.bind(
        "The method",
        config.name,
        METHODS,
        config.parameters,
        where="method",
        filled={"seed": seed},
        common=MethodConfig.model_fields,
    )


def filled_in(config: MethodConfig) -> dict[str, Any]:
    """Return the given keys, and the defaults of the other keys, as JSON.

    Raises:
        ConfigError: no such method, or a key that it does not have.
    """
    return plugins.filled_in("The method", config.name, METHODS, config.parameters, where="method")


def build(config: MethodConfig, encoder: nn.Module, facts: Facts, *, seed: int = 0) -> Method:
    """Return the method with fresh weights around an encoder, on torch's default device.

    Args:
        config: the name and the keys.
        encoder: the network that is trained.
        facts: the encoder's width, the images' shape and number.
        seed: of the trial, for a method that has a parameter `seed`.

    Raises:
        ConfigError: no such method, a wrong key, or what it builds is not a module or has no
            `encoder`.
    """
    bound = bind(config, seed=seed)
    builder = bound.make()
    with bound.guarded():
        method = builder(encoder, facts)
    if not isinstance(method, nn.Module):
        raise ConfigError(
            f"The method {config.name!r} built a {type(method).__name__}, and must build a module: "
            "derive it from sweep.methods.Method."
        )
    if not isinstance(getattr(method, "encoder", None), nn.Module):
        raise ConfigError(
            f"The method {config.name!r} has no `encoder`, the module that is measured and probed. "
            "Set self.encoder to the encoder that its builder gets."
        )
    return method
