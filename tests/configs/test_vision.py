"""Configs of models of images: parts that do not go together are refused by name."""

import pytest

from groundup.configs.codec import from_json, to_json
from groundup.configs.vision import VisionConfig
from groundup.errors import InputError


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"channels": ()}, "VisionConfig.channels must name at least one stage for a cnn, found none"),
        ({"family": "resnet", "channels": ()}, "at least one stage for a resnet"),
        ({"family": "mlp", "channels": (8, 16)}, "must be empty for an mlp, found 8, 16"),
        ({"family": "resnet", "channels": (8,), "hidden": (32,)}, "must be empty for a resnet, found 32"),
        ({"channels": (8, 0)}, "VisionConfig.channels must be numbers above 0, found 8, 0"),
        ({"channels": (8,), "hidden": (-1,)}, "VisionConfig.hidden must be numbers above 0, found -1"),
        ({"channels": (8,), "kernel_size": 4}, "VisionConfig.kernel_size must be odd, found 4"),
        ({"channels": (8,), "blocks": 0}, "VisionConfig.blocks must be at least 1"),
        ({"channels": (8,), "groups": -1}, "VisionConfig.groups must be at least 0"),
        ({"channels": (8,), "dropout": 1.0}, "VisionConfig.dropout"),
        ({"channels": (8,), "n_classes": 1}, "VisionConfig.n_classes must be at least 2"),
        ({"channels": (8,) * 5, "image_size": (28, 20)}, "at most 4 stages for images of 28, 20, found 5"),
        (
            {"family": "resnet", "channels": (8,), "stem_pool": True, "image_size": (1, 20)},
            "VisionConfig.stem_pool must be False for images of 1, 20, found True",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], said: str):
    with pytest.raises(InputError, match=said):
        VisionConfig(**fields)  # type: ignore[arg-type]


def test_as_many_stages_as_the_image_allows():
    assert VisionConfig(channels=(8,) * 4, image_size=(28, 20)).n_convolutions == 4
    assert VisionConfig(family="resnet", channels=(8,) * 6, image_size=(8, 8)).n_convolutions == 13
    assert VisionConfig(family="mlp").n_convolutions == 0


def test_it_survives_json_open_or_settled():
    for config in (VisionConfig(channels=(8, 16)), VisionConfig(family="mlp", hidden=(4,), image_size=(8, 9))):
        assert from_json(VisionConfig, to_json(config)) == config
