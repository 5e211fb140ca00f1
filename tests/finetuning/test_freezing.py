"""Which weights learn, when, and how fast."""

import pytest
import torch

from groundup.configs import GPTConfig, OptimizerConfig
from groundup.configs.finetuning import FreezingConfig
from groundup.errors import InputError
from groundup.finetuning.freezing import apply_freezing
from groundup.models.gpt import GPT
from groundup.training.learned import is_learned, learned_state, rate_of, set_rate, thaw
from groundup.training.optimizers import build_optimizer, parameter_groups


def gpt(n_layers: int = 3, *, tie: bool = True) -> GPT:
    return GPT(GPTConfig(vocab_size=8, context_length=4, d_model=8, n_layers=n_layers, n_heads=2, tie_embeddings=tie))


def learning(model: GPT) -> set[str]:
    return {".".join(name.split(".")[:2]) for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("n", [0, 1, 3])
def test_the_last_blocks_learn_with_the_final_norm(n: int):
    model = gpt()
    apply_freezing(model, FreezingConfig(last_blocks=n), only_last=True)
    expected = {f"blocks.{i}" for i in range(3 - n, 3)} | ({"final_norm.weight", "final_norm.bias"} if n else set())
    assert learning(model) == expected


def test_more_blocks_than_there_are_is_refused():
    with pytest.raises(InputError, match="at most 3"):
        apply_freezing(gpt(), FreezingConfig(last_blocks=4), only_last=True)


def test_one_more_block_learns_after_another():
    model = gpt(tie=False)
    apply_freezing(model, FreezingConfig(unfreeze_every=10), only_last=False)
    top = {"blocks.2", "final_norm.weight", "final_norm.bias", "output.weight"}
    seen = []
    for step in (0, 9, 10, 20, 30, 9):
        thaw(model, step)
        seen.append(learning(model))
    everything = top | {"blocks.0", "blocks.1", "token_embedding.weight", "position_embedding.weight"}
    assert seen == [top, top, top | {"blocks.1"}, top | {"blocks.1", "blocks.0"}, everything, top]
    assert all(is_learned(p) for p in model.parameters())  # so checkpoints hold all of them from the start
    assert learned_state(model).keys() == model.state_dict().keys()


def test_deeper_layers_learn_more_slowly():
    model = gpt()
    apply_freezing(model, FreezingConfig(layer_decay=0.5), only_last=False)
    rates = {name: rate_of(p) for name, p in model.named_parameters()}
    assert rates["final_norm.weight"] == rates["blocks.2.attention.query.weight"] == 1.0
    assert rates["blocks.1.attention.query.weight"] == 0.5
    assert rates["blocks.0.feed_forward.up.bias"] == 0.25
    assert rates["token_embedding.weight"] == rates["position_embedding.weight"] == 0.125


def test_groups_of_the_optimizer_have_the_rates():
    model = gpt()
    apply_freezing(model, FreezingConfig(layer_decay=0.5), only_last=False)
    groups = parameter_groups(model, 0.1)
    by_parameter = {id(p): group.get("lr_scale", 1.0) for group in groups for p in group["params"]}
    assert by_parameter == {id(p): rate_of(p) for p in model.parameters()}
    assert len({id(p) for group in groups for p in group["params"]}) == sum(len(g["params"]) for g in groups)


@pytest.mark.parametrize("name", ["adamw", "adamw_by_hand", "muon"])
def test_a_rate_scales_the_first_update(name: str):
    """The first step of AdamW has the size of the rate, whatever the gradient; Muon's is proportional to it."""
    updates = []
    for scale in (1.0, 3.0):
        layers = torch.nn.ModuleDict({"part": torch.nn.ModuleList([torch.nn.Linear(4, 4, bias=False)])})
        weight = next(layers.parameters())
        torch.nn.init.eye_(weight)
        before = weight.detach().clone()
        set_rate(weight, scale)
        optimizer = build_optimizer(layers, OptimizerConfig(name=name, weight_decay=0.0), learning_rate=0.01)  # type: ignore[arg-type]
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * group.get("lr_scale", 1.0)
        weight.grad = torch.arange(16.0).reshape(4, 4) + 1
        optimizer.step()
        updates.append((weight.detach() - before).abs().sum().item())
    assert updates[1] == pytest.approx(3 * updates[0], rel=1e-4)  # float32 of differences of about 0.01 from 1


def test_a_rate_must_be_above_zero():
    with pytest.raises(ValueError, match="above 0"):
        set_rate(torch.nn.Parameter(torch.zeros(1)), 0.0)
