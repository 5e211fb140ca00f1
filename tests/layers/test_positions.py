"""Positions against the published formulas and transformers' two rotary pairings, and the laws behind them."""

import math

import pytest
import torch
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as interleaved_by_transformers
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as halves_by_transformers

from groundup.layers.positions import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    position_angles,
    sinusoidal_table,
    table_rows,
)

# float32 angles reach C = 64 radians, so they carry 64 · 6e-8 = 4e-6 of rounding into sine and cosine
ANGLE = 4e-6


@pytest.mark.parametrize("d_model", [1, 6, 7])
def test_sinusoidal_table_is_the_formula(d_model):
    table = sinusoidal_table(d_model, 64)
    assert table.shape == (64, d_model)
    for p in (0, 1, 17, 63):
        for column in range(d_model):
            angle = p / 10_000 ** (2 * (column // 2) / d_model)
            expected = math.sin(angle) if column % 2 == 0 else math.cos(angle)
            assert abs(table[p, column].item() - expected) <= ANGLE


def test_sinusoidal_vector_of_a_later_position_is_a_rotation_of_the_earlier_one():
    table, k = sinusoidal_table(8, 64), 5
    angles = position_angles(8, 64, 10_000.0)[k]
    sin, cos = table[:-k, 0::2], table[:-k, 1::2]
    assert (table[k:, 0::2] - (sin * angles.cos() + cos * angles.sin())).abs().max() <= 2 * ANGLE
    assert (table[k:, 1::2] - (cos * angles.cos() - sin * angles.sin())).abs().max() <= 2 * ANGLE


@pytest.mark.parametrize("layer", [SinusoidalPositions(6, 16), LearnedPositions(16, 6)])
def test_offset_continues_where_the_past_ended(layer):
    x = torch.randn(2, 8, 6)
    whole = layer(x)
    assert torch.equal(layer(x[:, 5:], 5), whole[:, 5:])
    rows = torch.tensor([2, 5])
    each = layer(torch.stack([x[0, 2:5], x[1, 5:8]]), rows)
    assert torch.equal(each, torch.stack([whole[0, 2:5], whole[1, 5:8]]))


def test_learned_positions_learn_only_the_rows_in_use():
    layer = LearnedPositions(16, 4)
    layer(torch.zeros(3, 2, 4), 5).sum().backward()
    expected = torch.zeros(16, 4)
    expected[5:7] = 3.0  # three rows of the batch
    assert torch.equal(layer.weight.grad, expected)
    layer.weight.grad = None
    layer(torch.zeros(2, 2, 4), torch.tensor([5, 6])).sum().backward()
    expected = torch.zeros(16, 4)
    expected[5:8] = torch.tensor([1.0, 2.0, 1.0])[:, None]
    assert torch.equal(layer.weight.grad, expected)


def test_sinusoidal_dropout_acts_only_while_training():
    torch.manual_seed(0)
    layer = SinusoidalPositions(4, 16, dropout=0.5)
    x = torch.ones(1, 16, 4)
    assert layer(x).eq(0).any()
    assert torch.equal(layer.eval()(x), x + sinusoidal_table(4, 16))


def test_fixed_tables_are_not_saved_and_follow_the_module():
    for layer in (SinusoidalPositions(4, 8), RotaryPositions(4, 8)):
        assert not layer.state_dict()
        assert all(buffer.is_meta for buffer in layer.to("meta").buffers())


def test_positions_past_the_table_are_an_error():
    with pytest.raises(ValueError, match="there are 4 positions, found 5"):
        table_rows(torch.zeros(4, 2), 2, 3)
    with pytest.raises(ValueError, match="there are 4 positions"):
        RotaryPositions(2, 4)(5)


def rotary_inputs():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 64, 8, generator=generator).requires_grad_() for _ in range(2)]


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
def test_rotary_equals_transformers_forward_and_gradients(pairing):
    q, k = rotary_inputs()
    rotation = RotaryPositions(8, 64, pairing=pairing)(64)
    angles = position_angles(8, 64, 10_000.0)
    if pairing == "halves":
        both = torch.cat((angles, angles), -1)[None]
        theirs = halves_by_transformers(q, k, both.cos(), both.sin())
    else:
        sin, cos = angles.sin()[None], angles.cos()[None]
        theirs = [interleaved_by_transformers(x.transpose(1, 2), sin, cos).transpose(1, 2) for x in (q, k)]
    probe = torch.randn(q.shape, generator=torch.Generator().manual_seed(9))
    for x, expected in zip((q, k), theirs, strict=True):
        ours = rotation(x)
        # the same products in float32, summed in one step: one rounding of numbers up to 4
        assert (ours - expected).abs().max() <= 1e-6
        gradients = [torch.autograd.grad((y * probe).sum(), x, retain_graph=True)[0] for y in (ours, expected)]
        assert (gradients[0] - gradients[1]).abs().max() <= 1e-6


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
def test_rotary_is_a_product_of_complex_numbers(pairing):
    x = rotary_inputs()[0].detach()
    pairs = x.unflatten(-1, (2, 4)).transpose(-1, -2) if pairing == "halves" else x.unflatten(-1, (4, 2))
    angles = position_angles(8, 64, 10_000.0)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones(()), angles))
    expected = turned.transpose(-1, -2).flatten(-2) if pairing == "halves" else turned.flatten(-2)
    assert (RotaryPositions(8, 64, pairing=pairing)(64)(x) - expected).abs().max() <= 1e-6  # one rounding


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
def test_rotary_scores_depend_on_relative_distance_only(pairing):
    q, k = (x.detach() for x in rotary_inputs())
    positions = RotaryPositions(8, 64, pairing=pairing)

    def scores(start):
        rotation = positions(10, start)
        return rotation(q[:, :, :10]) @ rotation(k[:, :, :10]).transpose(-1, -2)

    # |q|·|k| is about 8, each turned by angles with ANGLE of rounding
    assert (scores(0) - scores(54)).abs().max() <= 8 * 4 * ANGLE


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
def test_rotary_keeps_lengths_and_leaves_position_zero_alone(pairing):
    x = rotary_inputs()[0].detach()
    turned = RotaryPositions(8, 64, pairing=pairing)(64)(x)
    assert (turned.norm(dim=-1) - x.norm(dim=-1)).abs().max() <= 1e-5  # float32, norms up to 5
    assert torch.equal(turned[:, :, 0], x[:, :, 0])


def test_the_two_pairings_are_one_rotation_with_columns_in_another_order():
    x = rotary_inputs()[0].detach()
    order = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])  # from interleaved to halves
    halves = RotaryPositions(8, 64, pairing="halves")(64)
    interleaved = RotaryPositions(8, 64, pairing="interleaved")(64)
    assert torch.equal(halves(x[..., order]), interleaved(x)[..., order])


def test_rotary_offsets_may_differ_by_row():
    x = rotary_inputs()[0].detach()
    positions = RotaryPositions(8, 64)
    whole = positions(64)(x)
    each = positions(3, torch.tensor([7, 20]))(torch.stack([x[0, :, 7:10], x[1, :, 20:23]]))
    assert torch.equal(each, torch.stack([whole[0, :, 7:10], whole[1, :, 20:23]]))


def test_rotary_keeps_the_number_format_of_its_input():
    assert RotaryPositions(8, 4)(1)(torch.ones(1, 1, 1, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_rotary_needs_an_even_width():
    with pytest.raises(ValueError, match="even d_head, found 3"):
        RotaryPositions(3, 8)


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
def test_a_rotation_is_the_written_formula_to_the_bit(pairing):
    """So a run from before the tables were widened is continued with the same numbers."""
    generator = torch.Generator().manual_seed(0)
    x, rotary = torch.randn(2, 3, 5, 8, generator=generator), RotaryPositions(8, 64, pairing=pairing)
    cos, sin = rotary.cos[7:12], rotary.sin[7:12]
    a, b = x.chunk(2, dim=-1) if pairing == "halves" else (x[..., 0::2], x[..., 1::2])
    first, second = a * cos - b * sin, b * cos + a * sin
    halves = torch.cat((first, second), dim=-1)
    expected = halves if pairing == "halves" else torch.stack((first, second), dim=-1).flatten(-2)
    assert torch.equal(rotary(5, 7)(x), expected)
