"""The record and the backward pass, against torch's rules and, for memory, against what is still alive."""

import copy
import gc
import pickle
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine.autograd import Node
from groundup.engine.errors import GradientError, ShapeError


def leaf(*shape, seed=0, dtype=np.float64):
    return eg.Tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype), requires_grad=True)


def twin(x):
    return torch.tensor(x.data, requires_grad=x.requires_grad)


def test_a_diamond_of_shared_results_gets_torchs_gradients():
    x, w = leaf(3, 4), leaf(4, 4, seed=1)
    a, b = twin(x), twin(w)
    for inputs, module in (((x, w), eg), ((a, b), torch)):
        p, q = inputs
        shared = module.tanh(p @ q)
        left, right = module.exp(shared) * p, shared - shared * shared
        (left @ q + right + shared.T.sum(0).sum()).mean().backward()
    # float64, a handful of sums of a few terms each: agreement up to rounding
    np.testing.assert_allclose(x.grad.data, a.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(w.grad.data, b.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_gradients_add_up_over_passes_until_they_are_forgotten():
    x = leaf(3)
    for n in (1, 2, 3):
        (2 * x).sum().backward()
        assert x.grad.tolist() == [2.0 * n] * 3
    x.zero_grad()
    assert x.grad is None


@pytest.mark.parametrize("end", ["backward", "deleted"])
def test_a_chain_of_50_000_operations_passes_back_and_dies_without_recursion(end):
    x = eg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(50_000):
        y = -y
    node = weakref.ref(y.grad_fn)
    if end == "backward":
        y.backward()
        assert x.grad.item() == 1.0
    del y
    gc.collect()
    assert node() is None


def test_order_is_by_creation_so_a_node_is_passed_once_however_many_ways_lead_to_it():
    x = eg.tensor(1.0, requires_grad=True, dtype=eg.float64)
    y = x
    for _ in range(40):  # 2⁴⁰ paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**40


def test_a_second_pass_names_what_was_released_and_retain_graph_allows_it():
    x = leaf(3)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, 2 * np.exp(x.data))
    with pytest.raises(GradientError, match=r"'sum'.*released.*retain_graph=True"):
        y.backward()


def test_only_a_single_number_needs_no_gradient():
    x = leaf(2, 3)
    with pytest.raises(GradientError, match=r"shape \[2, 3\] is not one number.*gradient="):
        (x * 2).backward()
    with pytest.raises(ShapeError, match=r"shape \[3\] for a tensor of shape \[2, 3\]"):
        (x * 2).backward(np.ones(3))
    (x * 2).backward(eg.full((2, 3), 5.0))  # float32: brought to the tensor's type
    assert x.grad.dtype == np.float64
    assert x.grad.tolist() == [[10.0] * 3] * 2
    one = leaf(1, 1)
    (one * 3).backward()
    assert one.grad.tolist() == [[3.0]]


def test_what_was_not_recorded_cannot_be_passed_back():
    x = leaf(3)
    with eg.no_grad():
        y = x.sum()
    assert y.is_leaf
    for unrecorded in (y, eg.ones(3).sum(), x.detach().sum(), (x > 0).sum()):
        assert not unrecorded.requires_grad
        with pytest.raises(GradientError, match="requires no gradient"):
            unrecorded.backward()


def test_backward_on_a_leaf_gives_it_the_gradient_itself():
    x = eg.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_only_leaves_keep_gradients_unless_asked():
    x = leaf(3)
    y = x * 2
    z = y * 3
    y.retain_grad()
    z.sum().backward()
    assert y.grad.tolist() == [3.0] * 3
    with pytest.warns(UserWarning, match="retain_grad"):
        assert z.grad is None
    with pytest.raises(GradientError, match="retain_grad: this tensor requires no gradient"):
        eg.ones(2).retain_grad()


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x.sum(),
        lambda x: (x + 0.0).sum(),
        lambda x: x.reshape(4).sum(),
        lambda x: x.T.reshape(4).sum(),
        lambda x: x.expand(3, 2, 2).sum(),
        lambda x: (x + x).sum(),
        lambda x: (x * 2).clone().sum(),
    ],
)
def test_a_gradient_never_shares_memory_with_another_array(compute):
    x, y = leaf(2, 2), leaf(2, 2, seed=1)
    given = np.array(1.0)
    (compute(x) + compute(y)).backward(given)
    assert x.grad.data.flags.writeable
    before = y.grad.tolist()
    x.grad.data[...] = 7
    assert (y.grad.tolist(), given) == (before, 1.0)
    compute(x).backward()  # adds in place, to memory of its own
    assert y.grad.tolist() == before


def test_a_gradient_of_the_users_is_added_to_but_not_written_to():
    x = leaf(3)
    mine = eg.ones(3, dtype=eg.float64)
    x.grad = mine
    x.sum().backward()
    assert (x.grad.tolist(), mine.tolist()) == ([2.0] * 3, [1.0] * 3)
    with pytest.raises(ShapeError, match=r"grad: float32\[4\] for a tensor float64\[3\]"):
        x.grad = eg.ones(4)


def test_no_gradient_is_computed_where_none_is_needed():
    asked = []

    def watched(a, b):
        return a * b, (lambda dy: asked.append("a") or dy * b, lambda dy: asked.append("b") or dy * a)

    data, w = eg.ones(3), eg.ones(3, requires_grad=True)
    eg.apply(watched, data, w).sum().backward()
    assert asked == ["b"]


def test_the_mode_nests_decorates_and_is_the_threads_own():
    x = leaf(3)

    @eg.no_grad()
    def silent():
        with eg.enable_grad():
            inner = x * 2
        return inner, x * 2, eg.is_grad_enabled()

    inner, outer, enabled = silent()
    assert (inner.requires_grad, outer.requires_grad, enabled, eg.is_grad_enabled()) == (True, False, False, True)
    with pytest.raises(KeyError), eg.no_grad():
        raise KeyError
    assert eg.is_grad_enabled()
    seen = []
    with eg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(eg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]
    with eg.set_grad_enabled(False):
        assert not (x * 1).requires_grad


def test_a_node_tells_its_name_shape_and_inputs():
    x, w = leaf(2, 3), leaf(3, 4, seed=1)
    y = (x @ w).exp()
    node = y.grad_fn
    assert (node.name, node.shape, node.dtype) == ("exp", (2, 4), np.float64)
    (before,) = node.inputs
    assert isinstance(before, Node)
    assert before.name == "matmul"
    assert before.inputs[0] is x
    assert before.inputs[1] is w
    assert before.number < node.number
    assert "exp" in repr(node)


def test_a_node_keeps_no_array_that_no_rule_needs():
    x = leaf(1000)
    inner = x * 2
    held = weakref.ref(inner.data)
    y = (inner + 1).sum()  # neither + nor sum needs its input
    del inner
    assert held() is None
    y.backward()


def test_arrays_are_released_as_the_pass_goes_by():
    alive = []

    def probe(a):
        def rule(dy):
            alive.append([array() is not None for array in kept])
            return dy

        return a.copy(), (rule,)

    first = leaf(4).exp()
    middle = eg.apply(probe, first)
    last = middle.exp()
    kept = [weakref.ref(first.data), weakref.ref(last.data)]
    total = last.sum()
    del first, middle, last
    total.backward()
    # While the pass is in the middle, what came before is still needed and what came after is gone.
    assert alive == [[True, False]]
    assert kept[0]() is None  # though `total`, and so the graph, is alive


def test_the_peak_of_a_deep_network_is_its_activations_not_twice_that():
    n_layers, width = 24, 128
    weights = [leaf(width, width, seed=i, dtype=np.float32) for i in range(n_layers)]
    for w in weights:
        w.data *= 0.1
        w.grad = eg.zeros_like(w)
    x = leaf(512, width, dtype=np.float32)
    array = x.data.nbytes
    tracemalloc.start()
    h = x
    for w in weights:
        h = (h @ w).tanh()
    loss = h.sum()
    del h
    forward, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    loss.backward()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The outputs of tanh, which both tanh and the next product keep, and not also those of the products.
    assert forward < (n_layers + 1) * array
    # Backward adds the gradients on their way (dy, 1 - y², and a product), and lets go as it passes.
    assert peak < forward + 4.5 * array
    # Left are the gradients of x and the weights.
    assert after < array + 2 * n_layers * weights[0].data.nbytes + 100_000


def test_a_recorded_tensor_is_not_copied_or_pickled_by_accident():
    x = leaf(3)
    again = copy.deepcopy(x)
    assert (again.requires_grad, again.tolist()) == (True, x.tolist())
    assert pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    for action in (copy.deepcopy, pickle.dumps):
        with pytest.raises(GradientError, match=r"'multiply'.*detach\(\)"):
            action(x * 2)
