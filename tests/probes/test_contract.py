"""The contract of every probe in `PROBES`."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import torch

from sweep.probes import PROBES, Labelled, Probe

CLASSES = 4


def labelled(images: int, *, margin: float, seed: int, dim: int = 16) -> Labelled:
    """Return normal noise around one centre per class, `margin` from the origin on its own axis."""
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.arange(images) % CLASSES
    h_ND = torch.randn(images, dim, generator=generator)
    h_ND[torch.arange(images), labels_N] += margin
    return Labelled(features_ND=h_ND, labels_N=labels_N)


@pytest.fixture(params=PROBES)
def probe(request: pytest.FixtureRequest) -> Probe:
    return PROBES[request.param]()


def test_separable_classes_are_separated(probe: Probe) -> None:
    fitted = probe(labelled(400, margin=12, seed=0), labelled(200, margin=12, seed=1))
    assert fitted.measure.name == "accuracy"
    assert fitted.measure.status == "ok"
    assert fitted.measure.value is not None
    assert fitted.measure.value > 0.99
    test = labelled(100, margin=12, seed=2)
    assert (fitted.predict(test.features_ND) == test.labels_N).float().mean() > 0.99


def test_labels_unrelated_to_the_features_give_the_accuracy_of_chance(probe: Probe) -> None:
    measure = probe(labelled(400, margin=0, seed=0), labelled(2000, margin=0, seed=1)).measure
    assert measure.value == pytest.approx(1 / CLASSES, abs=0.05)


def test_the_detail_gives_the_standard_error_of_the_accuracy(probe: Probe) -> None:
    measure = probe(labelled(400, margin=2, seed=0), labelled(200, margin=2, seed=1)).measure
    assert measure.value is not None
    error = math.sqrt(measure.value * (1 - measure.value) / 200)
    assert measure.detail["standard_error"] == pytest.approx(error)
    assert measure.detail["images"] == 200
    assert measure.detail["train_images"] == 400
    assert json.loads(json.dumps(measure.detail, allow_nan=False)) == measure.detail


def test_the_accuracy_is_that_of_the_predictions(probe: Probe) -> None:
    train, validation = labelled(400, margin=2, seed=0), labelled(200, margin=2, seed=1)
    fitted = probe(train, validation)
    predicted = fitted.predict(validation.features_ND)
    assert predicted.shape == (200,)
    assert predicted.dtype == torch.int64
    assert fitted.measure.value == (predicted == validation.labels_N).double().mean()


def test_the_same_features_give_the_same_result_bit_for_bit(probe: Probe) -> None:
    train, validation = labelled(400, margin=1, seed=0), labelled(200, margin=1, seed=1)
    original = train.features_ND.clone()
    first, second = probe(train, validation), probe(train, validation)
    assert first.measure == second.measure
    torch.manual_seed(5)
    h_ND = torch.randn(50, 16)
    assert torch.equal(first.predict(h_ND), second.predict(h_ND))
    assert torch.equal(train.features_ND, original)


def test_labels_may_have_gaps_and_be_absent_from_validation(probe: Probe) -> None:
    train = labelled(400, margin=12, seed=0)
    sparse = Labelled(features_ND=train.features_ND, labels_N=train.labels_N * 7 + 2)
    validation = labelled(200, margin=12, seed=1)
    last = validation.labels_N == 3
    part = Labelled(
        features_ND=validation.features_ND[last], labels_N=validation.labels_N[last] * 7 + 2
    )
    fitted = probe(sparse, part)
    assert fitted.measure.value == 1.0
    assert set(fitted.predict(sparse.features_ND).tolist()) == {2, 9, 16, 23}


def test_a_label_absent_from_training_counts_as_wrong(probe: Probe) -> None:
    train, validation = labelled(400, margin=12, seed=0), labelled(200, margin=12, seed=1)
    fewer = train.labels_N < 3
    part = Labelled(features_ND=train.features_ND[fewer], labels_N=train.labels_N[fewer])
    assert probe(part, validation).measure.value == pytest.approx(0.75, abs=0.01)


def test_a_single_class_is_always_predicted(probe: Probe) -> None:
    train, validation = labelled(40, margin=1, seed=0), labelled(20, margin=1, seed=1)
    single = Labelled(features_ND=train.features_ND, labels_N=torch.full((40,), 2))
    assert probe(single, validation).measure.value == 0.25


def test_a_constant_column_changes_no_prediction(probe: Probe) -> None:
    train, validation = labelled(400, margin=2, seed=0), labelled(200, margin=2, seed=1)

    def widened(part: Labelled) -> Labelled:
        h_ND = torch.cat([part.features_ND, torch.zeros(len(part), 1)], dim=1)
        return Labelled(features_ND=h_ND, labels_N=part.labels_N)

    plain, wide = probe(train, validation), probe(widened(train), widened(validation))
    expected = plain.predict(validation.features_ND)
    assert torch.equal(wide.predict(widened(validation).features_ND), expected)


def test_fewer_images_than_dimensions_are_enough(probe: Probe) -> None:
    train = labelled(20, margin=12, seed=0, dim=50)
    value = probe(train, labelled(200, margin=12, seed=1, dim=50)).measure.value
    assert value is not None
    assert value > 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("part", [0, 1])
def test_nan_and_infinity_are_nonfinite_and_the_most_frequent_label_is_predicted(
    probe: Probe, bad: float, part: int
) -> None:
    parts = [labelled(41, margin=1, seed=0), labelled(20, margin=1, seed=1)]
    parts[part].features_ND[3, 3] = bad
    fitted = probe(*parts)
    assert fitted.measure.status == "nonfinite"
    assert fitted.measure.value is None
    assert fitted.predict(torch.zeros(3, 16)).tolist() == [0, 0, 0]


def test_features_whose_squares_exceed_float32_are_nonfinite(probe: Probe) -> None:
    train, validation = labelled(40, margin=1, seed=0), labelled(20, margin=1, seed=1)
    huge = Labelled(features_ND=1e30 * train.features_ND, labels_N=train.labels_N)
    assert probe(huge, validation).measure.status == "nonfinite"


def test_collapsed_features_are_degenerate(probe: Probe) -> None:
    row = torch.linspace(-3, 5.7, 16)
    train = Labelled(features_ND=row.repeat(1000, 1), labels_N=torch.arange(1000) % 4)
    assert probe(train, train).measure.status == "degenerate"
    zeros = Labelled(features_ND=torch.zeros(40, 16), labels_N=torch.arange(40) % 4)
    assert probe(zeros, zeros).measure.status == "degenerate"


def test_a_probe_can_be_sent_to_a_worker(probe: Probe) -> None:
    train, validation = labelled(40, margin=2, seed=0), labelled(20, margin=2, seed=1)
    sent = pickle.loads(pickle.dumps(probe))
    assert sent(train, validation).measure == probe(train, validation).measure


@pytest.mark.parametrize(
    ("features", "labels", "sentence"),
    [
        (torch.zeros(3), torch.zeros(3).long(), r"features are torch.float32 \[3\], but must be"),
        (torch.zeros(3, 2).double(), torch.zeros(3).long(), "features are torch.float64"),
        (torch.zeros(3, 2), torch.zeros(4).long(), r"labels are torch.int64 \[4\], .* int64 \[3\]"),
        (torch.zeros(3, 2), torch.zeros(3), r"labels are torch.float32 \[3\].*use .long"),
    ],
)
def test_features_and_labels_that_do_not_match_are_refused(
    features: torch.Tensor, labels: torch.Tensor, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Labelled(features_ND=features, labels_N=labels)
