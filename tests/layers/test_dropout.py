import pytest
import torch
from torch.nn import functional as F

from groundup.layers.dropout import Dropout, dropped

N = 200_000


@pytest.mark.parametrize("p", [0.1, 0.15, 0.5, 0.9])
def test_drops_as_many_as_asked_and_keeps_the_mean(p):
    torch.manual_seed(0)
    out = dropped(torch.ones(N, dtype=torch.float64), p)
    deviation = (p * (1 - p) / N) ** 0.5
    assert abs((out == 0).double().mean().item() - p) < 5 * deviation  # five deviations: one seed in two million fails
    kept = out[out != 0]
    assert kept.unique().numel() == 1
    assert abs(kept[0].item() * (1 - p) - 1) < 1e-4  # p is rounded to 2^-17, at most 1/13,000 of 1 - 0.9
    assert abs(out.mean().item() - 1) < 5 * deviation / (1 - p)


def test_entries_that_share_a_draw_are_independent():
    torch.manual_seed(1)
    is_kept = (dropped(torch.ones(4 * N), 0.3) != 0).double().view(N, 4)
    found = torch.corrcoef(is_kept.T)
    assert (found - torch.eye(4)).abs().max() < 5 / N**0.5  # a correlation of independent ones deviates by 1/√N


def test_the_gradient_is_zero_where_it_dropped_and_scaled_elsewhere():
    x = torch.randn(7, 9, requires_grad=True)
    out = dropped(x, 0.4)
    grad = torch.randn(7, 9)
    out.backward(grad)
    scale = (out / x.detach()).max()
    expected = torch.where(out == 0, 0.0, grad * scale)
    assert torch.allclose(x.grad, expected, rtol=1e-6, atol=0)  # one rounding of the quotient
    assert (out == 0).any()


def test_numbers_are_those_of_torch_for_the_same_places():
    x = torch.randn(64, 64)
    out = dropped(x, 0.25)
    theirs = F.dropout(x, 0.25)
    both = (out != 0) & (theirs != 0)
    assert torch.equal(out[both], theirs[both])  # 1/4 has no rounding: 4/3 in both


def test_the_seed_decides_and_threads_do_not():
    def drawn(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        torch.manual_seed(3)
        try:
            return dropped(torch.ones(1 << 17), 0.2)
        finally:
            torch.set_num_threads(before)

    assert torch.equal(drawn(1), drawn(2))
    torch.manual_seed(4)
    assert not torch.equal(drawn(1), dropped(torch.ones(1 << 17), 0.2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_keeps_shape_and_number_format(dtype):
    x = torch.ones(6, 5, 4, dtype=dtype).transpose(0, 2)  # not contiguous
    out = dropped(x, 0.5)
    assert out.shape == x.shape
    assert out.dtype == dtype
    assert set(out.flatten().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0, 2), (5,)])
def test_small_and_empty(shape):
    assert dropped(torch.ones(shape), 0.5).shape == shape


def test_nothing_to_drop_is_the_input_itself():
    x = torch.ones(4)
    assert dropped(x, 0.0) is x
    assert dropped(x, 1e-6) is x  # below the rounding
    assert Dropout(0.5).eval()(x) is x


def test_nearly_everything_dropped_stays_finite():
    torch.manual_seed(0)
    assert dropped(torch.ones(N), 1 - 1e-9).isfinite().all()


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match="expected a probability"):
        Dropout(p)
