"""Of several adapters on one base one acts and learns, and switching between them leaves no trace."""

import pytest
import torch

from groundup.configs.finetuning import LoRAConfig
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.finetuning.adapters import adapter_names, bare_base, use_adapter
from groundup.finetuning.lora import apply_lora, lora_layers, merge, merge_and_remove
from groundup.models.gpt import GPT

V = 31
TOKENS = torch.randint(V, (2, 8), generator=torch.Generator().manual_seed(0))
CONFIGS = {
    "french": LoRAConfig(rank=2, targets=("query", "value")),
    "german": LoRAConfig(rank=4, targets=("value", "up"), dora=True),
}


def gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=V, context_length=16, d_model=16, n_layers=2, n_heads=2)).eval()


def alone(name: str) -> GPT:
    """The base with one adapter that learned; the same numbers whoever else is on the base."""
    model = gpt()
    put(model, name)
    return model


def put(model: GPT, name: str) -> None:
    apply_lora(model, CONFIGS[name], name)
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if f".adapters.{name}." in path:
                parameter.copy_(0.3 + 0.3 * torch.randn(parameter.shape, generator=generator))


def both() -> GPT:
    model = gpt()
    for name in CONFIGS:
        put(model, name)
    return model


def learning(model: GPT) -> set[str]:
    """Adapters that have a parameter that learns; "" stands for the base."""
    parts = [
        name.partition(".adapters.")[2].partition(".")[0] for name, p in model.named_parameters() if p.requires_grad
    ]
    return set(parts)


@torch.no_grad()
def test_each_one_acts_as_if_it_were_alone():
    model, base = both(), gpt()(TOKENS)
    assert adapter_names(model) == ["french", "german"]
    for name in ("french", "german", "french"):
        use_adapter(model, name)
        assert torch.equal(model(TOKENS), alone(name)(TOKENS))
        assert not torch.equal(model(TOKENS), base)
    use_adapter(model, None)
    assert torch.equal(model(TOKENS), base)


def test_the_one_in_use_learns_and_no_other():
    model = both()
    assert learning(model) == {"german"}  # the newest
    use_adapter(model, "french")
    assert learning(model) == {"french"}
    model(TOKENS).square().mean().backward()
    assert all((parameter.grad is not None) == (".french." in name) for name, parameter in model.named_parameters())
    use_adapter(model, "german", learns=False)
    assert learning(model) == set()
    use_adapter(model, None)
    assert learning(model) == set()


@torch.no_grad()
def test_switching_takes_out_what_was_merged():
    model = both()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    use_adapter(model, "french")
    merge(model)
    assert any(not torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    use_adapter(model, "german")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model(TOKENS), alone("german")(TOKENS))


@torch.no_grad()
def test_one_is_kept_for_good_and_the_others_are_gone():
    model, plain = both(), gpt()
    use_adapter(model, "french")
    expected = model(TOKENS)
    merge_and_remove(model)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert torch.allclose(model(TOKENS), expected, atol=1e-5)


@pytest.mark.parametrize("is_merged", [False, True])
@torch.no_grad()
def test_the_base_alone_for_a_while(is_merged):
    model, base = both(), gpt()(TOKENS)
    expected, learned = model(TOKENS), learning(model)
    if is_merged:
        merge(model)
    with bare_base(model):
        assert torch.equal(model(TOKENS), base)
        assert learning(model) == learned
    assert torch.equal(model(TOKENS), expected)
    with pytest.raises(KeyError), bare_base(model):
        raise KeyError  # whatever happens there
    assert torch.equal(model(TOKENS), expected)
    assert learning(model) == learned


def test_an_unknown_one_is_named_with_those_there_are():
    model = both()
    with pytest.raises(InputError, match="expected one of the adapters french, german, found 'greek'"):
        use_adapter(model, "greek")
    assert {layer.active for layer in lora_layers(model).values()} == {"german", None}
    with pytest.raises(InputError, match=r"\(there are none\), found 'greek'"):
        use_adapter(gpt(), "greek")
