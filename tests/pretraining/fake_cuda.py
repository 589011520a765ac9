"""A GPU that computes no numbers: torch's fake tensors, and stand-ins for what needs a real GPU.

Every tensor has a device, a type and a shape, and torch refuses operations on two devices as a
real GPU does. Where the host reads a value, there is none: `Reads` gives one, and notes the
function that reads.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

import sweep

CLASSES = 10
PACKAGE = Path(sweep.__file__).parent
aten = torch.ops.aten


class Reads(TorchDispatchMode):
    """Gives a value where the host reads one of a tensor, and notes by which function and where.

    Args:
        answers: function, as `module.function` inside of the package -> what its reads give, in
            turns; by default true, or one.

    Attributes:
        seen: function -> kinds of device from which it read.
    """

    def __init__(self, answers: Mapping[str, Sequence[bool]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self._answers = {name: itertools.cycle(values) for name, values in answers.items()}
        self.seen: dict[str, set[str]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is aten._local_scalar_dense.default:
            return self._answer(args[0])
        if func is aten._unique2.default:  # the host waits for the number of values
            labels_N = args[0]
            self.note(labels_N)
            return labels_N.new_empty(CLASSES), torch.empty_like(labels_N), labels_N.new_empty(0)
        return func(*args, **(kwargs or {}))

    def note(self, tensor: Tensor) -> str:
        """Note who reads a tensor, and from which device; return the function."""
        name = _reader()
        self.seen.setdefault(name, set()).add(tensor.device.type)
        return name

    def array(self, tensor: Tensor) -> npt.NDArray[Any]:
        """Return the array that `Tensor.numpy` does: ones."""
        if tensor.device.type != "cpu":
            raise TypeError(f"{_reader()} makes an array of a tensor on {tensor.device}.")
        self.note(tensor)
        return np.ones(tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))

    def _answer(self, tensor: Tensor) -> float:
        name = self.note(tensor)
        if tensor.dtype == torch.bool:
            return next(self._answers[name]) if name in self._answers else True
        return 1.0 if tensor.dtype.is_floating_point else 1


@dataclass(frozen=True)
class Generator:
    """Of a GPU: fake tensors draw nothing, so only the device counts."""

    device: torch.device

    def manual_seed(self, seed: int) -> Generator:
        return self


def _generator(device: str) -> Generator | torch.Generator:
    on = torch.device(device)
    return torch.Generator(on) if on.type == "cpu" else Generator(on)


def _drawing(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function of torch that draws, and checks the generator's device as a GPU does."""

    def drawn(
        *args: Any, generator: Generator | torch.Generator | None = None, **kwargs: Any
    ) -> Tensor:
        wanted = torch.device(kwargs.get("device") or "cpu")
        if generator is not None and generator.device.type != wanted.type:
            raise RuntimeError(f"a generator of {generator.device} draws for {wanted}")
        return draw(*args, **kwargs)

    return drawn


@contextlib.contextmanager
def fake_cuda(answers: Mapping[str, Sequence[bool]], *, free: int = 80 << 30) -> Iterator[Reads]:
    """Let torch have a GPU of fake tensors, and yield what the host reads from them.

    What fake tensors lack, and is replaced here: generators of a GPU, `nn.Module.to`, the backward
    pass, copies, arrays, files of tensors, and what torch says of a GPU.

    Args:
        answers: see `Reads`.
        free: bytes of the GPU's memory.
    """
    reads = Reads(answers)
    shelf: dict[bytes, Any] = {}
    read_array = torch.Tensor.numpy

    def keep(value: object) -> bytes:
        key = secrets.token_bytes(16)
        shelf[key] = value
        return key

    def loaded(file: Any, map_location: str, weights_only: bool) -> Any:
        return tree_map_only(Tensor, lambda t: t.detach().to(map_location), shelf[file.read()])

    def saved(tensors: dict[str, Tensor]) -> bytes:
        for name, tensor in tensors.items():
            assert tensor.device.type == "cpu", f"{name} is written from {tensor.device}"
        return keep(tensors)

    def numpy(tensor: Tensor) -> npt.NDArray[Any]:
        is_fake = isinstance(tensor, FakeTensor)
        return reads.array(tensor) if is_fake else read_array(tensor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.pretraining.seeds.Generator", _generator)
        for name in ("rand", "randn", "randint", "randperm"):
            patch.setattr(torch, name, _drawing(getattr(torch, name)))
        patch.setattr(nn.Module, "to", _moved)
        patch.setattr(torch.autograd, "backward", _backward)
        patch.setattr(torch, "save", lambda state, file: file.write(keep(state)))
        patch.setattr(torch, "load", loaded)
        patch.setattr(safetensors.torch, "save", saved)
        patch.setattr(safetensors.torch, "load", shelf.__getitem__)
        patch.setattr(torch.Tensor, "numpy", numpy)
        patch.setattr(torch.Tensor, "__deepcopy__", lambda tensor, memo: tensor.detach().clone())
        patch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
        patch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
        patch.setattr(torch.cuda, "get_device_name", lambda device: "fake")
        with FakeTensorMode(allow_non_fake_inputs=True), reads:
            yield reads


def _moved(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    """Move a module as `nn.Module.to` does, with new parameters instead of changed ones."""
    device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)
    known: dict[int, nn.Parameter] = {}

    def moved(tensor: Tensor) -> Tensor:
        new = tensor.detach().to(device or tensor.device, dtype or tensor.dtype)
        is_laid_out = layout is not None and new.ndim == 4
        return new.contiguous(memory_format=layout) if is_laid_out else new

    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                if id(weight) not in known:
                    known[id(weight)] = nn.Parameter(moved(weight), weight.requires_grad)
                part._parameters[name] = known[id(weight)]
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = moved(buffer)
    return module


def _backward(loss: Tensor) -> None:
    """Give each weight that a loss depends on a gradient of its own form."""
    assert loss.shape == ()
    assert loss.device.type == "cuda"
    waiting, known = [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in known:
            continue
        known.add(node)
        if (weight := getattr(node, "variable", None)) is not None:
            assert weight.device.type == "cuda"
            weight.grad = torch.ones_like(weight)
        waiting += [following for following, _ in node.next_functions]


def _reader() -> str:
    """Return the innermost function of the package that is being called: `module.function`."""
    frame = inspect.currentframe()
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        is_mode = frame.f_code.co_name == "__torch_function__"  # only passes calls on
        if file.is_relative_to(PACKAGE) and not is_mode:
            module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    raise AssertionError("a value is read outside of the package")
