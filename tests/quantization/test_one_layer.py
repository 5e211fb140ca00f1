"""One layer to its quantized form: each method keeps what it promises, and the layer given stays as it was."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from groundup.configs.quantization import QuantizationConfig
from groundup.layers.embedding import TokenEmbedding
from groundup.quantization.inputs_seen import InputsSeen
from groundup.quantization.int4 import Int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8, StaticRange
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.one_layer import aware_scale, in_8_bits, quantize_layer, quantize_table

INT4, INT8 = QuantizationConfig(), QuantizationConfig(to="int8")


def base(width: int = 64) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(width, 12)


def inputs() -> Tensor:
    """Inputs that depend on each other, of which three are large."""
    torch.manual_seed(1)
    x = torch.randn(300, 16) @ torch.randn(16, 64)
    x[:, :3] *= 20
    return x


def seen(config: QuantizationConfig) -> InputsSeen:
    found = InputsSeen(64, config)
    found.see(inputs())
    return found


def lost(layer: nn.Module) -> float:
    """The error of the products with `inputs`, relative."""
    x, expected = inputs(), base()(inputs())
    return ((layer(x) - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(
    ("config", "scales"),
    [
        (INT8, (12, 2)),
        (replace(INT8, granularity="channel"), (12, 1)),
        (replace(INT8, granularity="tensor"), ()),
        (replace(INT8, symmetric=False), (12, 1)),
        (replace(INT8, activations="dynamic"), (12, 1)),
    ],
)
def test_eight_bits_share_scales_as_the_config_says(config: QuantizationConfig, scales: tuple[int, ...]):
    layer = base()
    before = layer.weight.detach().clone()
    found = quantize_layer(layer, config)
    assert isinstance(found, Int8Linear)
    assert (found.scale.shape, found.zero is None) == (scales, config.symmetric)
    assert found.activations == config.activations
    assert torch.equal(found.bias, layer.bias)
    step = found.scale.float().max()
    assert (found.dequantized() - before).abs().max() <= 0.51 * step  # scales of float16 move the steps
    assert torch.equal(layer.weight, before)
    assert isinstance(layer.weight, nn.Parameter)


def test_rows_that_are_no_groups_have_a_scale_each():
    assert quantize_layer(base(40), INT8).scale.shape == (12, 1)


def test_static_activations_have_the_range_that_was_seen():
    config = replace(INT8, activations="static")
    found = quantize_layer(base(), config, seen(config)).activations
    assert isinstance(found, StaticRange)
    low, high = (float(end) for end in inputs().aminmax())
    assert found.low == pytest.approx(low, abs=found.scale)
    assert found.high == pytest.approx(high, abs=found.scale)


def test_four_bits_lose_less_the_more_is_known():
    losses, moved = {}, {}
    for method in ("round", "fitted", "gptq"):
        for aware in (False, True):
            config = replace(INT4, method=method, activation_aware=aware)
            sums = seen(config) if config.needs_text else None
            scale = None if sums is None else aware_scale([base()], config, sums)
            assert (scale is not None) == aware
            found = quantize_layer(base(), config, sums, scale)
            assert isinstance(found, Int4Linear)
            assert (found.input_scale is not None) == aware
            assert found.kept.group_size == 32
            losses[method, aware] = lost(found)
            moved[method, aware] = (found.dequantized() - base().weight).norm().item()
    assert moved["fitted", False] < moved["round", False]  # it looks at weights alone
    assert losses["gptq", False] < losses["round", False] / 3
    assert losses["round", True] < losses["round", False] / 1.5
    assert losses["gptq", True] < losses["round", True]


def test_layers_with_one_input_share_the_scale_that_is_best_for_both():
    config = replace(INT4, activation_aware=True)
    sums, two = seen(config), [base(), nn.Linear(64, 30)]
    together = aware_scale(two, config, sums)
    stacked = nn.Linear(64, 42)
    stacked.weight.data = torch.cat([layer.weight.data for layer in two])
    assert torch.equal(together, aware_scale([stacked], config, sums))
    assert aware_scale(two, INT4, sums) is None


@pytest.mark.parametrize(
    ("config", "to"),
    [
        (INT8, "int8"),
        (INT4, "int8"),
        (replace(INT4, method="fitted", group_size=64, activation_aware=True), "int8"),
        (replace(INT4, method="gptq", group_size=128), "int4"),
    ],
)
def test_what_decides_between_tokens_is_in_8_bits_unless_gptq_fits_it(config: QuantizationConfig, to: str):
    assert in_8_bits(config).to == to
    assert in_8_bits(config).shared_by == config.shared_by
    table = TokenEmbedding(20, 128, scale=3.0)
    sums = InputsSeen(128, config) if config.method == "gptq" else None
    if sums is not None:
        sums.see(torch.randn(50, 128))
    found = quantize_table(table, config, sums)
    assert isinstance(found.kept, Int8 if to == "int8" else Int4)
    assert found.factor == 3.0
    assert quantize_table(table, config).kept.shape == (20, 128)  # untied: nothing is seen of what it is multiplied by
    assert isinstance(quantize_table(table, config).kept, Int8)


def test_rows_of_a_table_that_gptq_fits_are_looked_up_nearly_as_well_as_multiplied():
    config = replace(INT4, method="gptq")
    table, sums = TokenEmbedding(40, 64), InputsSeen(64, config)
    sums.see(inputs())
    fitted = quantize_table(table, config, sums)
    expected = inputs() @ table.weight.detach().T
    error = ((fitted.project(inputs()) - expected).norm() / expected.norm()).item()
    rows = ((fitted.dequantized() - table.weight).norm() / table.weight.norm()).item()
    assert error < 0.05
    assert (
        rows < 0.2
    )  # rounding alone moves a number of 32 by 0.09 of its size; what multiplies nothing is free to move
