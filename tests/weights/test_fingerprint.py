"""A fingerprint tells models apart by any number, and not by what changes no answer."""

from dataclasses import replace

import pytest
import torch

from groundup.configs.model import GPTConfig
from groundup.models.gpt import GPT
from groundup.weights.fingerprint import model_fingerprint

CONFIG = GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=2, position="rotary")


def gpt(config: GPTConfig = CONFIG) -> GPT:
    torch.manual_seed(0)
    return GPT(config)


def test_any_number_counts():
    before = model_fingerprint(gpt())
    assert model_fingerprint(gpt()) == before
    for name, _ in gpt().named_parameters():
        other = gpt()
        with torch.no_grad():
            other.get_parameter(name).view(-1)[-1] += 1e-3
        assert model_fingerprint(other) != before, name


@pytest.mark.parametrize("field", [{"rotary_base": 100.0}, {"n_heads": 4}, {"norm_epsilon": 1e-6}])
def test_what_the_config_alone_decides_counts(field: dict[str, float]):
    other = GPT(replace(CONFIG, **field))
    other.load_state_dict(gpt().state_dict(), strict=False)
    assert model_fingerprint(other) != model_fingerprint(gpt())


def test_dropout_and_mode_do_not_count():
    assert model_fingerprint(gpt(replace(CONFIG, dropout=0.5)).eval()) == model_fingerprint(gpt())


def test_bfloat16_is_another_model():
    assert model_fingerprint(gpt().bfloat16()) != model_fingerprint(gpt())
