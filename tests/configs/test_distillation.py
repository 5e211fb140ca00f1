"""What a distillation config refuses: one line each, naming the field."""

import pytest

from groundup.configs.codec import from_json, to_json
from groundup.configs.distillation import DistillConfig, HiddenMatchConfig, SoftTargetConfig, WrittenConfig
from groundup.errors import InputError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SoftTargetConfig(temperature=0.0), r"SoftTargetConfig.temperature must be above 0, found 0.0"),
        (lambda: SoftTargetConfig(temperature=-1), r"SoftTargetConfig.temperature must be above 0, found -1"),
        (lambda: SoftTargetConfig(temperature=float("nan")), r"must be a finite number, found nan"),
        (lambda: SoftTargetConfig(weight=1.5), r"SoftTargetConfig.weight must be in \[0, 1\], found 1.5"),
        (lambda: SoftTargetConfig(top_k=0), r"SoftTargetConfig.top_k must be at least 1, found 0"),
        (lambda: HiddenMatchConfig(weight=-0.5), r"HiddenMatchConfig.weight must be above 0, found -0.5"),
        (lambda: WrittenConfig(n_texts=-1), r"WrittenConfig.n_texts must be at least 0, found -1"),
        (lambda: WrittenConfig(temperature=0), r"WrittenConfig.temperature must be above 0, found 0"),
        (lambda: WrittenConfig(prompt_tokens=8, max_tokens=8), r"must be above prompt_tokens=8, found 8"),
        (lambda: DistillConfig(), r"DistillConfig.teacher must be named, found an empty text"),
    ],
)
def test_impossible_values_are_refused(build, message: str):
    with pytest.raises(InputError, match=f"{message}$"):
        build()


def test_a_config_survives_json():
    config = DistillConfig(
        teacher="runs/tales",
        soft=SoftTargetConfig(top_k=5, folder="said"),
        hidden=HiddenMatchConfig(weight=0.5, blocks=(1, 3)),
        written=WrittenConfig(n_texts=7),
    )
    assert from_json(DistillConfig, to_json(config)) == config
