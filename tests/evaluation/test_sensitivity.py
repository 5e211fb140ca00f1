"""Sensitivity: against whole passes with one layer swapped, and the model is given back as it was."""

import pytest
import torch
from tests.evaluation.quantized_models import LLAMA, in_int4, small_model
from torch.nn import functional as F

from groundup.evaluation.layer_errors import bytes_of
from groundup.evaluation.sensitivity import replaced, sensitivities
from groundup.models.gpt import GPT
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import quantize_int4

TOKENS = torch.arange(12)


def whole_pass(before: GPT, one_swapped: GPT) -> float:
    with torch.no_grad():
        log_p, log_q = (model(TOKENS[None])[0].log_softmax(-1) for model in (before, one_swapped))
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True).item()


@pytest.mark.parametrize("parts", [{"tie_embeddings": False}, LLAMA], ids=["gpt2", "llama"])
def test_each_equals_a_whole_pass_with_this_layer_alone(parts: dict[str, object]):
    before = small_model(**parts)
    after = in_int4(before, "blocks", "output")
    table = QuantizedEmbedding(quantize_int4(before.token_embedding.weight, group_size=32))
    after.token_embedding = table
    found = sensitivities(before, after, TOKENS)
    assert len(found) == (2 * 7 if parts is LLAMA else 2 * 6 + 1) + 1
    for one in found:
        alone = in_int4(before, "none")
        alone.set_submodule(one.name, after.get_submodule(one.name))
        assert one.kl == pytest.approx(
            whole_pass(before, alone), rel=1e-3, abs=1e-7
        )  # float32 sums, whose terms cancel
        assert one.n_bytes_saved == bytes_of(before.get_submodule(one.name)) - bytes_of(after.get_submodule(one.name))
    costs = [one.kl_per_megabyte for one in found]
    assert costs == sorted(costs, reverse=True)


def test_the_text_is_cut_where_it_would_take_too_much(monkeypatch: pytest.MonkeyPatch):
    before = small_model()
    after = in_int4(before, "blocks.0.feed_forward.up")
    whole = sensitivities(before, after, TOKENS[:5])
    monkeypatch.setattr("groundup.evaluation.sensitivity.LOG_PROBABILITIES", 5 * 96)
    assert sensitivities(before, after, TOKENS) == whole


def test_an_interruption_leaves_the_model_as_it_was():
    before = small_model()
    after = in_int4(before, "blocks")
    layers = dict(before.named_modules())

    def stop(line: str) -> None:
        if line.startswith("blocks.1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sensitivities(before, after, TOKENS, report=stop)
    with pytest.raises(KeyboardInterrupt), replaced(before, {"blocks.0.feed_forward.up": torch.nn.Identity()}):
        raise KeyboardInterrupt
    assert all(module is layers[name] for name, module in before.named_modules())
    assert not any(module._forward_pre_hooks for module in before.modules())
