"""The perceptron is its linear layers; it begins near chance; what is open is asked for."""

import math

import pytest
import torch
from torch.nn import functional as F

from groundup.configs.vision import VisionConfig
from groundup.errors import InputError
from groundup.models.mlp import MLP


def model(**fields: object) -> MLP:
    torch.manual_seed(0)
    return MLP(VisionConfig(family="mlp", **({"image_size": (8, 6), "n_classes": 4, "hidden": (32,)} | fields)))


def test_it_is_its_linear_layers():
    made, images = model(image_channels=2), torch.randn(3, 2, 8, 6)
    first, _, last = made.layers
    expected = F.relu(images.reshape(3, -1) @ first.weight.T + first.bias) @ last.weight.T + last.bias
    # float32 sums of 96 products
    torch.testing.assert_close(made(images), expected, rtol=1e-5, atol=1e-5)


def test_the_first_loss_is_near_chance():
    images, labels = torch.randn(200, 1, 8, 6), torch.arange(200) % 4
    loss = F.cross_entropy(model(hidden=(64, 64))(images), labels).item()
    assert math.log(4) <= loss < math.log(4) + 1.5  # logits of size about 1.4 raise it by half of their variance


def test_dropout_is_for_training_only():
    made, images = model(dropout=0.5), torch.ones(2, 1, 8, 6)
    assert not torch.equal(made(images)[0], made(images)[1])
    made.eval()
    assert torch.equal(made(images), made(images))


@pytest.mark.parametrize("open_field", ["image_size", "n_classes"])
def test_what_is_open_is_asked_for(open_field: str):
    with pytest.raises(InputError, match=r"expected VisionConfig\.image_size and n_classes, found them open"):
        model(**{open_field: None})
