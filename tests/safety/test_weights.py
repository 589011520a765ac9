"""Weights from another person: loading them runs no code of theirs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import sweep
from sweep.config.models import EncoderConfig
from sweep.core.errors import StudyError
from sweep.encoders import build
from sweep.pretraining import checkpoint
from sweep.pretraining.context import Context
from sweep.pretraining.trial import run_trial
from sweep.storage.location import locate
from tests.safety.attacks import Attack, attack_ran, attacking_module
from tests.small import small_trial


def exported(folder: Path, **changes: Any) -> Path:
    """Export a small network with the given changes to its JSON; return the path."""
    config = EncoderConfig(name="small_conv")
    about = {
        "encoder": config.model_dump(mode="json"), "shape": [1, 8, 8], "mean": [0.5], "std": [0.2],
    } | changes  # fmt: skip
    path = folder / "encoder.safetensors"
    checkpoint.save_encoder(locate(path), build(config, (1, 8, 8)), about)
    return path


def saved(state: Any) -> bytes:
    """Return a state as `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def signed(data: bytes) -> bytes:
    """Return a state as it is on disk, with its digest first, which anyone can compute."""
    return hashlib.sha256(data).digest() + data


def test_the_pickle_attacks_where_code_is_allowed(tmp_path: Path) -> None:
    """The attack works; otherwise the tests below would prove nothing."""
    pickle.loads(pickle.dumps(Attack(tmp_path)))
    assert attack_ran(tmp_path)


@pytest.mark.parametrize("how", ["torch", "plain"])
def test_a_state_with_a_pickle_in_it_is_refused(tmp_path: Path, how: str) -> None:
    if how == "torch":
        data = saved({"step": 1, "encoder": Attack(tmp_path)})
    else:
        data = pickle.dumps(Attack(tmp_path), protocol=2)
    (tmp_path / checkpoint.STATE).write_bytes(signed(data))
    with pytest.raises(StudyError, match="is not a state that this version reads"):
        checkpoint.load_state(locate(tmp_path), "cpu")
    assert not attack_ran(tmp_path)


@pytest.mark.parametrize("place", range(0, 1500, 61))
def test_a_state_with_a_flipped_byte_is_read_or_refused(tmp_path: Path, place: int) -> None:
    data = bytearray(saved({"step": 1, "encoder": torch.ones(10)}))
    data[place % len(data)] ^= 0xFF
    (tmp_path / checkpoint.STATE).write_bytes(signed(bytes(data)))
    with contextlib.suppress(StudyError):  # any other error would be shown to the user
        assert isinstance(checkpoint.load_state(locate(tmp_path), "cpu"), dict)


def test_a_pickle_in_place_of_an_export_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path)
    path.write_bytes(pickle.dumps(Attack(tmp_path)))
    with pytest.raises(StudyError, match="is not an encoder that sweep wrote: SafetensorError"):
        sweep.load_encoder(path)
    torch.save(Attack(tmp_path), path)
    with pytest.raises(StudyError, match="is not an encoder that sweep wrote: SafetensorError"):
        sweep.load_encoder(path)
    assert not attack_ran(tmp_path)


def test_the_encoder_that_an_export_names_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacking_module(tmp_path / "untrusted.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = exported(tmp_path, encoder={"name": "untrusted:net"})
    with pytest.raises(
        StudyError,
        match=r"names the encoder 'untrusted:net', which is not an encoder of sweep. If you "
        r"trust that code, allow it: "
        r"sweep.load_encoder\('.*encoder.safetensors', plugins=\['untrusted:net'\]\)",
    ):
        sweep.load_encoder(path)
    assert "untrusted" not in sys.modules
    assert not attack_ran(tmp_path)


def test_an_export_calls_no_function_of_the_standard_library(tmp_path: Path) -> None:
    for name in ("os:system", "os:mkdir", "builtins:exec", "resnet1", ""):
        path = exported(tmp_path, encoder={"name": name, "path": "acted"})
        with pytest.raises(StudyError, match="which is not an encoder of sweep"):
            sweep.load_encoder(path)


def test_a_plug_in_is_imported_only_if_the_caller_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "from sweep.encoders.small_conv import small_conv as net\n"
    attacking_module(tmp_path / "allowed.py", tmp_path, more=more)
    monkeypatch.syspath_prepend(tmp_path)
    path = exported(tmp_path, encoder={"name": "allowed:net"})
    with pytest.raises(StudyError, match="which is not an encoder of sweep"):
        sweep.load_encoder(path, plugins=["another:net"])
    assert not attack_ran(tmp_path)
    assert sweep.load_encoder(path, plugins=["allowed:net"]).encoder.dim == 256
    assert attack_ran(tmp_path)


def test_a_trial_runs_no_code_of_files_in_its_folder(tmp_path: Path) -> None:
    state = saved({"step": 1, "encoder": Attack(tmp_path)})
    (tmp_path / checkpoint.STATE).write_bytes(signed(state))
    list(run_trial(small_trial("train.epochs=1"), Context(folder=tmp_path)))
    assert not attack_ran(tmp_path)
    metadata = tmp_path / "encoder.json"
    about = json.loads(metadata.read_text(encoding="utf-8"))
    metadata.write_text(json.dumps(about | {"encoder": {"name": "this:d"}}), encoding="utf-8")
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines()
    unprobed = [line for line in lines if '"probed"' not in line]
    journal.write_text("\n".join(unprobed) + "\n", encoding="utf-8")
    list(run_trial(small_trial("train.epochs=1"), Context(folder=tmp_path)))
    assert "this" not in sys.modules
    assert json.loads(metadata.read_text(encoding="utf-8"))["encoder"]["name"] == "small_conv"


WRONG: list[tuple[str, Callable[[Path], Any]]] = [
    ("JSONDecodeError", lambda path: path.write_text("[" * 50)),
    ("RecursionError", lambda path: path.write_text("[" * 100_000)),
    ("TypeError", lambda path: path.write_text("[]")),
    ("TypeError", lambda path: path.write_text('{"encoder": 3}')),
    ("KeyError: 'encoder'", lambda path: path.write_text("{}")),
    ("UnicodeDecodeError", lambda path: path.write_bytes(b"\xff")),
]


@pytest.mark.parametrize(("error", "write"), WRONG, ids=[error for error, _ in WRONG])
def test_any_other_json_is_refused_with_a_sentence(
    tmp_path: Path, error: str, write: Callable[[Path], Any]
) -> None:
    path = exported(tmp_path)
    write(path.with_suffix(".json"))
    with pytest.raises(StudyError, match=f"is not an encoder that sweep wrote: {error}"):
        sweep.load_encoder(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2**40, 8, 8]},
        {"shape": []},
        {"shape": [1e400, 8, 8]},
        {"mean": 3},
        {"std": ["x"]},
        {"encoder": {"name": "small_conv", "width": 10**9}},
        {"encoder": {"name": "small_conv", "width": 64}},
        {"encoder": {"name": "small_conv", "a": 1}},
    ],
    ids=str,
)
def test_a_json_that_does_not_fit_the_weights_is_refused_with_one_sentence(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = exported(tmp_path)
    metadata = path.with_suffix(".json")
    about = json.loads(metadata.read_text(encoding="utf-8")) | changes
    metadata.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(StudyError, match="is not an encoder that sweep wrote") as caught:
        sweep.load_encoder(path)
    assert "\n" not in str(caught.value)
