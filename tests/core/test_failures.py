"""Failures: one line, a cause, and a way from a worker to the driver that nothing stops."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sweep.core.failures import ERROR_LENGTH, TRACEBACK_LENGTH, Failure, TrialError


class Odd(Exception):
    """Pickles, and cannot be unpickled: its class wants two arguments, and passes one on."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_exception_is_one_line_with_its_traceback() -> None:
    failure = Failure.of(ValueError("first\n  second"))
    assert failure.error == "ValueError: first second"
    assert failure.cause == "exception"
    assert "ValueError: first\n  second" in failure.traceback


def test_an_exception_of_any_make_reaches_the_driver() -> None:
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(Odd("a", "b")))
    for error in (Odd("a", "b"), Wordless()):
        failure = Failure.of(error)
        assert pickle.loads(pickle.dumps(TrialError.of(failure))).failure == failure


def test_an_exception_that_quotes_a_whole_array_is_cut() -> None:
    failure = Failure.of(ValueError("x" * 10**6))
    assert len(failure.error) == ERROR_LENGTH
    assert len(failure.traceback) == TRACEBACK_LENGTH


def exhausted_by_numpy() -> None:
    np.zeros(1 << 60, dtype=np.uint8)


def exhausted_by_torch() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def exhausted_by_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def exhausted_within() -> None:
    try:
        exhausted_by_numpy()
    except MemoryError as error:
        raise ValueError("no batch") from error


@pytest.mark.parametrize(
    "act", [exhausted_by_numpy, exhausted_by_torch, exhausted_by_a_gpu, exhausted_within]
)
def test_memory_that_runs_out_is_a_cause_of_its_own(act: object) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # each allocator has its own
        act()  # type: ignore[operator]
    assert Failure.of(raised.value).cause == "out of memory"
    assert Failure.of(raised.value, cause="start").cause == "out of memory"
