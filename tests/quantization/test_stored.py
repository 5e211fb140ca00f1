"""A quantized layer as named tensors and back; tensors that are not one are refused, each by its name."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import StaticRange, quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.stored import kind_of, layer_of

WEIGHT, BIAS = torch.randn(6, 64, generator=torch.Generator().manual_seed(0)), torch.arange(6.0)
INT4, INT8 = quantize_int4(WEIGHT, group_size=32), quantize_int8(WEIGHT)
LAYERS = {
    "int4": Int4Linear(INT4, None),
    "int4 with all": Int4Linear(quantize_int4(WEIGHT, group_size=64), BIAS, input_scale=torch.rand(64)),
    "rows": Int8Linear(INT8, BIAS),
    "whole, affine": Int8Linear(quantize_int8(WEIGHT, symmetric=False, by_row=False), None),
    "groups": Int8Linear(quantize_int8(WEIGHT, group_size=32), BIAS),
    "dynamic": Int8Linear(INT8, BIAS, activations="dynamic"),
    "static": Int8Linear(INT8, None, activations=StaticRange(0.5, -3)),
    "table of 8 bits": QuantizedEmbedding(quantize_int8(WEIGHT, group_size=32)),
    "table of 4 bits": QuantizedEmbedding(INT4),
}


def tensors_of(layer: nn.Module) -> dict[str, Tensor]:
    return dict(layer.named_buffers())


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_with_its_bits(name: str):
    layer = LAYERS[name]
    again = layer_of(kind_of(layer), tensors_of(layer))
    assert type(again) is type(layer)
    assert tensors_of(again).keys() == tensors_of(layer).keys()
    assert all(torch.equal(kept, tensors_of(again)[part]) for part, kept in tensors_of(layer).items())
    assert kind_of(again) == kind_of(layer)
    if isinstance(layer, QuantizedEmbedding):
        assert torch.equal(again(torch.tensor([[5, 0]])), layer(torch.tensor([[5, 0]])))
    else:
        x = torch.randn(3, 64)
        assert torch.equal(again(x), layer(x))
    if isinstance(layer, Int8Linear):
        assert again.activations == layer.activations


OTHERS: dict[str, tuple[str, Callable[[dict[str, Tensor]], object], str]] = {
    "no packed, no values": ("int4", lambda t: t.pop("packed"), "no values"),
    "no scale": ("int4", lambda t: t.pop("scale"), "no scale"),
    "no minimum": ("int4", lambda t: t.pop("minimum"), "no minimum"),
    "no scale of 8 bits": ("rows", lambda t: t.pop("scale"), "no scale"),
    "too many": ("int4 with all", lambda t: t.update(zero=torch.zeros(1)), "zero besides"),
    "too many for a table": ("table of 4 bits", lambda t: t.update(bias=BIAS), "bias besides"),
    "too many for 8 bits": ("rows", lambda t: t.update(input_scale=torch.ones(64)), "input_scale besides"),
    "packed as int8": ("int4", lambda t: t.update(packed=t["packed"].to(torch.int8)), "packed of torch.int8"),
    "packed with other columns": ("int4", lambda t: t.update(packed=t["packed"][:, :17]), r"packed \[6, 17\]"),
    "packed in one row": ("int4", lambda t: t.update(packed=t["packed"].flatten()), r"packed \[192\]"),
    "nothing packed": ("int4", lambda t: t.update(packed=t["packed"][:0]), r"packed \[0, 32\]"),
    "scale of other rows": ("int4", lambda t: t.update(scale=t["scale"][:5]), r"scale of torch.float16 \[5, 2\]"),
    "scale in float32": ("int4", lambda t: t.update(scale=t["scale"].float()), "scale of torch.float32"),
    "groups that do not divide": ("int4", lambda t: t.update(scale=t["scale"].repeat(1, 2)), r"scale \[6, 4\]"),
    "minimum of other groups": ("int4", lambda t: t.update(minimum=t["minimum"][:, :1]), r"minimum of .* \[6, 1\]"),
    "bias of other rows": ("rows", lambda t: t.update(bias=BIAS[:5]), r"bias of torch.float32 \[5\]"),
    "bias in float64": ("rows", lambda t: t.update(bias=BIAS.double()), "bias of torch.float64"),
    "inputs scaled in float16": (
        "int4 with all", lambda t: t.update(input_scale=t["input_scale"].half()), "input_scale of torch.float16"),
    "values as uint8": ("rows", lambda t: t.update(values=t["values"].to(torch.uint8)), "values of torch.uint8"),
    "values in one row": ("rows", lambda t: t.update(values=t["values"].flatten()), r"values \[384\]"),
    "scale in whole numbers": ("rows", lambda t: t.update(scale=t["scale"].int()), "a scale of torch.int32"),
    "scale of a column": ("rows", lambda t: t.update(scale=t["scale"][:, 0]), r"a scale \[6\]"),
    "groups of no size": ("groups", lambda t: t.update(scale=t["scale"].repeat(1, 3)[:, :5]), r"a scale \[6, 5\]"),
    "no group at all": ("groups", lambda t: t.update(scale=t["scale"][:, :0]), r"a scale \[6, 0\]"),
    "zero of another shape": ("whole, affine", lambda t: t.update(zero=torch.zeros(6, 1, dtype=torch.int8)), "zero of"),
    "a range for each row": ("static", lambda t: t.update(activation_scale=torch.ones(6)), "activation_scale of"),
    "zero in int64": ("static", lambda t: t.update(activation_zero=torch.tensor(0)), "activation_zero of torch.int64"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_layer_is_refused_by_name(case: str):
    name, change, said = OTHERS[case]
    tensors = tensors_of(LAYERS[name])
    change(tensors)
    with pytest.raises(ValueError, match=said):
        layer_of(kind_of(LAYERS[name]), tensors)
