"""The compiled step against the layers it stands for: families, kinds of weights, positions, threads, processes."""

import os
import threading
from dataclasses import replace

import pytest
import torch

from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.layers.kv_cache import KVCache
from groundup.models.gpt import GPT
from groundup.quantization import decode_step, kernels
from groundup.quantization.convert import quantize_model
from groundup.quantization.decode_step import build_decode_step

GPT2 = GPTConfig(vocab_size=151, context_length=48, d_model=64, n_layers=2, n_heads=4)
LLAMA = replace(GPT2, position="rotary", norm="rms", activation="swiglu", n_kv_heads=2, bias=False, d_ff=96)
FAMILIES = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "qwen2": replace(LLAMA, qkv_bias=True),
    "record": replace(GPT2, position="rotary", norm="rms", activation="relu_squared", qk_norm=True, bias=False),
    "gelu": replace(GPT2, activation="gelu", position="sinusoidal"),
    "relu": replace(GPT2, activation="relu", n_kv_heads=1),
}
BITS = {
    "float32": None,
    "int8": QuantizationConfig(to="int8"),
    "affine": QuantizationConfig(to="int8", symmetric=False),
    "int4": QuantizationConfig(to="int4"),
    "int4 mixed with float32": QuantizationConfig(to="int4", skip=("feed_forward.down", "blocks.0")),
}
# Of the deviation of hidden states. float32: sums in another order, two layers. Others: inputs of each product rounded
# to 15 bits of the largest in a block, 1.5e-5 each; the largest of all numbers was 8e-4.
BOUNDS = {"float32": 2e-5, "others": 2e-3}


def build(config: GPTConfig, bits: QuantizationConfig | None = None) -> GPT:
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model if bits is None else quantize_model(model, bits)


def with_step(model: GPT) -> GPT:
    model.step = build_decode_step(model)
    assert model.step is not None
    return model


@torch.no_grad()
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_and_cache_are_the_layers(family: str, bits: str):
    model, tokens = build(FAMILIES[family], BITS[bits]), torch.randint(151, (1, 48))
    step = build_decode_step(model)
    assert step is not None
    bound = BOUNDS.get(bits, BOUNDS["others"])
    cache = model.new_cache(1)
    for i, token in enumerate(tokens.split(1, dim=1)):  # from an empty cache to a full one
        mine = model.new_cache(1)
        mine.keys.copy_(cache.keys)
        mine.values.copy_(cache.values)
        mine.advance(i)
        found = step(model.token_embedding(token), mine)
        expected = model.hidden_states(token, cache=cache)
        assert found is not None
        assert (found - expected).abs().max() <= bound * expected.std()
        for ours, theirs in ((mine.keys, cache.keys), (mine.values, cache.values)):
            assert (ours - theirs).abs().max() <= bound * theirs.abs().max()
        assert mine.longest == i  # the model counts


@torch.no_grad()
def test_any_number_of_threads_gives_the_same_bits():
    model, tokens, before, found = with_step(build(LLAMA, BITS["int4"])), torch.randint(151, (1, 6)), 0, []
    before = torch.get_num_threads()
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            cache = model.new_cache(1)
            found.append(torch.cat([model.hidden_states(token, cache=cache) for token in tokens.split(1, 1)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@torch.no_grad()
def test_other_readings_go_the_ordinary_way():
    model = build(LLAMA, BITS["int4"])
    step = build_decode_step(model)
    one, two = torch.randn(1, 1, 64), torch.randn(1, 2, 64)
    assert step is not None
    assert step(two, model.new_cache(1)) is None
    assert step(two.transpose(0, 1), model.new_cache(2)) is None
    assert step(one.double(), model.new_cache(1)) is None
    assert step(one, model.new_cache(1, dtype=torch.bfloat16)) is None
    tokens, mask = torch.randint(151, (1, 4)), torch.tensor([True, False, True, True, True])
    plain, cache, fast_cache = build(LLAMA, BITS["int4"]), model.new_cache(1), model.new_cache(1)
    fast = with_step(model)
    for one_model, one_cache in ((plain, cache), (fast, fast_cache)):
        one_model.hidden_states(tokens, cache=one_cache)
    token = torch.tensor([[7]])
    assert torch.equal(
        fast.hidden_states(token, cache=fast_cache, mask=mask), plain.hidden_states(token, cache=cache, mask=mask)
    )


@torch.no_grad()
def test_a_full_context_is_refused_and_a_full_cache():
    model = with_step(build(LLAMA))
    cache = model.new_cache(1, 2)
    for _ in range(2):
        model.hidden_states(torch.tensor([[1]]), cache=cache)
    with pytest.raises(ValueError, match="room for 2 tokens"):
        model.hidden_states(torch.tensor([[1]]), cache=cache)
    long = KVCache(n_layers=2, batch_size=1, n_kv_heads=2, capacity=60, d_head=16)
    long.advance(48)
    with pytest.raises(InputError, match="at most 48 tokens, found 49"):
        model.hidden_states(torch.tensor([[1]]), cache=long)


def test_models_that_it_does_not_know():
    assert build_decode_step(GPT(replace(GPT2, norm_order="post"))) is None
    assert build_decode_step(GPT(replace(GPT2, d_model=48))) is None  # no multiple of 32
    assert build_decode_step(build(LLAMA, QuantizationConfig(to="int8", activations="dynamic"))) is None
    interleaved = build(LLAMA)
    interleaved.rotary.pairing = "interleaved"  # of weights whose columns were never brought in our order
    assert build_decode_step(interleaved) is None


def test_without_numba_there_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode_step, "has_kernels", lambda: False)
    assert build_decode_step(GPT(GPT2)) is None
    kernels.has_kernels.cache_clear()
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert not kernels.has_kernels()
    kernels.has_kernels.cache_clear()


@torch.no_grad()
def test_threads_of_the_caller_take_turns():
    model, tokens = with_step(build(LLAMA, BITS["int4"])), torch.randint(151, (1, 20))
    found: dict[int, torch.Tensor] = {}

    def read(name: int) -> None:
        with torch.no_grad():
            cache = model.new_cache(1)
            found[name] = torch.cat([model.hidden_states(token, cache=cache) for token in tokens.split(1, 1)])

    readers = [threading.Thread(target=read, args=(name,)) for name in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads: they are the point
@torch.no_grad()
def test_a_forked_process_has_threads_of_its_own():
    model, token = with_step(build(LLAMA, BITS["int4"])), torch.tensor([[3]])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = model.hidden_states(token, cache=model.new_cache(1))
        child = os.fork()
        if child == 0:
            same = torch.equal(model.hidden_states(token, cache=model.new_cache(1)), expected)
            os._exit(0 if same else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        torch.set_num_threads(before)
