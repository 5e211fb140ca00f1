"""Degradation: against torch's KL divergence and plain evaluation, cases by hand, and memory that does not grow."""

import math

import numpy as np
import pytest
import torch
from tests.evaluation.quantized_models import V, in_int4, small_model, text
from torch.nn import functional as F

from groundup.errors import InputError
from groundup.evaluation import degradation
from groundup.evaluation.degradation import Degradation, compare_hidden, compare_logits
from groundup.evaluation.perplexity import evaluate_tokens
from groundup.models.gpt import GPT

BYTES = np.ones(V, dtype=np.int64)


def compared(before: GPT, after: GPT, ids: np.ndarray, **how: object) -> Degradation:
    return compare_logits(before, after, ids, context_length=16, byte_lengths=BYTES, **how)


@pytest.mark.parametrize("rows_at_once", [1, 5, 1000])
def test_equals_torch_on_all_logits_at_once(monkeypatch: pytest.MonkeyPatch, rows_at_once: int):
    monkeypatch.setattr(degradation, "LOGITS_AT_ONCE", rows_at_once * V)
    before = small_model().double()  # float64: what is left is the order of sums
    after = in_int4(before, "blocks").double()
    ids = text(17)  # one window, each token scored
    found = compared(before, after, ids)
    tokens = torch.from_numpy(ids.astype(np.int64))
    with torch.no_grad():
        one, other = before(tokens[None, :-1])[0], after(tokens[None, :-1])[0]
    log_p, log_q = one.log_softmax(-1), other.log_softmax(-1)
    kl = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True).item()
    assert found.kl == pytest.approx(kl, rel=1e-9)
    assert found.largest_logit_difference == pytest.approx((one - other).abs().max().item(), rel=1e-9)
    assert found.agreement == (one.argmax(-1) == other.argmax(-1)).double().mean().item()
    assert found.after.loss == pytest.approx(F.cross_entropy(other, tokens[1:]).item(), rel=1e-9)
    assert found.kl > 0.001


def test_both_perplexities_are_those_of_plain_evaluation():
    before = small_model()
    after, ids = in_int4(before, "blocks"), text(150)
    found = compared(before, after, ids, batch_size=3)
    for model, seen in ((before, found.before), (after, found.after)):
        plain = evaluate_tokens(model, ids, context_length=16, byte_lengths=BYTES)
        assert seen.loss == pytest.approx(plain.loss, rel=1e-6)  # float32 sums in another order
        assert (seen.n_tokens, seen.n_bytes) == (plain.n_tokens, plain.n_bytes)
    assert found.increase == pytest.approx(found.after.perplexity / found.before.perplexity - 1, rel=1e-6)


def test_by_hand_two_tokens():
    """Logits (0, 0) and (ln 3, 0): p = (1/2, 1/2), q = (3/4, 1/4), KL = ½ ln(2/3) + ½ ln 2."""

    class Fixed:
        vocab_size = 2

        def __init__(self, *logits: float) -> None:
            self.logits = torch.tensor(logits)

        def project(self, hidden: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(hidden), 2)

    hidden = torch.zeros(1, 1)
    found = compare_hidden(Fixed(0, 0), Fixed(math.log(3), 0), (hidden, hidden), torch.tensor([1]))  # type: ignore[arg-type]
    # float32 logarithms
    assert found.kl.item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), rel=1e-6)
    assert found.losses[:, 0].tolist() == pytest.approx([math.log(2), math.log(4)], rel=1e-6)
    assert found.largest == pytest.approx(math.log(3), rel=1e-6)
    assert found.agrees.item() is True  # both take the first


def test_a_model_beside_itself_differs_in_nothing():
    model = small_model()
    found = compared(model, model, text(100))
    assert (found.increase, found.kl, found.largest_logit_difference, found.agreement) == (0.0, 0.0, 0.0, 1.0)
    assert found.increase_interval == (0.0, 0.0)


def test_the_interval_is_of_pairs_and_not_of_each_model_alone():
    before = small_model()
    found = compared(before, in_int4(before, "blocks"), text(600))
    low, high = found.increase_interval
    assert low < found.increase < high
    assert high - low < 0.2  # of each alone the losses of windows differ by nats


def test_a_change_that_is_alike_everywhere_is_known_exactly():
    counts = np.array([16, 8, 8, 8, 8, 8, 8, 3])
    assert degradation._interval(0.1 * counts, counts) == pytest.approx([math.expm1(0.1)] * 2, rel=1e-12)
    assert degradation._interval(0.1 * counts[:7], counts[:7]) is None


def test_modes_come_back_and_dropout_is_off():
    before = small_model(dropout=0.5).train()
    after = in_int4(before, "blocks").train()
    assert compared(before, after, text(40)) == compared(before, after, text(40))
    assert before.training
    assert after.training
    assert after.blocks[0].training


def test_documents_are_compared_as_if_each_stood_alone():
    before = small_model()
    after, ids = in_int4(before, "blocks"), text(16) % 90
    ids[0] = ids[8] = 95
    found = compared(before, after, ids, end_id=95)
    plain = evaluate_tokens(before, ids, context_length=16, byte_lengths=BYTES, end_id=95)
    assert found.before.loss == pytest.approx(plain.loss, rel=1e-6)  # float32 sums in another order
    assert found.before.loss != compared(before, after, ids).before.loss


def test_what_cannot_be_compared_is_refused():
    model = small_model()
    with pytest.raises(InputError, match="at least 2 tokens to compare on, found 1"):
        compared(model, model, text(1))
    from groundup.configs.model import GPTConfig

    other = GPT(GPTConfig(vocab_size=5, context_length=16, d_model=8, n_layers=1, n_heads=1))
    with pytest.raises(InputError, match="one vocabulary, found 96 and 5 tokens"):
        compared(model, other, text(9))
    broken = in_int4(model, "blocks")
    broken.final_norm.weight.data.fill_(math.nan)
    with pytest.raises(InputError, match="expected finite logits"):
        compared(model, broken, text(9))


def test_perplexity_beyond_floats_is_infinite():
    found = compared(model := small_model(), model, text(9))
    from dataclasses import replace

    lost = replace(found, after=replace(found.after, loss=found.before.loss + 800))
    assert lost.increase == math.inf
