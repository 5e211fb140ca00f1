"""The chunked loss against F.cross_entropy: value, gradients, number formats, and memory that does not grow."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.layers import chunked_cross_entropy as module
from groundup.layers.chunked_cross_entropy import chunked_cross_entropy

N, V, D = 37, 50, 8


@pytest.fixture(params=[1 << 24, 7 * V, 1], ids=["one block", "blocks of 7 rows", "blocks of a row"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", request.param)


def inputs(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, D, generator=generator, dtype=dtype).requires_grad_() for n in (N, V))
    targets = torch.randint(V, (N,), generator=generator)
    targets[::5] = -100
    return hidden, weight, targets


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = F.linear(hidden, weight)
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets, reduction="sum")


def loss_and_gradients(function, dtype: torch.dtype = torch.float32, *, autocast: bool = False) -> list[Tensor]:
    hidden, weight, targets = inputs(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = function(hidden, weight, targets)
    return [loss.detach(), *torch.autograd.grad(loss / 29, (hidden, weight))]


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected.double()).norm() / expected.double().norm()).item()


@pytest.mark.usefixtures("_blocks")
def test_equal_to_torch_in_float32():
    for found, expected in zip(loss_and_gradients(chunked_cross_entropy), loss_and_gradients(plain), strict=True):
        assert found.dtype == expected.dtype
        assert relative(found, expected) < 1e-6  # sums of 50 terms in another order: a few times 2^-24


@pytest.mark.usefixtures("_blocks")
def test_equal_to_torch_in_float64_and_to_finite_differences():
    found = loss_and_gradients(chunked_cross_entropy, torch.float64)
    for one, other in zip(found, loss_and_gradients(plain, torch.float64), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)
    hidden, weight, targets = inputs(torch.float64)
    few = hidden[:9].detach().requires_grad_(), weight[:, :3].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda h, w: chunked_cross_entropy(h[:, :3], w, targets[:9]), few)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_labels_are_smoothed_as_torch_does_it(smoothing: float):
    def ours(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        return chunked_cross_entropy(hidden, weight, targets, label_smoothing=smoothing)

    def theirs(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(F.linear(hidden, weight), targets, reduction="sum", label_smoothing=smoothing)

    found, expected = loss_and_gradients(ours, torch.float64), loss_and_gradients(theirs, torch.float64)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-14)  # sums of 50 terms in another order
    hidden, weight, targets = inputs(torch.float64)
    few = hidden[:9].detach().requires_grad_(), weight[:, :3].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda h, w: ours(h[:, :3], w, targets[:9]), few)


@pytest.mark.usefixtures("_blocks")
def test_products_are_autocasts_and_the_rest_is_not():
    """As near to float64 as torch's loss is: bfloat16 rounds to 2^-9 = 0.2 %, both products and logits."""
    exact = loss_and_gradients(plain, torch.float64)
    found = loss_and_gradients(chunked_cross_entropy, autocast=True)
    for one, other, right in zip(found, loss_and_gradients(plain, autocast=True), exact, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert relative(one, right) < max(1.2 * relative(other, right), 1e-4)
        assert relative(one, other) < 0.01
    # The same rounded logits in float32: nothing but the order of the sum differs.
    assert relative(found[0], loss_and_gradients(plain, autocast=True)[0]) < 1e-6


def test_float64_is_left_alone_by_autocast():
    one, other = (loss_and_gradients(f, torch.float64, autocast=True) for f in (chunked_cross_entropy, plain))
    assert one[0].dtype == torch.float64
    torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)


def test_extreme_logits_give_a_finite_loss():
    hidden, weight, targets = inputs()
    large = (hidden.detach() * 1e3).requires_grad_()
    loss = chunked_cross_entropy(large, weight, targets)
    torch.testing.assert_close(loss, plain(large, weight, targets))
    assert torch.autograd.grad(loss, large)[0].isfinite().all()


def test_only_what_is_asked_for_is_computed():
    hidden, weight, targets = inputs()
    chunked_cross_entropy(hidden.detach(), weight, targets).backward()
    assert hidden.grad is None
    only_weight, weight.grad = weight.grad, None
    chunked_cross_entropy(hidden, weight.detach(), targets).backward()
    assert weight.grad is None
    expected = loss_and_gradients(plain)
    assert relative(only_weight, 29 * expected[2]) < 1e-6
    assert relative(hidden.grad, 29 * expected[1]) < 1e-6
    with torch.no_grad():
        assert relative(chunked_cross_entropy(hidden, weight, targets), expected[0]) < 1e-6


def test_a_second_backward_pass_gives_the_same_again():
    hidden, weight, targets = inputs()
    loss = chunked_cross_entropy(hidden, weight, targets)
    first = torch.autograd.grad(3 * loss, (hidden, weight), retain_graph=True)
    second = torch.autograd.grad(loss, (hidden, weight))
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, 3 * other)


def test_a_compiled_function_may_call_it():
    def step(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        return chunked_cross_entropy(2 * hidden, weight, targets)

    found, expected = (loss_and_gradients(f) for f in (torch.compile(step, backend="aot_eager"), step))
    torch.testing.assert_close(found, expected)


def test_targets_outside_the_vocabulary_are_refused():
    hidden, weight, targets = inputs()
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        chunked_cross_entropy(hidden, weight, targets + V)


_PEAKS = """
import torch
from pathlib import Path
from groundup.layers.chunked_cross_entropy import chunked_cross_entropy

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024

hidden, targets = torch.randn(512, 4, requires_grad=True), torch.arange(512)
for V in (600, 65_536, 131_072):  # the first one only for what torch loads when it is used
    weight = torch.randn(V, 4, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = status("VmRSS")
    chunked_cross_entropy(hidden, weight, targets).backward()
    print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="a process's peak is read from /proc")
def test_memory_does_not_grow_with_the_vocabulary():
    done = subprocess.run([sys.executable, "-c", _PEAKS], capture_output=True, text=True, check=True)
    _, small, large = map(int, done.stdout.split())
    # One block of logits is 64 MB; all of them would be 128 and 256 MB. The gradient of the weight takes 1 MB more.
    assert small < 80e6
    assert large < small + 6e6
