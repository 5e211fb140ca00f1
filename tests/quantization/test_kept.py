"""What layers in few bits share: bytes and parameters counted, and buffers that move without being rounded."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import StaticRange, quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.kept import in_bytes, n_bytes, n_stood_for, sizes

WEIGHT, BIAS = torch.randn(6, 64, generator=torch.Generator().manual_seed(0)), torch.arange(6.0)
LAYERS = {
    "int4": Int4Linear(quantize_int4(WEIGHT, group_size=32), BIAS, input_scale=torch.rand(64)),
    "int8": Int8Linear(quantize_int8(WEIGHT, symmetric=False, by_row=False), None, activations=StaticRange(0.3, 5)),
    "table": QuantizedEmbedding(quantize_int8(WEIGHT, group_size=32)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "move", [nn.Module.half, nn.Module.bfloat16, nn.Module.double, lambda m: m.to(torch.float16), lambda m: m.cpu()]
)
def test_no_move_changes_a_bit(name: str, move: Callable[[nn.Module], nn.Module]):
    layer = LAYERS[name]
    before = {part: buffer.clone() for part, buffer in layer.named_buffers()}
    assert move(layer) is layer
    for part, buffer in layer.named_buffers():
        assert buffer.dtype == before[part].dtype
        assert torch.equal(buffer, before[part])


@pytest.mark.parametrize("name", LAYERS)
def test_moves_between_devices_reach_every_buffer(name: str):
    moved = [buffer.device.type for buffer in LAYERS[name].to("meta").buffers()]
    assert moved
    assert set(moved) == {"meta"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int8, torch.uint8, torch.int64])
@pytest.mark.parametrize("shape", [(), (0,), (3, 1, 2)])
def test_bytes_come_back_as_they_were(dtype: torch.dtype, shape: tuple[int, ...]):
    tensor = torch.arange(1.0, 7.0)[: torch.Size(shape).numel()].view(shape).to(dtype)
    given: list[Tensor] = []
    found = in_bytes(lambda one: given.append(one) or one.clone())(tensor)
    assert given[0].dtype == torch.uint8
    assert found.dtype == dtype
    assert torch.equal(found, tensor)


def test_sizes_are_those_of_the_plain_layer():
    for bias in (None, BIAS):
        plain = nn.Linear(64, 6, bias=bias is not None)
        layer = Int8Linear(quantize_int8(WEIGHT), bias)
        assert n_stood_for(layer) == sum(one.numel() for one in plain.parameters())
        assert sizes(layer) == sizes(plain) == plain.extra_repr()
        assert n_bytes(layer) == 6 * 64 + 6 * 4 + (0 if bias is None else 24)
