"""Weights on disk: a running trial's state, and the trained encoder.

An encoder is a safetensors file with a JSON file beside it. The JSON says how the encoder was made
and how its images are normalised. Nothing here executes code from a file: states are read with
`weights_only=True`, and encoders hold tensors only.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from sweep.config.models import EncoderConfig
from sweep.core.errors import ConfigError, StudyError
from sweep.datasets.pixels.preprocess import Preprocess
from sweep.encoders import ENCODERS, build
from sweep.storage.location import Address, Location, locate

STATE = "state.pt"
ENCODER = "encoder.safetensors"
_DIGEST_BYTES = 32  # of SHA-256


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedEncoder:
    """An encoder and what is needed to use it.

    Args:
        encoder: in evaluation mode, float32; [B, C, H, W] -> [B, dim].
        mean, std: per channel, of images in 0..1: feed `(image / 255 - mean) / std`.
        shape: (C, H, W) that it was trained on.
        about: the JSON beside the weights: config, classes, preprocess, study, measures, versions.
    """

    encoder: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shape: tuple[int, int, int]
    about: Mapping[str, Any]

    def preprocess(self, image: Image.Image | npt.NDArray[Any]) -> Tensor:
        """Return an image as the encoder saw its training images: float32 [C, H, W].

        Args:
            image: as `PIL.Image.open` returns it, or an array [H, W] or [H, W, C].

        Raises:
            StudyError: the JSON does not state the steps, because the images were not read from
                files or an older version wrote it.
            DataError: an image that the steps cannot make fit.
        """
        try:
            steps = Preprocess.from_json(self.about["preprocess"])
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(
                "The JSON beside the encoder does not state how images are preprocessed. Make "
                "images of the shape that `shape` says, and feed (image / 255 - mean) / std."
            ) from error
        levels = torch.from_numpy(steps(image).astype(np.float32))
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (levels / 255 - mean) / std


def save_state(folder: Location, state: Mapping[str, Any]) -> None:
    """Replace the saved state of a running trial; a SHA-256 digest of the state comes first.

    The digest is needed because torch reads most states with a wrong byte without an error.
    """
    buffer = io.BytesIO()
    buffer.write(bytes(_DIGEST_BYTES))
    torch.save(dict(state), buffer)
    view = buffer.getbuffer()
    view[:_DIGEST_BYTES] = hashlib.sha256(view[_DIGEST_BYTES:]).digest()
    (folder / STATE).write(view)


def load_state(folder: Location, device: str) -> dict[str, Any] | None:
    """Return the state last saved, or None if there is none.

    Raises:
        StudyError: the file is damaged, or reading it would run code.
    """
    try:
        data = memoryview((folder / STATE).read())
    except FileNotFoundError:
        return None
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise StudyError(f"{folder / STATE} is damaged.")
    try:
        state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except (
        Exception
    ) as error:  # damaged bytes may raise anything; a file that would run code also ends here
        raise StudyError(f"{folder / STATE} is not a state that this version reads.") from error
    if not isinstance(state, dict):
        raise StudyError(f"{folder / STATE} is not a state that this version reads.")
    return state


def drop_state(folder: Location) -> None:
    """Remove a running trial's state, after its encoder is written."""
    (folder / STATE).remove()


def save_encoder(path: Location, encoder: nn.Module, about: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors) and the JSON beside it.

    Args:
        path: ends in .safetensors.
        encoder: its state dict is written, with contiguous tensors and unchanged types.
        about: JSON with at least `encoder` (an EncoderConfig), `shape`, `mean`, `std`; and the
            trial's `seed`.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(encoder).items()}
    write_encoder(path, tensors, about)


def write_encoder(path: Location, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write the JSON before the tensors, so that tensors never lack their JSON."""
    path.parent.make_folder()
    text = json.dumps(about, indent=2, sort_keys=True, allow_nan=False) + "\n"
    path.with_suffix(".json").write(text.encode())
    path.write(safetensors.torch.save(dict(tensors)))


def load_encoder(
    path: Address, *, device: str = "cpu", plugins: Collection[str] = ()
) -> LoadedEncoder:
    """Read an exported encoder, or a trial's own.

    Args:
        path: the .safetensors file; its JSON lies beside it.
        device: where the encoder goes.
        plugins: your own encoders, `"package.module:name"`, that the JSON may name. Any other
            plug-in is refused, because the file would choose which code runs.

    Returns:
        The encoder in evaluation mode, with its normalisation and the JSON.

    Raises:
        StudyError: a file is missing, the two files do not fit together, or the JSON names code
            that is not allowed.
    """
    location = locate(path)
    json_file = location.with_suffix(".json")
    try:
        about = json.loads(json_file.read())
        config = EncoderConfig(**about["encoder"])
        if config.name not in (*ENCODERS, *plugins):
            raise StudyError(
                f"{json_file} names the encoder {config.name!r}, which is not an encoder of sweep. "
                "If you trust that code, allow it: "
                f"sweep.load_encoder({str(location)!r}, plugins=[{config.name!r}])."
            )
        tensors = safetensors.torch.load(location.read())
        shape = (int(about["shape"][0]), int(about["shape"][1]), int(about["shape"][2]))
        encoder = build(config, shape, seed=int(about.get("seed", 0)))
        encoder.load_state_dict(tensors)
        mean, std = tuple(map(float, about["mean"])), tuple(map(float, about["std"]))
    except FileNotFoundError as error:
        raise StudyError(
            f"{error.filename or location} is missing; an export is a .safetensors file with a "
            ".json of the same name beside it. `sweep export STUDY -o encoder.safetensors` writes "
            "both."
        ) from error
    except (ConfigError, safetensors.SafetensorError, *_MISFITS) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StudyError(
            f"{location} is not an encoder that sweep wrote: {reason:.300}."
        ) from error
    return LoadedEncoder(
        encoder=encoder.to(device).eval(), mean=mean, std=std, shape=shape, about=about
    )


_MISFITS = (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError, OverflowError)
"""Errors that JSON of another form, or weights of another network, raise."""


def _state(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the state dict with the names that it would have without torch.compile."""
    return {
        name.removeprefix("_orig_mod."): tensor for name, tensor in encoder.state_dict().items()
    }
