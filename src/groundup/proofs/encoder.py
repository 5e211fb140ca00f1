"""Proofs of the encoder: against transformers' BERT with the same random weights, and of its masks against counting."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskingConfig
from groundup.data.tales import generate, log_probability
from groundup.data.tales_parser import TaleError
from groundup.data.tales_posterior import Words, posteriors
from groundup.data.tales_story import STORY
from groundup.data.token_masking import hide_tokens
from groundup.models.encoder import Encoder
from groundup.proofs.compare import apart, largest, randomized
from groundup.proofs.table import Proof
from groundup.tokenization.bpe_training import train_bpe
from groundup.weights.bert import bert_tensors, encoder_from_tensors
from groundup.weights.bert_export import write_bert_config

LENGTHS = torch.tensor([40, 21, 3])
"""Real tokens of the three rows that are compared."""


def tiny_bert() -> Any:  # noqa: ANN401 - transformers is imported on use only
    """Return a small `BertForMaskedLM` with random weights, made offline."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=None,  # else what stands for padding learns nothing as an input there, even where it is text
    )
    return randomized(BertForMaskedLM(config)).eval()


def bert_base() -> Any:  # noqa: ANN401 - transformers is imported on use only
    """Return BERT at its published size with random weights."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    return BertForMaskedLM(BertConfig()).eval()


def _ours(theirs: Any) -> Encoder:  # noqa: ANN401
    tensors = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    return encoder_from_tensors(theirs.config.to_dict(), tensors, source="transformers")


def _inputs(vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, which of them are real, and segments: [3, 40] each."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(vocab_size, (3, 40), generator=generator)
    return tokens, torch.arange(40) < LENGTHS[:, None], torch.randint(2, (3, 40), generator=generator)


def _logits(build: Callable[[], Any]) -> Callable[[], float]:
    def difference() -> float:
        theirs = build()
        tokens, is_token, segments = _inputs(theirs.config.vocab_size)
        with torch.inference_mode():
            expected = theirs(tokens, attention_mask=is_token.long(), token_type_ids=segments).logits
            return apart(_ours(theirs)(tokens, is_token=is_token, segments=segments)[is_token], expected[is_token])

    return difference


def _gradients() -> float:
    """Return the largest difference of any parameter's gradient, in float64 (both hold the tied matrix once)."""
    theirs = tiny_bert()
    ours = _ours(theirs).double()
    theirs = theirs.double()
    tokens, is_token, segments = _inputs(97)
    found = ours(tokens, is_token=is_token, segments=segments)
    expected = theirs(tokens, attention_mask=is_token.long(), token_type_ids=segments).logits
    for logits in (found, expected):
        torch.autograd.backward(torch.nn.functional.cross_entropy(logits[is_token], tokens[is_token]))
    mine, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    names = [(stored.ours[0], stored.name) for stored in bert_tensors(ours.config)]
    assert len(names) == len(mine)
    return largest(apart(mine[one].grad, other[name].grad) for one, name in names)


def _saved() -> float:
    """Return how far the logits of transformers' BERT are from ours, built from the config that we write."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(1)
    config = EncoderConfig(vocab_size=97, context_length=64, d_model=48, n_layers=2, n_heads=4, activation="gelu_tanh")
    theirs = randomized(BertForMaskedLM(BertConfig(**write_bert_config(config)))).eval()
    tokens, _, segments = _inputs(97)
    with torch.inference_mode():
        return apart(_ours(theirs)(tokens, segments=segments), theirs(tokens, token_type_ids=segments).logits)


def _padding() -> float:
    """Return how much the logits of real tokens move when what stands in the padding changes."""
    model = _ours(tiny_bert())
    tokens, is_token, _ = _inputs(97)
    with torch.inference_mode():
        one, other = (model(tokens.masked_fill(~is_token, i), is_token=is_token)[is_token] for i in (3, 50))
    return apart(one, other)


def _shares() -> float:
    """Return the largest distance of the shares of hidden tokens from 15 %, and 80, 10 and 10 % of those."""
    text = np.random.default_rng(0).integers(1_000, size=200_000)
    hidden = hide_tokens([text], MaskingConfig(), key=0, mask_id=-1, ordinary=np.arange(1_000))
    true, seen = text[hidden.is_chosen], hidden.seen[hidden.is_chosen]
    kept = (seen == true).mean() - 0.0001  # one random token in a thousand is the true one
    shares = {0.15: hidden.is_chosen.mean(), 0.8: (seen == -1).mean(), 0.1: kept}
    return largest(abs(found - wanted) for wanted, found in shares.items())


def _posterior() -> float:
    """Return how far the exact posterior of a hidden word is from trying every token in its place."""
    tokenizer = train_bpe(generate(seed=1, n=150), 600)
    words = Words(cache(tokenizer.encode), cache(lambda token: tokenizer.decode([token])))
    ids = tokenizer.encode(next(generate(seed=7, n=1)))
    differences = []
    for place in (3, len(ids) // 2):
        found = posteriors(STORY, [*ids[:place], None, *ids[place + 1 :]], words)[place]
        tried = {}
        for token in range(tokenizer.vocab_size):
            try:
                tried[token] = log_probability(tokenizer.decode([*ids[:place], token, *ids[place + 1 :]]))
            except TaleError:
                continue
        scores = torch.tensor(list(tried.values()), dtype=torch.float64).softmax(0)
        expected = dict(zip(tried, scores.tolist(), strict=True))
        differences += [abs(found.get(token, 0.0) - chance) for token, chance in expected.items()]
        differences.append(abs(sum(found.values()) - 1))
    return largest(differences)


def _proof(room: str, part: str, reference: str, difference: Callable[[], float], bound: float, why: str) -> Proof:
    needs = ("transformers",) if reference.startswith("transformers") or difference is _padding else ()
    return Proof(room=room, part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs)


_WHY = "float32: the same sums in another order, through every layer"
_DOUBLE = "float64: the same sums in another order, through every layer"
PROOFS = (
    _proof("models", "Encoder as BERT: logits", "transformers BertForMaskedLM", _logits(tiny_bert), 1e-4, _WHY),
    _proof("models", "Encoder as BERT: every gradient", "transformers BertForMaskedLM", _gradients, 1e-10, _DOUBLE),
    _proof("models", "Encoder at BERT's size: logits", "transformers BertForMaskedLM", _logits(bert_base), 1e-5, _WHY),
    _proof("models", "Encoder's config, written: logits", "transformers BertForMaskedLM", _saved, 1e-4, _WHY),
    _proof("models", "padding changes: logits of real tokens", "unchanged", _padding, 0.0, "a mask hides exactly"),
    _proof(
        "data",
        "hidden tokens: 15 %, of them 80/10/10",
        "Devlin et al. 2018",
        _shares,
        0.01,
        "four deviations of 30,000 draws",
    ),
    _proof(
        "data",
        "tales: posterior of a hidden word",
        "every token tried",
        _posterior,
        1e-12,
        "float64: the same products in another order",
    ),
)
