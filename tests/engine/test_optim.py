"""Optimizers and clipping against torch over 100 steps, and the laws behind them."""

import math

import numpy as np
import pytest
import torch

from groundup.engine import optimizer as optimizer_module
from groundup.engine.errors import GradientError
from groundup.engine.optim import SGD, Adam, AdamW, clip_grad_norm_, clip_grad_value_
from groundup.engine.tensor import Tensor

# After 100 steps weights of size 1 hold 100 roundings of 6e-8 each (1e-16 in float64), most of which cancel.
BOUND = {np.float32: 1e-6, np.float64: 1e-14}
CASES = [
    (SGD, {}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (SGD, {"momentum": 0.8, "nesterov": True}),
    (SGD, {"weight_decay": 0.5}),
    (SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    (Adam, {}),
    (Adam, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (AdamW, {}),
    (AdamW, {"betas": (0.9, 0.95), "weight_decay": 0.0}),
    (AdamW, {"betas": (0.0, 0.0), "eps": 1e-3, "weight_decay": 0.5}),
]
SHAPES = ((7, 5), (5,), (2, 3, 4), (), (0, 3))


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch):
    monkeypatch.setattr(optimizer_module, "BLOCK", 16)  # so that small parameters have several too


def arrays(seed, dtype):
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.standard_normal(shape), dtype) for shape in SHAPES]


def ours(dtype=np.float64):
    return [Tensor(a.copy(), requires_grad=True) for a in arrays(0, dtype)]


def theirs(dtype=np.float64):
    return [torch.nn.Parameter(torch.tensor(a)) for a in arrays(0, dtype)]


def train(params, optimizer, steps, dtype=np.float64):
    """Gradients of very different sizes; the rate moves, and one parameter gets no gradient in every third step."""
    wrap = Tensor if isinstance(params[0], Tensor) else torch.tensor
    for step in steps:
        for i, (p, g) in enumerate(zip(params, arrays(step + 1, dtype), strict=False)):
            p.grad = wrap(np.asarray(g * 10.0 ** (i - 3), dtype))
        if step % 3 == 0:
            params[1].grad = None
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 / (1 + step)
        optimizer.step()


def largest_difference(a, b):
    pairs = [(np.asarray(x.data), np.asarray(y.data)) for x, y in zip(a, b, strict=True)]
    return max(float(np.abs(x - y).max(initial=0)) for x, y in pairs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_equal_to_torch_over_100_steps(kind, options, dtype):
    mine, reference = ours(dtype), theirs(dtype)
    train(mine, kind(mine, lr=1e-2, **options), range(100), dtype)
    train(reference, getattr(torch.optim, kind.__name__)(reference, lr=1e-2, **options), range(100), dtype)
    assert all(p.dtype == dtype for p in mine)
    assert largest_difference(mine, reference) <= BOUND[dtype]


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_groups_have_options_of_their_own(kind):
    mine, reference = ours(), theirs()
    for params, make in ((mine, kind), (reference, getattr(torch.optim, kind.__name__))):
        groups = [{"params": params[:2], "weight_decay": 0.3}, {"params": params[2:], "lr": 0.05}]
        optimizer = make(groups, lr=0.01)
        optimizer.param_groups[0]["lr"] = 0.02
        for p, g in zip(params, arrays(9, np.float64), strict=True):
            p.grad = Tensor(g) if kind is make else torch.tensor(g)
        optimizer.step()
    assert largest_difference(mine, reference) <= BOUND[np.float64]


@pytest.mark.parametrize("block", [1, 3, 10**9])
def test_the_size_of_blocks_changes_nothing(block, monkeypatch):
    whole, cut = ours(), ours()
    whole, cut = whole[:4], cut[:4]
    train(whole, AdamW(whole), range(3))
    monkeypatch.setattr(optimizer_module, "BLOCK", block)
    train(cut, AdamW(cut), range(3))
    assert largest_difference(whole, cut) == 0


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_strided_parameters_and_gradients_move_like_others(kind):
    memory = np.arange(12.0).reshape(3, 4)
    strided, plain = Tensor(memory.T, requires_grad=True), Tensor(memory.T.copy(), requires_grad=True)
    for p in (strided, plain):
        p.grad = Tensor(np.ones((3, 4)).T * 2)
    kind([strided], lr=0.1).step()
    kind([plain], lr=0.1).step()
    assert (strided.data == plain.data).all()
    assert np.shares_memory(strided.data, memory)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_neither_gradients_nor_the_place_of_parameters_change(kind):
    params = ours()
    places, optimizer = [p.data for p in params], kind(params, lr=0.1, weight_decay=0.1)
    for p, g in zip(params, arrays(3, np.float64), strict=True):
        p.grad = Tensor(g)
    optimizer.step()
    assert all(p.data is place for p, place in zip(params, places, strict=True))
    assert all((p.grad.data == g).all() for p, g in zip(params, arrays(3, np.float64), strict=True))


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_a_restart_gives_the_same_bits(kind, options):
    whole, cut = ours(), ours()
    train(whole, kind(whole, **options), range(20))
    first = kind(cut, **options)
    train(cut, first, range(10))
    saved = first.state_dict()
    cut = [Tensor(p.data.copy(), requires_grad=True) for p in cut]
    second = kind(cut, **options)
    second.load_state_dict(saved)
    for state in first.state.values():  # what was loaded is a copy
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.fill(math.nan)
    train(cut, second, range(10, 20))
    assert largest_difference(whole, cut) == 0


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_states_and_groups_are_named_as_torch_names_them(kind):
    mine, reference = ours(), theirs()
    options = {"momentum": 0.9} if kind is SGD else {}
    first, second = kind(mine, **options), getattr(torch.optim, kind.__name__)(reference, **options)
    train(mine, first, range(2))
    train(reference, second, range(2))
    a, b = first.state_dict(), second.state_dict()
    assert {i: state.keys() for i, state in a["state"].items()} == {i: s.keys() for i, s in b["state"].items()}
    for group, expected in zip(a["param_groups"], b["param_groups"], strict=True):
        assert group.items() <= expected.items()


def test_it_goes_on_from_the_state_of_torch():
    mine, reference = ours(), theirs()
    teacher, learner = torch.optim.AdamW(reference), AdamW(mine)
    train(reference, teacher, range(20))
    for p, q in zip(mine, reference, strict=True):
        p.data[...] = q.detach().numpy()
    learner.load_state_dict(
        {"state": teacher.state_dict()["state"], "param_groups": learner.state_dict()["param_groups"]}
    )
    train(reference, teacher, range(20, 40))
    train(mine, learner, range(20, 40))
    assert largest_difference(mine, reference) <= BOUND[np.float64]


def test_a_state_of_other_parameters_is_refused_and_changes_nothing():
    a, b = Tensor(np.ones(3), requires_grad=True), Tensor(np.ones(4), requires_grad=True)
    first, second = AdamW([a]), AdamW([b])
    a.grad, b.grad = Tensor(np.ones(3)), Tensor(np.ones(4))
    first.step()
    second.step()
    before = second.state_dict()
    with pytest.raises(ValueError, match=r"exp_avg of a parameter of shape \(4,\) has the shape \(3,\)"):
        second.load_state_dict(first.state_dict())
    assert second.state_dict() == before
    with pytest.raises(ValueError, match=r"AdamW has groups of \[2\] parameters, found a state of groups of \[1\]"):
        AdamW([a, b]).load_state_dict(before)
    with pytest.raises(
        ValueError, match="SGD and the state differ in the options betas, dampening, eps, momentum, nest"
    ):
        SGD([b]).load_state_dict(before)


def test_zero_grad_forgets_or_fills_with_zeros():
    p = Tensor(np.ones(2), requires_grad=True)
    optimizer, gradient = SGD([p]), np.ones(2)
    p.grad = Tensor(gradient)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.data is gradient
    assert p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


def test_a_backward_pass_over_parameters_that_have_moved_is_refused():
    p = Tensor(np.ones(2), requires_grad=True)
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    SGD([p], lr=0.1).step()
    with pytest.raises(GradientError, match="in place"):
        loss.backward()


def test_bad_input():
    p = Tensor(np.ones(2), requires_grad=True)
    cases = [
        (lambda: SGD([]), ValueError, "an optimizer needs parameters, found none"),
        (lambda: SGD([p, p]), ValueError, r"a parameter of shape \(2,\) is given to SGD twice"),
        (lambda: Adam([{"params": [p]}, {"params": [p]}]), ValueError, "given to Adam twice"),
        (lambda: AdamW([np.ones(2)]), TypeError, "AdamW trains Tensors, found ndarray"),
        (lambda: AdamW([p * 2]), ValueError, "AdamW trains leaves, found a result of"),
        (
            lambda: AdamW([{"params": [p], "momentum": 1}]),
            ValueError,
            "AdamW has no option 'momentum': known are lr, be",
        ),
        (lambda: SGD([p], lr=-1), ValueError, "SGD: lr must be at least 0, found -1"),
        (lambda: SGD([p], lr=math.nan), ValueError, "SGD: lr must be at least 0, found nan"),
        (lambda: SGD([p], nesterov=True), ValueError, "nesterov needs a momentum above 0"),
        (
            lambda: Adam([p], betas=(0.9, 1.0)),
            ValueError,
            r"Adam: betas must be two numbers in \[0, 1\), found \(0.9, 1.0\)",
        ),
        (lambda: Adam([p], betas=0.9), ValueError, r"Adam: betas must be two numbers in \[0, 1\), found 0.9"),
        (lambda: SGD(p), TypeError, r"SGD: expected a list of parameters, found one tensor; give \[tensor\]"),
        (lambda: SGD([{"lr": 1.0}]), ValueError, "SGD: a group of parameters is a dict with 'params' in it"),
        (
            lambda: SGD([p]).load_state_dict({}),
            ValueError,
            "SGD: a state has 'state' and 'param_groups', found nothing",
        ),
        (lambda: clip_grad_norm_([p], -1.0), ValueError, "clip_grad_norm_: max_norm must be at least 0, found -1"),
    ]
    for make, kind, message in cases:
        with pytest.raises(kind, match=message):
            make()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e3])
def test_clipping_the_norm_equals_torch(norm_type, max_norm, dtype):
    mine, reference = ours(dtype), theirs(dtype)
    for p, q, g in zip(mine, reference, arrays(5, dtype), strict=True):
        p.grad, q.grad = Tensor(g.copy()), torch.tensor(g)
    mine[2].grad = reference[2].grad = reference[4].grad = None  # torch cannot take the largest of no numbers
    total = clip_grad_norm_(mine, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(reference, max_norm, norm_type).item()
    rounding = 1e-6 if dtype == np.float32 else 1e-14  # of a sum in another order
    assert total == pytest.approx(expected, rel=rounding)
    for p, q in zip(mine, reference, strict=True):
        if q.grad is not None:
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=rounding)


def test_clipping_keeps_what_is_short_to_the_bit_and_the_direction_of_the_rest():
    p = Tensor(np.zeros(2), requires_grad=True)
    p.grad = Tensor(np.array([3.0, 4.0]))
    assert clip_grad_norm_([p], 5.1) == 5
    assert p.grad.tolist() == [3, 4]
    clip_grad_norm_([p], 1.0)
    assert p.grad.data[0] / p.grad.data[1] == pytest.approx(0.75, rel=1e-15)
    assert clip_grad_norm_([], 1.0) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_is_passed_on_or_refused(bad):
    p, q = (Tensor(np.zeros(2), requires_grad=True) for _ in range(2))
    p.grad, q.grad = Tensor(np.array([bad, 1.0])), Tensor(np.ones(2))
    with pytest.raises(ValueError, match=f"clip_grad_norm_: the gradients' length is {bad}"):
        clip_grad_norm_([p, q], 1.0, error_if_nonfinite=True)
    assert q.grad.tolist() == [1, 1]
    with np.errstate(invalid="ignore"):
        assert not math.isfinite(clip_grad_norm_([p, q], 1.0))
    assert math.isnan(p.grad.data[0])


def test_clipping_values_equals_torch():
    mine, reference = ours(), theirs()
    for p, q, g in zip(mine, reference, arrays(5, np.float64), strict=True):
        p.grad, q.grad = Tensor(g.copy()), torch.tensor(g)
    clip_grad_value_(mine, 0.3)
    torch.nn.utils.clip_grad_value_(reference, 0.3)
    assert all((p.grad.data == q.grad.numpy()).all() for p, q in zip(mine, reference, strict=True))
    assert max(p.grad.data.max(initial=0) for p in mine) == 0.3


def test_one_tensor_is_clipped_as_a_list_of_it():
    p = Tensor(np.zeros(2), requires_grad=True)
    p.grad = Tensor(np.array([3.0, 4.0]))
    assert clip_grad_norm_(p, 10.0) == 5.0
    clip_grad_value_(p, 3.5)
    assert p.grad.tolist() == [3.0, 3.5]
