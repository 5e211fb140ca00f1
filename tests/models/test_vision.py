"""From a config to a model: a seed decides the weights and nothing else changes; what does not fit is refused."""

import pytest
import torch

from groundup.configs.vision import VisionConfig
from groundup.errors import InputError
from groundup.models.cnn import CNN
from groundup.models.mlp import MLP
from groundup.models.resnet import ResNet
from groundup.models.vision import build_vision, for_images

CONFIGS = {
    MLP: VisionConfig(family="mlp", hidden=(8,)),
    CNN: VisionConfig(channels=(4,)),
    ResNet: VisionConfig(family="resnet", channels=(4, 8)),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_family_decides_the_class_and_the_seed_the_weights(kind: type):
    config = for_images(CONFIGS[kind], (8, 8), 3)
    before = torch.get_rng_state()
    one, same, other = (build_vision(config, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(one, kind)
    images = torch.ones(2, 1, 8, 8)
    assert one(images).shape == (2, 3)
    assert torch.equal(one(images), same(images))
    assert not torch.equal(one(images), other(images))


def test_what_is_not_the_images_is_refused():
    for given, said in (
        ({"image_size": (9, 8)}, r"image_size to be the images', \(8, 8\), found \(9, 8\)"),
        ({"n_classes": 4}, "n_classes to be the images', 3, found 4"),
        ({"image_channels": 3}, "image_channels to be the images', 1, found 3: leave it out"),
        ({"channels": (4,) * 4}, "at most 3 stages for images of 8, 8, found 4"),
    ):
        with pytest.raises(InputError, match=said):
            for_images(VisionConfig(**{"channels": (4,), **given}), (8, 8), 3)  # type: ignore[arg-type]


def test_what_is_given_and_right_stays():
    config = VisionConfig(channels=(4,), image_size=(8, 8), n_classes=3, image_channels=3)
    assert for_images(config, (8, 8), 3, n_channels=3) == config
