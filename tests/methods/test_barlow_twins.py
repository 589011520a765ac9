from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sweep.methods.barlow_twins import barlow_twins_loss, cross_correlation, diagonal_terms
from sweep.pretraining.members import bind_trial
from sweep.pretraining.train import begin, pretrain
from tests.methods import first_version
from tests.runs import trial


def naive(z_a: Tensor, z_b: Tensor, lambd: float) -> float:
    """Return equation 1 of the paper, entry by entry, with eps added to each variance."""
    batch, d = z_a.shape
    a, b = z_a.double() - z_a.double().mean(0), z_b.double() - z_b.double().mean(0)
    loss = 0.0
    for i in range(d):
        for j in range(d):
            squares_a = (a[:, i] ** 2).sum() + batch * 1e-5
            squares_b = (b[:, j] ** 2).sum() + batch * 1e-5
            c = float((a[:, i] * b[:, j]).sum() / (squares_a * squares_b).sqrt())
            loss += (1 - c) ** 2 if i == j else lambd * c**2
    return loss


def correlated(batch: int = 12, d: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z_a, noise = torch.randn(2, batch, d, generator=generator, dtype=torch.float64)
    return z_a, z_a + 0.5 * noise + 3.0


def test_uncorrelated_units_seen_alike_in_both_views_cost_nothing() -> None:
    z = 1e3 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert barlow_twins_loss(z, z, lambd=1.0).item() == pytest.approx(0, abs=1e-10)


def test_one_unit_copied_d_times_costs_lambd_per_pair() -> None:
    z = 1e3 * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]).expand(4, 5)
    assert barlow_twins_loss(z, z, lambd=0.25).item() == pytest.approx(0.25 * 5 * 4)


def test_opposite_views_cost_four_per_unit() -> None:
    z = 1e3 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert barlow_twins_loss(z, -z, lambd=0.1).item() == pytest.approx(2 * 4)


@pytest.mark.parametrize("lambd", [1e-4, 5e-3, 0.5])
def test_equals_the_papers_equation(lambd: float) -> None:
    z_a, z_b = correlated()
    loss = barlow_twins_loss(z_a, z_b, lambd=lambd)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(naive(z_a, z_b, lambd), rel=1e-12)
    single = barlow_twins_loss(z_a.float(), z_b.float(), lambd=lambd)
    assert single.item() == pytest.approx(naive(z_a, z_b, lambd), rel=1e-5)


def test_gradient_is_that_of_finite_differences() -> None:
    z_a, z_b = (z.requires_grad_() for z in correlated(6, 3))
    assert torch.autograd.gradcheck(lambda a, b: barlow_twins_loss(a, b, lambd=0.1), (z_a, z_b))


def test_does_not_depend_on_scale_or_offset_of_a_unit() -> None:
    z_a, z_b = correlated()
    moved = barlow_twins_loss(1e3 * z_a + 5, 2e3 * z_b - 7, lambd=0.01)
    assert moved.item() == pytest.approx(
        barlow_twins_loss(1e3 * z_a, 1e3 * z_b, lambd=0.01).item(), rel=1e-6
    )


def test_a_dead_unit_costs_one_and_has_a_finite_gradient() -> None:
    z = 1e3 * torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, 2.0], [-1.0, 2.0]])
    z.requires_grad_()
    loss = barlow_twins_loss(z, z, lambd=0.1)
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(1)
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_is_computed_in_float32_under_autocast() -> None:
    z_a, z_b = (z.float() for z in correlated(64, 32))
    plain = barlow_twins_loss(z_a, z_b, lambd=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        cast = barlow_twins_loss(z_a, z_b, lambd=0.1)
        half = barlow_twins_loss(z_a.bfloat16(), z_b.bfloat16(), lambd=0.1)
    assert torch.equal(cast, plain)
    assert half.dtype == torch.float32


@pytest.mark.parametrize("lambd", [0.0, -1.0, float("nan")])
def test_refuses_a_lambda_that_is_not_above_zero(lambd: float) -> None:
    with pytest.raises(ValueError, match=r"lambd is .*, but must be > 0\."):
        barlow_twins_loss(*correlated(), lambd=lambd)


@pytest.mark.parametrize(
    ("shape_a", "shape_b"), [((4, 3), (4, 2)), ((4, 3), (5, 3)), ((4,), (4,)), ((1, 3), (1, 3))]
)
def test_refuses_views_that_are_not_two_equal_batches(
    shape_a: tuple[int, ...], shape_b: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"both must be \[B, d\]"):
        barlow_twins_loss(torch.zeros(shape_a), torch.zeros(shape_b), lambd=0.1)


@pytest.mark.parametrize("optimizer", ["adam", "lars"])
@pytest.mark.parametrize("joint", [False, True], ids=["apart", "joint"])
@pytest.mark.parametrize("channels", [1, 3])
def test_trains_to_the_same_bits_as_the_first_version(
    channels: int, joint: bool, optimizer: str
) -> None:
    config = bind_trial(
        trial(
            method={"d": 16, "lambd": 0.02, "joint_batch_norm": joint},
            train={
                "precision": "float32",
                "epochs": 4,
                "batch": 8,
                "optimizer": optimizer,
                "warmup_epochs": 1,
            },
            augment={"hue": 0.1, "blur": 0.5, "solarize": 0.2},
            data={"name": "digits"},
        )
    )
    shape = (channels, 8, 8)
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (40, *shape), generator=generator, dtype=torch.uint8)
    mean, std = [0.4] * channels, [0.25] * channels
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = begin(config, shape, "cpu", images=len(images))
        for _ in pretrain(
            run, images, config, device="cpu", mean=mean, std=std, heartbeat_seconds=1e9
        ):
            pass
        encoder, projector = first_version.train(config, images, mean=mean, std=std)
    finally:
        torch.set_num_threads(threads)
    assert run.step == 20
    before = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    before |= {f"projector.{name}": value for name, value in projector.state_dict().items()}
    now = run.method.state_dict()
    assert now.keys() == before.keys()
    assert [name for name in now if not torch.equal(now[name], before[name])] == []


def test_the_loss_is_d_times_invariance_plus_lambda_redundancy() -> None:
    z_a, z_b = correlated()
    on, off = diagonal_terms(cross_correlation(z_a, z_b))
    loss = barlow_twins_loss(z_a, z_b, lambd=0.3)
    assert loss.item() == pytest.approx(on.item() + 0.3 * off.item(), rel=1e-12)


def test_the_unbiased_variant_divides_by_the_other_variance() -> None:
    z_a, z_b = (1e3 * z for z in correlated())
    biased = cross_correlation(z_a, z_b)
    unbiased = cross_correlation(z_a, z_b, unbiased=True)
    torch.testing.assert_close(unbiased, biased * 11 / 12, rtol=1e-9, atol=0)
