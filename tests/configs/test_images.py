"""Configs of runs on images: options out of range are refused, and a run survives JSON."""

import pytest

from groundup.configs.codec import from_json, to_json
from groundup.configs.image_data import AugmentConfig
from groundup.configs.images import ImagesConfig
from groundup.configs.vision import VisionConfig
from groundup.errors import InputError


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label_smoothing": 1.0}, r"ImagesConfig.label_smoothing must be in \[0, 1\), found 1.0"),
        ({"label_smoothing": -0.1}, "ImagesConfig.label_smoothing"),
        ({"mixup": -0.2}, "ImagesConfig.mixup"),
    ],
)
def test_options_out_of_range_are_refused(fields: dict[str, float], said: str):
    with pytest.raises(InputError, match=said):
        ImagesConfig(**fields)  # type: ignore[arg-type]


def test_a_run_survives_json_and_says_what_it_learns():
    config = ImagesConfig(
        augment=AugmentConfig(degrees=5), model=VisionConfig(family="resnet", channels=(8, 16)), mixup=0.2
    )
    assert '"task": "images"' in to_json(config)
    assert from_json(ImagesConfig, to_json(config)) == config
