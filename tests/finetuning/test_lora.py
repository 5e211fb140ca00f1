"""LoRA changes nothing before it learns, merges and comes out again to the bit, and computes what `peft` computes."""

import copy

import pytest
import torch
from tests.finetuning.peft_models import TOKENS, V, adapted
from torch import nn

from groundup.configs.finetuning import LoRAConfig
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.finetuning.lora import LoRALinear, apply_lora, lora_layers, merge, merge_and_remove, unmerge
from groundup.finetuning.peft_files import load_adapter
from groundup.models.gpt import GPT
from groundup.training.learned import rate_of

# Float32 logits of size 3 after two blocks, the same sums in another order: 4e-6 was seen.
BOUND = 1e-5
GPT2 = GPTConfig(vocab_size=V, context_length=32, d_model=16, n_layers=2, n_heads=2)
LLAMA = GPTConfig(
    vocab_size=V, context_length=32, d_model=16, n_layers=2, n_heads=2, n_kv_heads=1, position="rotary", norm="rms",
    activation="swiglu", bias=False,
)  # fmt: skip
MODELS = {"gpt2": GPT2, "llama": LLAMA}
KINDS = {
    "plain": LoRAConfig(rank=4, targets=("all",)),
    "rank stabilized": LoRAConfig(rank=4, targets=("all",), rank_stabilized=True),
    "dora": LoRAConfig(rank=4, targets=("all",), dora=True),
    "dropout": LoRAConfig(rank=4, targets=("all",), dropout=0.5),
    "lora+": LoRAConfig(rank=4, targets=("all",), b_rate=16.0),
}
THEIRS = {"plain": {}, "rank stabilized": {"use_rslora": True}, "dora": {"use_dora": True}}


def gpt(family: str = "gpt2") -> GPT:
    torch.manual_seed(0)
    model = GPT(MODELS[family]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def learned(model: nn.Module) -> None:
    """Move every number that learns, as training would: weights change by about half of what they were."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)


def bits(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def is_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(tensor.view(torch.int32), other[name].view(torch.int32)) for name, tensor in one.items()
    )


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_before_it_learns_it_is_the_base_to_the_bit(family, kind):
    model = gpt(family)
    expected = model(TOKENS)
    names = apply_lora(model, KINDS[kind])
    assert len(names) == len(lora_layers(model)) == 2 * (6 if family == "gpt2" else 7)
    assert torch.equal(model.train()(TOKENS).view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_merged_it_is_the_same_model_and_comes_out_without_a_trace(family, kind):
    model = gpt(family)
    base = model(TOKENS)
    apply_lora(model, KINDS[kind])
    learned(model)
    before, expected = bits(model), model(TOKENS)
    assert (expected - base).abs().max() > 0.1  # it did learn
    merge(model)
    merge(model)  # a second time is nothing
    assert not is_same(bits(model), before)
    assert (model(TOKENS) - expected).abs().max() <= BOUND
    unmerge(model)
    unmerge(model)
    assert is_same(bits(model), before)
    assert torch.equal(model(TOKENS), expected)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_removed_it_leaves_a_plain_model(kind):
    model = gpt("llama")
    plain = model.state_dict().keys()
    apply_lora(model, KINDS[kind])
    learned(model)
    expected = model(TOKENS)
    merge_and_remove(model)
    assert model.state_dict().keys() == plain
    assert {type(module) for module in model.modules()} == {type(module) for module in gpt("llama").modules()}
    fresh = GPT(LLAMA).eval()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(TOKENS), model(TOKENS))
    assert (fresh(TOKENS) - expected).abs().max() <= BOUND


@pytest.mark.parametrize("kind", KINDS)
def test_only_adapters_have_gradients(kind):
    model = gpt()
    apply_lora(model, KINDS[kind])
    learned(model)
    model(TOKENS).square().mean().backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {name for name, _ in model.named_parameters() if ".adapters." in name}
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters() if parameter.grad is not None)


def test_a_gradient_is_that_of_finite_differences():
    """In float64; DoRA's is not among them, for its lengths are constants to the gradient by definition."""
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(5, 4, dtype=torch.float64), LoRAConfig(rank=2))
    learned(layer)
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    adapter = layer.adapters["default"]

    def output(x, A, B):
        return torch.func.functional_call(layer, {"adapters.default.A": A, "adapters.default.B": B}, x)

    assert torch.autograd.gradcheck(output, (x, adapter.A, adapter.B))


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # transformers warns of itself
def test_forward_and_gradients_are_pefts(family, kind, tmp_path):
    ours, theirs = adapted(family, **THEIRS[kind])
    theirs.save_pretrained(tmp_path)
    load_adapter(ours, tmp_path)
    direction = torch.randn(*TOKENS.shape, V, generator=torch.Generator().manual_seed(1))
    out, expected = ours(TOKENS), theirs(TOKENS).logits
    assert (out - expected).abs().max() <= BOUND
    out.backward(direction)
    expected.backward(direction)
    compared = 0
    for name, layer in layers_by_their_names(ours, family).items():
        parts = [one.adapters["default"] for one in layer]
        other = theirs.base_model.model.get_submodule(name)
        # Where three of ours are one of theirs, all three read its A.
        pairs = [(sum(part.A.grad for part in parts), other.lora_A["default"].weight.grad)]
        pairs.append((torch.cat([part.B.grad for part in parts]), other.lora_B["default"].weight.grad))
        if kind == "dora":
            magnitudes = torch.cat([part.magnitude.grad for part in parts])
            pairs.append((magnitudes, other.lora_magnitude_vector["default"].weight.grad))
        for mine, gradient in pairs:
            # Gradients of size 100: a sum over 24 positions in another order.
            assert (mine - gradient).abs().max() <= 1e-5 * gradient.abs().max()
            compared += 1
    assert compared == 2 * (4 if family == "gpt2" else 7) * (3 if kind == "dora" else 2)


def layers_by_their_names(model: GPT, family: str):
    from groundup.weights.peft_names import peft_modules

    layers = lora_layers(model)
    return {theirs: [layers[name] for name in ours] for theirs, ours in peft_modules(model.config).items()}


def test_a_target_is_the_last_part_of_a_name_or_a_whole_one():
    model = gpt("llama")
    assert apply_lora(copy.deepcopy(model), LoRAConfig(rank=2, targets=("up", "blocks.1.attention.output"))) == [
        "blocks.0.feed_forward.up", "blocks.1.attention.output", "blocks.1.feed_forward.up",
    ]  # fmt: skip
    untied = GPT(GPTConfig(**{**vars(GPT2), "tie_embeddings": False}))
    assert apply_lora(untied, LoRAConfig(rank=2, targets=("output",))) == [
        "blocks.0.attention.output", "blocks.1.attention.output",
    ]  # fmt: skip  # not the model's own output
    assert all("blocks" in name for name in apply_lora(model, LoRAConfig(rank=2, targets=("all",))))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"targets": ("query", "gate")}, "found 'gate'"),  # GPT-2's feed-forward part has none
        ({"targets": ("uery",)}, "expected targets of query, key, value, output, up, down, all"),
        ({"targets": ("blocks.2.attention.query",)}, "found 'blocks.2.attention.query'"),
        ({"rank": 17}, "a rank of at most 16 for blocks.0.attention.query, which maps 16 to 16 numbers, found 17"),
    ],
)
def test_bad_targets_and_ranks_are_named_and_change_nothing(fields, said):
    model = gpt()
    before = bits(model)
    with pytest.raises(InputError, match=said) as caught:
        apply_lora(model, LoRAConfig(**fields))
    assert "\n" not in str(caught.value)
    assert is_same(bits(model), before)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", ["", "a.b", "keys", "default"])
def test_a_bad_name_is_refused(name):
    model = gpt()
    apply_lora(model, LoRAConfig(rank=2))
    with pytest.raises(InputError, match="name"):
        apply_lora(model, LoRAConfig(rank=2), name)
    assert lora_layers(model)["blocks.0.attention.query"].active == "default"


def test_the_seed_decides_where_it_begins():
    models = [gpt(), gpt(), gpt()]
    for seed, model in zip((1, 1, 2), models, strict=True):
        torch.manual_seed(seed)
        apply_lora(model, LoRAConfig(rank=2))
    one, same, other = map(bits, models)
    assert is_same(one, same)
    assert not is_same(one, other)


def test_b_alone_has_the_rate_of_lora_plus():
    model = gpt()
    apply_lora(model, KINDS["lora+"])
    adapter = lora_layers(model)["blocks.0.attention.query"].adapter
    assert (rate_of(adapter.A), rate_of(adapter.B)) == (1.0, 16.0)


def test_dropout_acts_on_what_a_reads_and_only_in_training():
    torch.manual_seed(0)
    linear, x = nn.Linear(8, 8), torch.ones(4000, 8)
    layer = LoRALinear(linear, LoRAConfig(rank=8, alpha=8.0, dropout=0.25))
    with torch.no_grad():
        layer.adapter.A.copy_(torch.eye(8))
        layer.adapter.B.copy_(torch.eye(8))
        update = layer.train()(x) - linear(x)
        kept = update > 0.5
        assert abs(kept.float().mean() - 0.75) < 0.02  # 32,000 draws: five standard deviations
        assert torch.allclose(update[kept], torch.tensor(1 / 0.75), atol=1e-6)
        assert torch.allclose(layer.eval()(x), linear(x) + x, atol=1e-6)


class Rounded(nn.Module):
    """A layer that keeps its weight as int8, as quantized ones do."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("weight", (linear.weight.detach() * 100).round().to(torch.int8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (self.weight.float() / 100).T


def test_it_sits_on_a_layer_of_another_kind():
    torch.manual_seed(0)
    rounded, x = Rounded(nn.Linear(6, 4)), torch.randn(2, 3, 6)
    layer = LoRALinear(rounded, LoRAConfig(rank=2))
    assert torch.equal(layer(x), rounded(x))
    learned(layer)
    update = layer.adapter.config.scale * x @ layer.adapter.A.T @ layer.adapter.B.T
    assert torch.allclose(layer(x), rounded(x) + update, atol=1e-6)
    for refused in (layer.merge, lambda: LoRALinear(rounded, LoRAConfig(rank=2, dora=True))):
        with pytest.raises(InputError, match="found Rounded: use the model unquantized"):
            refused()


@pytest.mark.parametrize("kind", ["plain", "dora"])
def test_under_autocast_it_computes_in_bfloat16(kind):
    model = gpt()
    apply_lora(model, KINDS[kind])
    learned(model)
    layer, x = model.blocks[0].attention.query, torch.randn(3, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert layer.adapter.A.grad.dtype == torch.float32
    assert torch.allclose(out.float(), layer(x), atol=0.05 * float(layer(x).detach().abs().max()))  # 8 bits


def test_a_row_of_zeros_has_a_direction_to_learn_but_no_nan():
    linear = nn.Linear(4, 4)
    nn.init.zeros_(linear.weight)
    layer = LoRALinear(linear, LoRAConfig(rank=2, dora=True))
    out = layer(torch.ones(1, 4))
    assert torch.equal(out, linear(torch.ones(1, 4)))
    out.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.adapter.parameters())
