"""Proofs of models/: GPT against transformers' GPT-2 and Llama with the same random weights, and against itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groundup.configs.model import PRESETS, GPTConfig
from groundup.models.gpt import GPT
from groundup.proofs.compare import apart, largest
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama
from groundup.proofs.table import Proof

WIDE = 0.2
"""Deviation of the small models' weights: ten times the usual, so that logits are of size 10 and errors show."""
PARAMETERS = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}
"""Counts of the published checkpoints."""


def _tokens(rows: int, length: int, vocab_size: int) -> Tensor:
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(0))


def tiny_gpt2() -> Any:  # noqa: ANN401 - transformers is imported on use only
    """Return a small `GPT2LMHeadModel` with random weights, made offline."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=97,
        n_positions=64,
        n_embd=48,
        n_layer=3,
        n_head=4,
        initializer_range=WIDE,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config).eval()


def tiny_llama() -> Any:  # noqa: ANN401 - transformers is imported on use only
    """Return a small `LlamaForCausalLM` with grouped heads and random weights, made offline."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=WIDE,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config).eval()


def gpt2_124m() -> Any:  # noqa: ANN401 - transformers is imported on use only
    """Return GPT-2 small at its published size with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config()).eval()


def _logits(build: Callable[[], Any], convert: Callable[[Any], GPT], length: int) -> Callable[[], float]:
    def difference() -> float:
        theirs = build()
        ours = convert(theirs)
        tokens = _tokens(2, length, theirs.config.vocab_size)
        with torch.inference_mode():
            return apart(ours(tokens), theirs(tokens).logits)

    return difference


def _gradients() -> float:
    """Return the largest difference of any GPT-2 parameter's gradient (both hold the tied matrix once)."""
    theirs = tiny_gpt2()
    ours = gpt_from_gpt2(theirs)
    tokens = _tokens(2, 32, 97)
    for model, logits in ((ours, ours(tokens)), (theirs, theirs(tokens).logits)):
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        torch.autograd.backward(loss)
    # The same mapping that copies weights also lays their gradients out our way.
    for parameter in theirs.parameters():
        parameter.data = parameter.grad
    expected = dict(gpt_from_gpt2(theirs).named_parameters())
    return largest(apart(p.grad, expected[name].detach()) for name, p in ours.named_parameters())


def _cached() -> float:
    """Return the largest difference between logits with and without the cache, one token at a time."""
    ours = gpt_from_llama(tiny_llama())
    tokens = _tokens(2, 40, 97)
    with torch.inference_mode():
        whole = ours(tokens)
        cache = ours.new_cache(2)
        steps = [ours(tokens[:, :9], cache=cache), *(ours(tokens[:, t : t + 1], cache=cache) for t in range(9, 40))]
    return apart(torch.cat(steps, dim=1), whole)


def _future() -> float:
    """Return how much past logits move when a later token changes."""
    ours = gpt_from_gpt2(tiny_gpt2())
    tokens = _tokens(1, 32, 97)
    changed = tokens.clone()
    changed[0, 20] = (changed[0, 20] + 1) % 97
    with torch.inference_mode():
        return apart(ours(tokens)[:, :20], ours(changed)[:, :20])


def _counts() -> float:
    """Return the largest difference between a preset's number of parameters and the published one."""
    with torch.device("meta"):  # shapes without memory
        return largest(abs(GPT(PRESETS[name]).n_parameters() - count) for name, count in PARAMETERS.items())


def _by_hand() -> float:
    """Return the largest difference between GPT from formulas written out and GPT from torch's kernels."""
    config = GPTConfig(vocab_size=97, context_length=64, d_model=48, n_layers=3, n_heads=4)
    torch.manual_seed(0)
    fused = GPT(config).eval()
    by_hand = GPT(config, fused=False).eval()
    by_hand.load_state_dict(fused.state_dict())
    with torch.inference_mode():
        return apart(by_hand(_tokens(2, 64, 97)), fused(_tokens(2, 64, 97)))


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float, why: str, *needs: str) -> Proof:
    return Proof(
        room="models", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs
    )


_WHY = "float32: the same sums in another order, through every layer"
PROOFS = (
    _proof(
        "GPT as GPT-2: logits",
        "transformers GPT2LMHeadModel",
        _logits(tiny_gpt2, gpt_from_gpt2, 64),
        1e-4,
        _WHY,
        "transformers",
    ),
    _proof("GPT as GPT-2: every gradient", "transformers GPT2LMHeadModel", _gradients, 1e-4, _WHY, "transformers"),
    _proof(
        "GPT as Llama, grouped heads: logits",
        "transformers LlamaForCausalLM",
        _logits(tiny_llama, gpt_from_llama, 64),
        1e-4,
        _WHY,
        "transformers",
    ),
    _proof(
        "GPT at 124M, random weights: logits",
        "transformers GPT2LMHeadModel",
        _logits(gpt2_124m, gpt_from_gpt2, 64),
        1e-4,
        _WHY,
        "transformers",
    ),
    _proof("GPT by hand, no fused kernel: logits", "GPT on torch's kernels", _by_hand, 1e-4, _WHY),
    _proof("GPT with its key/value cache: logits", "GPT without", _cached, 1e-4, _WHY, "transformers"),
    _proof("a later token changes: past logits", "unchanged", _future, 0.0, "a mask hides exactly", "transformers"),
    _proof("parameters of the four GPT-2 sizes", "published counts", _counts, 0.0, "counts are whole numbers"),
)
