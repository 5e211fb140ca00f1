"""Configs of image data: to JSON and back, and what cannot be is refused by name."""

import pytest

from groundup.configs import from_json, to_json
from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.errors import InputError


@pytest.mark.parametrize(
    "config", [ImageDataConfig(), ImageDataConfig(source="mnist", full_mnist=False, seed=3), AugmentConfig(degrees=10)]
)
def test_to_json_and_back(config):
    assert from_json(type(config), to_json(config)) == config


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (ImageDataConfig, {"source": ""}, "ImageDataConfig.source must be named, found an empty text"),
        (ImageDataConfig, {"test_fraction": 0.6}, "ImageDataConfig.test_fraction must be in [0, 0.5], found 0.6"),
        (ImageDataConfig, {"test_fraction": 0}, "ImageDataConfig.test_fraction must be above 0, found 0"),
        (ImageDataConfig, {"seed": -1}, "ImageDataConfig.seed must be at least 0, found -1"),
        (AugmentConfig, {"degrees": -1.0}, "AugmentConfig.degrees must be in [0, 180], found -1.0"),
        (AugmentConfig, {"translate": 1.5}, "AugmentConfig.translate must be in [0, 1], found 1.5"),
        (AugmentConfig, {"scale": 1.0}, "AugmentConfig.scale must be in [0, 1), found 1.0"),
        (AugmentConfig, {"erase": float("nan")}, "AugmentConfig.erase must be a finite number, found nan"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(kind, fields, said):
    with pytest.raises(InputError) as error:
        kind(**fields)
    assert str(error.value) == said


@pytest.mark.parametrize("field", ["degrees", "translate", "scale", "erase"])
def test_each_field_varies_images(field):
    assert AugmentConfig(**{field: 0.5}).varies
    assert not AugmentConfig().varies
