"""Classes of images: the loss against torch's and Zhang's formula, targets by hand, what a step is a function of."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from groundup.configs.training import EvaluationConfig, TrainConfig
from groundup.data.image_sets import ImageSet
from groundup.errors import InputError
from groundup.tasks.images import ImageBatch, ImageClassification, class_logits, lowest_training_loss, mixed
from groundup.tasks.task import Pictured

TRAINING = TrainConfig(batch_size=8, evaluation=EvaluationConfig(max_tokens=100))
NAMES = ("ring", "stroke", "hook")
# float32 sums of a few logarithms
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


class Noise:
    """Random images of random classes, a pure function of the step."""

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(step)
        return random.standard_normal((8, 1, 4, 4)).astype(np.float32), random.integers(0, 3, 8)


def held_out(n: int = 30) -> ImageSet:
    random = np.random.default_rng(99)
    return ImageSet(random.integers(0, 256, (n, 4, 4), np.uint8), random.integers(0, 3, n), NAMES)


def task(training: TrainConfig = TRAINING, **options: float) -> ImageClassification:
    images = held_out()
    inputs = (images.images[:, None] / 255).astype(np.float32)
    return ImageClassification(train=Noise(), validation=images, inputs=inputs, training=training, **options)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_loss_is_torchs_summed(label_smoothing: float):
    made, learner = task(label_smoothing=label_smoothing), model().eval()
    [batch] = made.train_batch(3)
    images, labels = (torch.from_numpy(part) for part in Noise().at(3))
    expected = 8 * F.cross_entropy(learner(images), labels, label_smoothing=label_smoothing)
    torch.testing.assert_close(made.loss(learner, batch), expected, **CLOSE)
    assert (made.n_targets(batch), made.n_tokens(batch), made.floor) == (8, 8, None)


def test_mixup_is_the_mixture_of_two_losses():
    made, learner = task(mixup=0.4), model().eval()
    [batch] = made.train_batch(3)
    images, labels = Noise().at(3)
    for i in range(8):
        share, one, other = explained(batch, i, images)
        assert labels[one] != labels[other] or batch.targets[i].max() == pytest.approx(1)
        alone = ImageBatch(batch.images[i : i + 1], batch.targets[i : i + 1])
        logits = learner(alone.images)
        losses = [F.cross_entropy(logits, torch.tensor([labels[of]])) for of in (one, other)]
        # the share is solved for from float32 images
        expected = share * losses[0] + (1 - share) * losses[1]
        torch.testing.assert_close(made.loss(learner, alone), expected, rtol=1e-3, atol=1e-4)


def explained(batch: ImageBatch, i: int, images: np.ndarray) -> tuple[float, int, int]:
    """Return share, itself and the other of which row i consists, found by trying every partner."""
    row = batch.images[i].numpy()
    for j in {*range(8)} - {i}:
        across = images[i] - images[j]
        share = float(((row - images[j]) * across).sum() / (across**2).sum())
        if np.allclose(row, share * images[i] + (1 - share) * images[j], atol=1e-5):
            assert 0 <= share <= 1 + 1e-6
            return share, i, j
    raise AssertionError("no partner explains the image")


@settings(max_examples=25, derandomize=True)
@given(alpha=st.floats(0.05, 20), key=st.integers(0, 2**40), n=st.integers(1, 9))
def test_mixed_targets_are_shares_of_the_images(alpha: float, key: int, n: int):
    images = np.arange(n, dtype=np.float32).reshape(n, 1, 1, 1)
    found, shares = mixed(images, np.eye(n, dtype=np.float32), alpha, key)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    # n numbers of up to 9 in float32
    np.testing.assert_allclose(found.ravel(), shares @ images.ravel(), atol=1e-5)
    assert (np.count_nonzero(shares, axis=1) <= 2).all()
    again = mixed(images, np.eye(n, dtype=np.float32), alpha, key)
    assert np.array_equal(found, again[0])


def test_what_a_step_learns_does_not_depend_on_how_it_is_cut():
    whole = task(mixup=0.3, label_smoothing=0.1)
    parts = task(replace(TRAINING, batch_size=2, accumulation_steps=4), mixup=0.3, label_smoothing=0.1)
    [batch], cut = whole.train_batch(5), parts.train_batch(5)
    assert len(cut) == 4
    assert torch.equal(batch.images, torch.cat([part.images for part in cut]))
    assert torch.equal(batch.targets, torch.cat([part.targets for part in cut]))
    assert torch.equal(batch.targets, task(mixup=0.3).train_batch(5)[0].targets)  # of the step alone
    assert not torch.equal(batch.targets, whole.train_batch(6)[0].targets)
    other = replace(TRAINING, seed=TRAINING.seed + 1)
    assert not torch.equal(batch.targets, task(other, mixup=0.3).train_batch(5)[0].targets)


def test_validation_by_hand():
    made, learner = task(), model()
    figures = made.evaluate(learner)
    assert learner.training  # as it was; dropout was off
    images = held_out()
    logits = learner[2](torch.from_numpy(images.images.reshape(30, 16) / 255).float()).double()
    labels = torch.from_numpy(images.labels)
    assert figures["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert figures["accuracy"] == (logits.argmax(1) == labels).double().mean().item()


def test_the_first_images_are_measured():
    made = task(replace(TRAINING, evaluation=EvaluationConfig(max_tokens=7)))
    learner = model().eval()
    found = class_logits(learner, torch.from_numpy(held_out().images[:7, None] / 255).float())
    assert made.evaluate(learner)["accuracy"] == (found.argmax(1).numpy() == held_out().labels[:7]).mean()
    assert made.pictures(learner, 0).keys() == {"confusion", "mistakes"}


def test_many_images_are_read_in_parts_in_their_order(monkeypatch: pytest.MonkeyPatch):
    learner, inputs = model().eval(), torch.randn(7, 1, 4, 4)
    whole = class_logits(learner, inputs)
    monkeypatch.setattr("groundup.tasks.images.IMAGES_AT_ONCE", 3)
    # other batch sizes may take other kernels
    torch.testing.assert_close(class_logits(learner, inputs), whole, **CLOSE)


def test_a_broken_model_has_a_loss_and_no_figures():
    learner = model()
    learner[2].bias.data[0] = math.nan
    figures = task().evaluate(learner)
    assert figures.keys() == {"loss"}
    assert math.isnan(figures["loss"])


def test_what_it_shows():
    made, learner = task(), model()
    assert isinstance(made, Pictured)
    for pixels in made.pictures(learner, 0).values():
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
    lines = made.sample(learner, 0).splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("WRONG  ")
    quiet = task(replace(TRAINING, evaluation=EvaluationConfig(sample_tokens=0)))
    assert quiet.sample(learner, 0) == ""
    assert quiet.pictures(learner, 0) == {}
    [batch] = made.train_batch(0)
    assert made.describe(batch).splitlines()[0] == f"row 1  100% {NAMES[int(batch.targets[0].argmax())]}"
    many = ImageBatch(batch.images.repeat(9, 1, 1, 1), batch.targets.repeat(9, 1))
    assert made.describe(many).splitlines()[-1] == "… 8 more rows"


def test_nothing_to_measure_on_is_refused():
    nothing = held_out(0)
    with pytest.raises(InputError, match="expected images to measure on, found none"):
        ImageClassification(
            train=Noise(), validation=nothing, inputs=np.zeros((0, 1, 4, 4), np.float32), training=TRAINING
        )


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_the_lowest_training_loss_of_mixed_images_by_drawing(alpha: float):
    share = np.clip(np.random.default_rng(0).beta(alpha, alpha, 400_000), 1e-300, 1 - 1e-16)
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    expected = entropy.mean() * (1 - 0.5**2 - 0.3**2 - 0.2**2)
    # entropies deviate by at most 0.35: their mean by 0.35 / √400,000 = 6e-4, of 0.23 and more
    assert lowest_training_loss([0.5, 0.3, 0.2], label_smoothing=0.0, mixup=alpha) == pytest.approx(expected, rel=0.01)


def test_the_lowest_training_loss_of_smoothed_targets_is_reached():
    lowest = lowest_training_loss([1 / 3] * 3, label_smoothing=0.3, mixup=0.0)
    target = torch.tensor([[0.8, 0.1, 0.1]], dtype=torch.float64)
    best = F.cross_entropy(target.log(), torch.tensor([0]), label_smoothing=0.3).item()
    assert lowest == pytest.approx(best, rel=1e-12)
    assert lowest_training_loss([0.5, 0.5], label_smoothing=0.1, mixup=0.2) is None
    assert lowest_training_loss([0.5, 0.5], label_smoothing=0.0, mixup=0.0) == 0
