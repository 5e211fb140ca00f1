"""What the forward pass is said to keep is what autograd keeps."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.layers import attention, blocked_attention, chunked_cross_entropy
from groundup.layers.masks import document_mask
from groundup.models.gpt import GPT
from groundup.planning.activations import (
    BLOCK,
    FLOAT,
    LARGE,
    LOGITS_AT_ONCE,
    LOGITS_IN_A_STEP,
    LONGEST_BLOCKED,
    Load,
    Pass,
    evaluation,
    loss_and_logits,
    saved_for_backward,
)
from groundup.tasks import language_modeling

SMALL = GPTConfig(vocab_size=96, context_length=64, d_model=48, n_layers=3, n_heads=4, bias=False)
VARIANTS = {
    "plain": SMALL,
    "bias": replace(SMALL, bias=True),
    "dropout": replace(SMALL, dropout=0.2),
    "rotary": replace(SMALL, position="rotary"),
    "rms": replace(SMALL, norm="rms"),
    "swiglu": replace(SMALL, activation="swiglu"),
    "relu": replace(SMALL, activation="relu"),
    "relu squared": replace(SMALL, activation="relu_squared"),
    "grouped": replace(SMALL, n_kv_heads=2),
    "post": replace(SMALL, norm_order="post"),
    "qk norm": replace(SMALL, qk_norm=True),
    "long": replace(SMALL, context_length=256),
}
BATCH = 8


def kept(config: GPTConfig, *, bfloat16: bool, masked: bool) -> int:
    """Return the bytes of all tensors that autograd keeps besides the weights, each piece of memory once."""
    model = GPT(config).train()
    tokens = torch.randint(1, 96, (BATCH, config.context_length))
    weights = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    pieces: dict[int, int] = {}
    held: list[Tensor] = []  # else memory that is freed and taken again would count once

    def pack(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in weights:
            held.append(tensor)
            pieces[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(tokens, mask=document_mask(tokens, 0) if masked else None)
        F.cross_entropy(logits.float().flatten(0, 1), tokens.flatten(), reduction="sum")
    return sum(pieces.values())


@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # rms_norm of bfloat16 numbers with float32 weights
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_it_is_what_autograd_keeps(config: GPTConfig, bfloat16: bool, masked: bool):
    work = Pass(model=config, batch=BATCH, is_bfloat16=bfloat16, is_masked=masked)
    expected = saved_for_backward(work).total + loss_and_logits(work).total // 3  # one of the three is kept
    # exact but for the tokens themselves and the two numbers that the final norm keeps for each
    assert expected == pytest.approx(kept(config, bfloat16=bfloat16, masked=masked), rel=0.01)


def test_it_knows_what_attention_computes_in():
    assert LONGEST_BLOCKED == attention.LONGEST_BLOCKED
    assert BLOCK == blocked_attention.BLOCK


def test_it_knows_when_the_loss_goes_by_blocks():
    assert LOGITS_IN_A_STEP == language_modeling.LOGITS_IN_A_STEP
    assert LOGITS_AT_ONCE == chunked_cross_entropy.NUMBERS_AT_ONCE
    wide, wider = (
        loss_and_logits(Pass(model=replace(SMALL, vocab_size=size), batch=512)).total for size in (50_000, 100_000)
    )
    assert wider == pytest.approx(wide, rel=0.1)  # flat in the vocabulary


def test_it_grows_with_the_batch_and_not_with_the_vocabulary():
    one, two = (saved_for_backward(Pass(model=SMALL, batch=batch)).total for batch in (1, 2))
    assert two == 2 * one
    assert saved_for_backward(Pass(model=replace(SMALL, vocab_size=9_600), batch=1)).total == one


def test_large_tensors_are_told_from_small_ones():
    load = Load()
    load.add("small", 3, LARGE)
    load.add("large", 2, LARGE + 1)
    assert (load.small, load.large, load.total) == (3 * LARGE, 2 * (LARGE + 1), 5 * LARGE + 2)
    assert (load + load).parts == {"small": 6 * LARGE, "large": 4 * (LARGE + 1)}


def test_an_evaluation_scores_half_of_each_window():
    scoring = evaluation(Pass(model=SMALL, batch=4))[-1]
    assert scoring.parts["logits"] == 2 * (4 * 64 // 2) * 96 * FLOAT
