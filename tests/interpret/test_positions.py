"""Similarity by distance against the formula of the sinusoids, and loss by position against the whole loss."""

import pytest
import torch
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.interpret.positions import loss_by_position, similarity_by_distance
from groundup.layers.positions import position_angles, sinusoidal_table
from groundup.models.gpt import GPT

T, V = 12, 7


def small_gpt(position="learned", dropout=0.0, n_layers=1):
    torch.manual_seed(0)
    sizes = {"vocab_size": V, "context_length": T, "d_model": 8, "n_layers": n_layers, "n_heads": 2}
    return GPT(GPTConfig(**sizes, position=position, dropout=dropout))


def texts(n=5):
    return torch.randint(V, (n, T + 1), generator=torch.Generator().manual_seed(1))


def test_sinusoids_are_as_alike_as_the_mean_cosine_of_their_angles():
    found = similarity_by_distance(sinusoidal_table(16, 40))
    # the table is float32: entries, and so their products, carry 1e-7
    assert (found - position_angles(16, 40, 10_000.0).cos().mean(-1)).abs().max() <= 2e-6


def test_similarity_of_a_table_that_repeats_comes_back():
    table = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)).repeat(4, 1)
    found = similarity_by_distance(table)
    assert (found[::3] - 1).abs().max() <= 1e-6  # float32 rounding of a norm
    assert found[1::3].max() < 0.99


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary"])
def test_its_mean_is_the_loss_and_batches_change_nothing(position):
    model, rows = small_gpt(position), texts()
    expected = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    # float32 losses near 2, summed in another order
    assert abs(loss_by_position(model, rows).mean() - expected) <= 1e-6
    assert torch.allclose(loss_by_position(model, rows, batch_size=2), loss_by_position(model, rows), atol=1e-6)


def test_each_position_has_the_loss_of_its_own_prediction():
    model, rows = small_gpt(), texts(n=2)
    found = loss_by_position(model, rows)
    for t in (0, 5, T - 1):
        each = [-model(row[None, : t + 1])[0, -1].log_softmax(-1)[row[t + 1]] for row in rows]
        # a shorter text of the same beginning: float32 rounding of losses near 2
        assert abs(sum(each) / 2 - found[t]) <= 1e-6


def test_reach_cuts_off_what_is_further_back_and_nothing_else():
    model, rows = small_gpt("rotary"), texts()
    whole, near = loss_by_position(model, rows), loss_by_position(model, rows, reach=4)
    # another path through torch's attention (a mask instead of none): float32 rounding
    assert (near[:4] - whole[:4]).abs().max() <= 1e-6
    assert (loss_by_position(model, rows, reach=T) - whole).abs().max() <= 1e-6
    # with rotary positions and one layer, the last position is as if the text began reach tokens before
    alone = loss_by_position(model, rows[:, T - 4 :])
    assert (near[-1] - alone[-1]).abs() <= 1e-5  # angles of up to 12 radians instead of 4, in float32
    assert (near[4:] - whole[4:]).abs().max() > 1e-5  # weights of 0.02 attend nearly evenly, so it is little


def test_dropout_is_off_and_on_again():
    model = small_gpt(dropout=0.5).train()
    assert torch.equal(loss_by_position(model, texts()), loss_by_position(model, texts()))
    assert model.training


def test_beyond_its_positions_is_refused():
    with pytest.raises(InputError, match="sees at most 12 tokens, found 13"):
        loss_by_position(small_gpt(), torch.zeros(1, T + 2, dtype=torch.int64))
