"""Adapters that change names and layouts change every weight of the model as they did before, whatever was adapted."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.weights.peft_names import (
    Factors,
    from_peft,
    patterns,
    peft_module,
    peft_modules,
    short_names,
    take_apart,
    to_peft,
)

D = 8
SIZES = {"vocab_size": 11, "context_length": 8, "d_model": D, "n_layers": 2, "n_heads": 2}
ROTARY = {"position": "rotary", "norm": "rms", "activation": "swiglu", "n_kv_heads": 1, "d_ff": 12, "bias": False}
GPT2, LLAMA = GPTConfig(**SIZES), GPTConfig(**SIZES, **ROTARY)
OLD = GPTConfig(**SIZES, position="sinusoidal", norm_order="post", activation="relu")  # 2017: no published family
QKV = ("attention.query", "attention.key", "attention.value")


def factors(n_out: int, n_in: int, *, rank: int = 2, alpha: float = 3.0, dora: bool = False, seed: int = 0) -> Factors:
    generator = torch.Generator().manual_seed(seed)
    A, B = torch.randn(rank, n_in, generator=generator), torch.randn(n_out, rank, generator=generator)
    magnitude = torch.rand(n_out, generator=generator) if dora else None
    return Factors(A=A, B=B, alpha=alpha, magnitude=magnitude)


def update(one: Factors, *, rank_stabilized: bool) -> Tensor:
    """What is added to the weight, by the formula."""
    scale = one.alpha / (math.sqrt(one.rank) if rank_stabilized else one.rank)
    return scale * one.B.double() @ one.A.double()


@pytest.mark.parametrize("rank_stabilized", [False, True])
@pytest.mark.parametrize("dora", [False, True])
@given(chosen=st.sets(st.sampled_from(QKV), min_size=1), rank=st.integers(1, 4))
@settings(max_examples=25, derandomize=True)
def test_ours_are_one_of_theirs_with_the_same_update(rank_stabilized, dora, chosen, rank):
    ours = {f"blocks.1.{part}": factors(D, D, rank=rank, dora=dora, seed=i) for i, part in enumerate(sorted(chosen))}
    base = {f"blocks.1.{part}": torch.full((D,), 10.0 + i) for i, part in enumerate(QKV)}
    theirs = to_peft(ours, GPT2, rank_stabilized=rank_stabilized, lengths=base.__getitem__)
    assert list(theirs) == ["transformer.h.1.attn.c_attn"]
    whole = theirs["transformer.h.1.attn.c_attn"]
    assert whole.rank == rank * len(chosen)
    parts = update(whole, rank_stabilized=rank_stabilized).chunk(3)
    for part, found in zip(QKV, parts, strict=True):
        one = ours.get(f"blocks.1.{part}")
        expected = torch.zeros(D, D) if one is None else update(one, rank_stabilized=rank_stabilized)
        assert torch.allclose(found, expected.double(), rtol=1e-12, atol=1e-12)  # float64: alpha is rounded once
    if dora:
        lengths = [ours[name].magnitude if name in ours else base[name] for name in base]
        assert torch.equal(whole.magnitude, torch.cat(lengths))


@pytest.mark.parametrize("dora", [False, True])
def test_theirs_are_three_of_ours_and_become_one_again(dora):
    theirs = {
        "transformer.h.0.attn.c_attn": factors(3 * D, D, dora=dora),
        "transformer.h.1.mlp.c_proj": factors(D, 4 * D, dora=dora),
    }
    ours = from_peft(theirs, GPT2)
    assert list(ours) == [f"blocks.0.{part}" for part in QKV] + ["blocks.1.feed_forward.down"]
    expected = update(theirs["transformer.h.0.attn.c_attn"], rank_stabilized=False).chunk(3)
    for part, rows in zip(QKV, expected, strict=True):
        assert torch.equal(update(ours[f"blocks.0.{part}"], rank_stabilized=False), rows)
    back = to_peft(ours, GPT2, rank_stabilized=False, lengths=lambda name: torch.ones(D))
    for name, one in theirs.items():
        assert torch.equal(back[name].A, one.A)
        assert torch.equal(back[name].B, one.B)
        assert back[name].alpha == one.alpha
        assert (back[name].magnitude is None) if not dora else torch.equal(back[name].magnitude, one.magnitude)


@pytest.mark.parametrize("parts", [QKV[:1], QKV[1:], QKV[::2], QKV])
def test_what_was_stacked_is_taken_apart_to_the_bit(parts):
    ours = {f"blocks.0.{part}": factors(D, D, dora=True, seed=i) for i, part in enumerate(parts)}
    theirs = to_peft(ours, GPT2, rank_stabilized=True, lengths=lambda name: torch.ones(D))
    whole, names = theirs["transformer.h.0.attn.c_attn"], [f"blocks.0.{part}" for part in QKV]
    apart = take_apart(whole, names, list(ours), 3.0)
    assert apart is not None
    assert apart.keys() == ours.keys()
    for name, one in ours.items():
        assert torch.equal(apart[name].A, one.A)
        assert torch.equal(apart[name].B, one.B)
        assert torch.equal(apart[name].magnitude, one.magnitude)
    whole.B[:, 0] = 1.0  # somebody trained it on as one
    assert (take_apart(whole, names, list(ours), 3.0) is None) == (len(parts) < 3 or whole.rank > 2)
    assert take_apart(whole, names, ["blocks.1.attention.query"], 3.0) is None


@pytest.mark.parametrize("config", [LLAMA, OLD], ids=["llama", "2017"])
def test_where_layers_are_alike_the_names_alone_change(config):
    modules = peft_modules(config)
    ours = {names[0]: factors(4, 4, seed=i) for i, names in enumerate(modules.values())}
    theirs = to_peft(ours, config, rank_stabilized=False, lengths=lambda name: torch.ones(4))
    assert theirs.keys() == modules.keys()
    assert all(theirs[name] is ours[names[0]] for name, names in modules.items())
    assert from_peft(theirs, config).keys() == ours.keys()


def test_names_are_those_of_the_field():
    assert peft_modules(LLAMA)["model.layers.1.self_attn.q_proj"] == ("blocks.1.attention.query",)
    assert peft_modules(LLAMA)["model.layers.0.mlp.gate_proj"] == ("blocks.0.feed_forward.gate",)
    assert len(peft_modules(GPT2)) == 8
    assert peft_module("layers.0.mlp.up_proj", LLAMA) == "model.layers.0.mlp.up_proj"
    assert peft_module("blocks.0.attention.query", OLD) == "blocks.0.attention.query"


def test_a_short_name_stands_for_a_kind_of_layer_and_never_for_more():
    every = list(peft_modules(LLAMA))
    assert short_names(every, LLAMA) == ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert short_names(peft_modules(GPT2), GPT2) == ["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"]
    assert short_names(["model.layers.1.self_attn.q_proj"], LLAMA) == ["model.layers.1.self_attn.q_proj"]
    # A GPT of ours may have a layer called output outside its blocks.
    assert short_names(["blocks.0.attention.output", "blocks.1.attention.output"], OLD) == ["attention.output"]


def test_a_pattern_holds_what_is_not_usual():
    every = list(peft_modules(GPT2))
    assert patterns(dict.fromkeys(every, 8), GPT2) == (8, {})
    ranks = {name: 24 if name.endswith("c_attn") else 8 for name in every} | {"transformer.h.1.mlp.c_fc": 4}
    assert patterns(ranks, GPT2) == (8, {"transformer.h.1.mlp.c_fc": 4, "c_attn": 24})


def test_what_does_not_fit_is_named():
    with pytest.raises(InputError, match=r"found transformer\.h\.2\.attn\.c_attn"):
        from_peft({"transformer.h.2.attn.c_attn": factors(3 * D, D)}, GPT2)
    with pytest.raises(InputError, match=r"expected B of .*c_attn to have 3 parts alike, found 2"):
        from_peft({"transformer.h.0.attn.c_attn": factors(2, D)}, GPT2)
    ours = {f"blocks.0.{part}": factors(D, D, rank=rank) for part, rank in zip(QKV[:2], (1, 2), strict=True)}
    with pytest.raises(ValueError, match="one rank and alpha are needed"):
        to_peft(ours, GPT2, rank_stabilized=False, lengths=lambda name: torch.ones(D))
