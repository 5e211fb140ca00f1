"""Configs of masked language modelling: shares that cannot be are refused, and a run survives JSON."""

import pytest

from groundup.configs.codec import from_json, to_json
from groundup.configs.masked import MaskedConfig, MaskingConfig
from groundup.errors import InputError


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"probability": 0.0}, "MaskingConfig.probability"),
        ({"probability": 1.5}, "MaskingConfig.probability"),
        ({"mask_share": 0.9, "random_share": 0.2}, r"must be at most 1 together, found 0.9 \+ 0.2"),
        ({"random_share": -0.1}, "MaskingConfig.random_share"),
    ],
)
def test_shares_that_cannot_be_are_refused(fields: dict[str, float], said: str):
    with pytest.raises(InputError, match=said):
        MaskingConfig(**fields)


def test_a_run_survives_json_and_says_what_it_learns():
    config = MaskedConfig(masking=MaskingConfig(probability=0.3, whole_words=True))
    assert '"task": "mask"' in to_json(config)
    assert from_json(MaskedConfig, to_json(config)) == config
