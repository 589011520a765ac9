"""What every method keeps to."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from sweep.config.models import MethodConfig
from sweep.core.errors import ConfigError
from sweep.methods import METHODS, bind
from tests.methods.batches import batch, built
from tests.runs import KEYS, fresh, going, same, small_method, trained, trial

OVER_THE_BATCH = ("barlow_twins", "simclr", "vicreg")
"""Methods whose loss compares the images of a batch with each other."""

pytestmark = pytest.mark.parametrize("name", METHODS)


def of(name: str, seed: int = 0, **train: Any) -> Any:
    return trial(seed, method=small_method(name), train=train)


def test_the_table_of_small_keys_is_complete(name: str) -> None:
    assert name in KEYS


def test_it_trains_and_the_loss_falls(name: str) -> None:
    _, progress = trained(of(name, epochs=20, batch=20, lr=3e-3))
    assert {step.status for step in progress} == {"ok"}
    first, last = (sum(step.loss for step in part) for part in (progress[:10], progress[-10:]))
    assert last < 0.99 * first  # DIET's cannot fall below the entropy of its smoothed targets


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    first, _ = trained(of(name))
    again, _ = trained(of(name))
    other, _ = trained(of(name, 1))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("stop", [1, 8])
@pytest.mark.parametrize("optimizer", ["adam", "lars"])
def test_a_run_restored_from_its_state_goes_on_bit_for_bit(
    name: str, optimizer: str, stop: int
) -> None:
    config = of(name, optimizer=optimizer)
    whole, _ = trained(config)
    run = fresh(config)
    for progress in going(run, config):
        if progress.step == stop:
            break
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    restored = fresh(config)
    restored.load_state_dict(torch.load(file, weights_only=True))
    list(going(restored, config))
    assert same(restored, whole)
    assert restored.mean_parts() == whole.mean_parts()
    states = (restored.optimizer.state_dict()["state"], whole.optimizer.state_dict()["state"])
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_its_parts_are_finite_scalars_without_a_graph(name: str) -> None:
    loss = built(name)(batch())
    assert loss.parts
    for part in loss.parts.values():
        assert part.shape == ()
        assert not part.requires_grad
        assert part.isfinite()


def test_its_parts_have_the_same_names_in_each_step_and_no_name_of_another_measure(
    name: str,
) -> None:
    run, _ = trained(of(name))
    assert len({tuple(parts) for parts in run.parts}) == 1
    assert not {"loss", "accuracy", "test_accuracy", "alpha", "rankme"} & run.mean_parts().keys()


def test_all_that_is_trained_gets_a_finite_gradient(name: str) -> None:
    method = built(name)
    torch.autograd.backward(method(batch()).value)
    trainable = {key: w for key, w in method.named_parameters() if w.requires_grad}
    assert [key for key, weight in trainable.items() if weight.grad is None] == []
    grads = [weight.grad for weight in trainable.values() if weight.grad is not None]
    assert all(bool(grad.isfinite().all()) for grad in grads)
    of_encoder = [weight.grad for weight in method.encoder.parameters() if weight.grad is not None]
    assert any(bool(grad.abs().sum() > 0) for grad in of_encoder)


def test_its_outputs_are_watched_for_collapse(name: str) -> None:
    outputs = built(name)(batch(12)).outputs
    assert outputs is not None
    assert outputs.ndim == 2
    assert len(outputs) == 12


def test_neither_building_beyond_the_seed_nor_a_step_touches_the_global_generator(
    name: str,
) -> None:
    state = torch.get_rng_state()
    trained(of(name))
    assert torch.equal(torch.get_rng_state(), state)
    method = built(name)
    torch.manual_seed(1)
    first = method(batch()).value
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(built(name)(batch()).value, first)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_step_leaves_the_images_alone(name: str) -> None:
    given = batch()
    before = given.images.clone(), given.rows.clone()
    built(name)(given)
    assert torch.equal(given.images, before[0])
    assert torch.equal(given.rows, before[1])


def test_the_loss_is_float32_under_autocast_and_close_to_that_without(name: str) -> None:
    method = built(name)
    plain = method(batch())
    method = built(name)
    with torch.autocast("cpu", torch.bfloat16):
        cast = method(batch())
    assert cast.value.dtype == torch.float32
    assert {part.dtype for part in cast.parts.values()} == {torch.float32}
    assert cast.value.item() == pytest.approx(plain.value.item(), rel=0.1)
    torch.autograd.backward(cast.value)


def test_a_loss_over_the_batch_gathers_and_then_a_copy_counts_as_a_larger_batch(
    name: str,
) -> None:
    gathered: list[Tensor] = []

    def twice(z: Tensor) -> Tensor:
        gathered.append(z)
        return torch.cat([z, z])

    method = built(name)
    state = {key: value.clone() for key, value in method.state_dict().items()}
    from_gather = method(batch(gather=twice))
    assert bool(gathered) == (name in OVER_THE_BATCH)
    method.load_state_dict(state)
    from_copies = method(batch(copies=2))
    torch.testing.assert_close(from_gather.value, from_copies.value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        dict(from_gather.parts), dict(from_copies.parts), rtol=1e-4, atol=1e-5
    )


def test_keys_that_it_does_not_have_are_refused(name: str) -> None:
    config = MethodConfig.model_validate({"name": name, "warmth": 1})
    with pytest.raises(
        ConfigError, match=rf"method\.warmth is no key of {name}\. Keys of {name}: "
    ):
        bind(config)


def test_an_unknown_name_names_the_nearest(name: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{name}'"):
        bind(MethodConfig(name=name[:-1]))
