"""The residual block equals transformers'; without what it learned it is the identity; shortcuts carry the gradient."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers.models.resnet.modeling_resnet import ResNetBasicLayer

from groundup.configs.vision import VisionConfig
from groundup.models.resnet import BasicBlock, ResNet

# float32: kernels may add up in another order
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def published(n_in: int, n_out: int, stride: int) -> nn.Module:
    """Return transformers' block, whose norms are exchanged for ours."""
    block = ResNetBasicLayer(n_in, n_out, stride=stride)
    layers = [*block.layer, *([] if isinstance(block.shortcut, nn.Identity) else [block.shortcut])]
    for layer in layers:
        layer.normalization = nn.GroupNorm(2, n_out)
    return block


@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(4, 4, 1), (4, 8, 2), (4, 8, 1), (4, 4, 2)])
def test_a_block_equals_that_of_transformers(n_in: int, n_out: int, stride: int):
    torch.manual_seed(0)
    ours, theirs = BasicBlock(n_in, n_out, stride=stride, groups=2), published(n_in, n_out, stride)
    pairs = [(ours.first, theirs.layer[0]), (ours.second, theirs.layer[1])]
    if not isinstance(ours.shortcut, nn.Identity):
        pairs.append((ours.shortcut, theirs.shortcut))
    for mine, other in pairs:
        other.convolution.weight.data = mine.conv.weight.data.clone()
        nn.init.normal_(mine.norm.weight)
        nn.init.normal_(mine.norm.bias)
        other.normalization.load_state_dict(mine.norm.state_dict())
    x = torch.randn(2, n_in, 7, 6, requires_grad=True)
    found, expected = ours(x), theirs(x)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (found, expected)), **CLOSE)


def test_a_block_that_has_learned_nothing_lets_everything_through():
    block = BasicBlock(4, 4)
    nn.init.zeros_(block.second.norm.weight)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), F.relu(x))
    without = BasicBlock(4, 4, skip=False)
    nn.init.zeros_(without.second.norm.weight)
    assert without(x).abs().max() == 0


def test_without_shortcuts_there_are_the_same_layers_but_for_projections():
    config = VisionConfig(family="resnet", image_size=(8, 8), n_classes=3, channels=(4, 8), blocks=2)
    with_skip = ResNet(config)
    without = ResNet(VisionConfig(**{**vars(config), "skip": False}))
    beside = [name for name in with_skip.state_dict() if "shortcut" in name]
    assert len(beside) == 3  # weight of one projection, weight and bias of its norm
    assert {*without.state_dict(), *beside} == {*with_skip.state_dict()}


def test_shortcuts_carry_the_gradient_through_a_deep_network():
    norms = {}
    for skip in (True, False):
        torch.manual_seed(0)
        deep = ResNet(VisionConfig(
            family="resnet", image_size=(8, 8), n_classes=3, channels=(4,), blocks=12, groups=0, skip=skip,
        ))  # fmt: skip
        for block in deep.blocks:  # begun small, as many networks are: each layer halves what passes
            for layer in (block.first, block.second):
                layer.conv.weight.data.mul_(0.5)
        loss = F.cross_entropy(deep(torch.randn(4, 1, 8, 8)), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        norms[skip] = deep.stem.conv.weight.grad.norm().item()
    # 24 layers, each of which halves the gradient: 2^24 without shortcuts
    assert norms[True] > 1e4 * norms[False]


def test_pooling_behind_the_stem_gives_every_block_half_the_image():
    torch.manual_seed(0)
    config = VisionConfig(family="resnet", image_size=(13, 8), n_classes=3, channels=(4, 8), stem_pool=True)
    model, images = ResNet(config).eval(), torch.randn(2, 1, 13, 8)
    seen: list[torch.Tensor] = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = model(images)
    assert [tuple(x.shape) for x in seen] == [(2, 4, 6, 4), (2, 4, 6, 4)]  # the second block halves, not its input
    assert torch.equal(seen[0], F.max_pool2d(F.relu(model.stem(images)), 2))
    plain = ResNet(VisionConfig(**{**vars(config), "stem_pool": False})).eval()
    plain.load_state_dict(model.state_dict())  # it has no weights
    assert not torch.equal(plain(images), logits)
