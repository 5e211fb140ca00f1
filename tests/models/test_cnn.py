"""The CNN equals the same layers put together with torch alone, and reads each image by itself."""

import pytest
import torch
from torch import nn

from groundup.configs.vision import VisionConfig
from groundup.models.cnn import CNN


def made(**fields: object) -> CNN:
    torch.manual_seed(0)
    return CNN(VisionConfig(image_size=(12, 10), n_classes=4, **({"channels": (4, 6), "hidden": (16,)} | fields)))


def by_torch(blocks: int, kernel_size: int, groups: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    n_in = 1
    for n_out, n in ((4, 2), (6, 3)):  # of 4 and 6 channels with two in each group
        for _ in range(blocks):
            layers.append(nn.Conv2d(n_in, n_out, kernel_size, padding="same", bias=not groups))
            layers += [nn.GroupNorm(n, n_out)] if groups else []
            layers.append(nn.ReLU())
            n_in = n_out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 3 * 2, 16), nn.ReLU(), nn.Linear(16, 4))


@pytest.mark.parametrize(("blocks", "kernel_size", "groups"), [(1, 3, 8), (2, 3, 8), (1, 5, 0)])
def test_it_equals_the_same_layers_of_torch(blocks: int, kernel_size: int, groups: int):
    model = made(blocks=blocks, kernel_size=kernel_size, groups=groups)
    other = by_torch(blocks, kernel_size, bool(groups))
    ours, theirs = model.state_dict(), other.state_dict()
    other.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))  # in the same order
    images = torch.randn(3, 1, 12, 10)
    assert torch.equal(model(images), other(images))  # the same kernels in the same order


def test_an_image_is_read_alone():
    model, images = made(), torch.randn(5, 1, 12, 10)
    # another batch size, other kernels: the last bits of float32
    torch.testing.assert_close(model(images)[2:3], model(images[2:3]), rtol=1e-5, atol=1e-5)


def test_every_weight_gets_a_gradient():
    model = made(blocks=2)
    model(torch.randn(8, 1, 12, 10)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
