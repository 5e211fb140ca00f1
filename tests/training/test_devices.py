"""Devices: what auto chooses, what is refused, and what bfloat16 touches."""

import pytest
import torch

from groundup.errors import InputError
from groundup.training.devices import autocast, choose_device, deterministic


def pretend(monkeypatch, *, cuda, mps):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_present(monkeypatch, cuda, mps, expected):
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device() == choose_device("auto") == torch.device(expected)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(expected) == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", ""])
def test_an_absent_device_is_refused_in_one_line(monkeypatch, name):
    pretend(monkeypatch, cuda=False, mps=False)
    with pytest.raises(InputError, match=rf"expected a device of this machine \(cpu\), found '{name}': take auto") as e:
        choose_device(name)
    assert "\n" not in str(e.value)


def test_bfloat16_is_for_products_and_float32_for_the_rest():
    layer = torch.nn.Linear(8, 8)
    with autocast(torch.device("cpu"), "bfloat16"):
        product = layer(torch.randn(2, 8))
        loss = torch.nn.functional.cross_entropy(product, torch.tensor([1, 2]))
    loss.backward()
    assert product.dtype == torch.bfloat16
    assert loss.dtype == layer.weight.dtype == layer.weight.grad.dtype == torch.float32


def test_float32_changes_nothing_and_neither_lasts():
    layer, x = torch.nn.Linear(8, 8), torch.randn(2, 8)
    with autocast(torch.device("cpu"), "float32"):
        assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
        assert layer(x).dtype == torch.float32
    with autocast(torch.device("cpu"), "bfloat16"):
        pass
    assert layer(x).dtype == torch.float32


@pytest.mark.parametrize(("device", "expected"), [("cpu", False), ("cuda", True)])
def test_only_cuda_is_told_to_compute_alike_each_time(device: str, expected: bool):
    with deterministic(torch.device(device)):
        assert torch.are_deterministic_algorithms_enabled() is expected
    assert not torch.are_deterministic_algorithms_enabled()
