"""Proofs of the encoder–decoder: against torch's own Transformer and Marian of transformers, and its laws."""

import math
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.configs.seq2seq import FeedForwardKind, Seq2SeqConfig
from groundup.generation.beam_search import beam_search
from groundup.generation.generate import generate
from groundup.models.conditioned import Conditioned
from groundup.models.seq2seq import Seq2Seq
from groundup.proofs.compare import apart, largest, randomized
from groundup.proofs.table import Proof
from groundup.proofs.torch_seq2seq import TorchSeq2Seq, by_our_names
from groundup.weights.marian import seq2seq_from_tensors

V_SOURCE, V_TARGET, D, H, INNER, CONTEXT = 41, 37, 24, 4, 40, 24
N_ENCODER, N_DECODER = 2, 3
LENGTHS = {"source": [9, 5, 1], "target": [7, 2, 7]}


def _tokens(side: str, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Return tokens [B, T] of rows of different lengths, and which of them are real."""
    lengths = torch.tensor(LENGTHS[side])
    generator = torch.Generator().manual_seed(len(side))
    tokens = torch.randint(vocab_size, (len(lengths), int(lengths.max())), generator=generator)
    return tokens, torch.arange(tokens.shape[1]) < lengths[:, None]


def _against_torch(norm_order: str, activation: FeedForwardKind) -> Callable[[], float]:
    """Compare logits of real tokens and the gradient of every parameter, in float64, in batches with padding."""

    def difference() -> float:
        config = _config(norm_order=norm_order, activation=activation, position="learned")
        theirs, ours = randomized(TorchSeq2Seq(config).double()), Seq2Seq(config).double()
        ours.load_state_dict(by_our_names(theirs.state_dict()))
        (source, source_real), (target, target_real) = _tokens("source", V_SOURCE), _tokens("target", V_TARGET)
        found = []
        for logits in (
            ours(source, target, source_is_token=source_real),  # what is behind a target nothing real can see
            theirs(source, target, source_real, target_real),
        ):
            found.append(logits[target_real])
            torch.autograd.backward(F.cross_entropy(found[-1], target[target_real], reduction="sum"))
        expected = by_our_names({name: p.grad for name, p in theirs.named_parameters() if p.grad is not None})
        mine = dict(ours.named_parameters())
        if mine.keys() != expected.keys():
            raise RuntimeError(f"parameters differ: {mine.keys() ^ expected.keys()}")
        gradients = (apart(p.grad, expected[name]) for name, p in mine.items())
        return largest([apart(found[0].detach(), found[1].detach()), *gradients])

    return difference


def _config(**parts: Any) -> Seq2SeqConfig:  # noqa: ANN401 - of any type
    return Seq2SeqConfig(
        **{
            "source_vocab_size": V_SOURCE,
            "target_vocab_size": V_TARGET,
            "context_length": CONTEXT,
            "d_model": D,
            "n_encoder_layers": N_ENCODER,
            "n_decoder_layers": N_DECODER,
            "n_heads": H,
            "d_ff": INNER,
            "share_embeddings": "none",
            "dropout": 0.0,
            **parts,
        }
    )


def tiny_marian(**parts: object) -> Any:  # noqa: ANN401 - transformers is imported on use only
    """Return a small `MarianMTModel` with random weights, made offline; wide ones, so that no two logits tie."""
    from transformers import MarianConfig, MarianMTModel

    sides = ("encoder", "decoder")
    config = MarianConfig(
        **{
            "vocab_size": V_TARGET,
            "max_position_embeddings": CONTEXT,
            "d_model": D,
            "encoder_layers": N_ENCODER,
            "decoder_layers": N_DECODER,
            **{f"{side}_attention_heads": H for side in sides},
            **{f"{side}_ffn_dim": INNER for side in sides},
            "dropout": 0.0,
            "activation_function": "swish",
            "scale_embedding": True,
            "pad_token_id": V_TARGET - 1,
            "decoder_start_token_id": V_TARGET - 1,
            "eos_token_id": 0,
            "forced_eos_token_id": None,
            **parts,
        }
    )
    torch.manual_seed(0)
    model = MarianMTModel(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" not in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        model.final_logits_bias += torch.randn(model.final_logits_bias.shape, generator=generator)
    return model


def seq2seq_from_marian(theirs: Any) -> Seq2Seq:  # noqa: ANN401 - transformers is not imported here
    """Return a `Seq2Seq` with the weights of a `transformers.MarianMTModel`, in evaluation mode."""
    tensors = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    return seq2seq_from_tensors(theirs.config.to_dict(), tensors, source=type(theirs).__name__)


def _marian_logits(**parts: object) -> Callable[[], float]:
    def difference() -> float:
        theirs = tiny_marian(**parts)
        ours = seq2seq_from_marian(theirs)
        (source, is_token), (target, _) = _tokens("source", V_TARGET), _tokens("target", V_TARGET)
        with torch.inference_mode():
            expected = theirs(input_ids=source, attention_mask=is_token.long(), decoder_input_ids=target).logits
            return apart(ours(source, target, source_is_token=is_token), expected)

    return difference


def _greedy() -> float:
    """Return how many greedy tokens differ; none comes twice, or random weights would write one for ever."""
    theirs = tiny_marian().double()  # float64: no rounding decides between two tokens
    config = GenerationConfig(strategy="greedy", max_new_tokens=20, no_repeat_ngram_size=1)
    writer, prompts, end_id = _begun(theirs)
    mine = generate(writer, prompts, config, end_id=end_id)
    return _n_apart(mine, _by_transformers(theirs, config).sequences)


def _beams() -> float:
    """Return how much the scores of the four best of each source differ; infinity if a token does."""
    theirs = tiny_marian().double()
    beam = BeamConfig(n_beams=4, n_best=4, length_penalty=0.6)
    config = GenerationConfig(strategy="beam", max_new_tokens=20, no_repeat_ngram_size=1, beam=beam)
    writer, prompts, end_id = _begun(theirs)
    found = [one for best in beam_search(writer, prompts, config, end_id=end_id) for one in best]
    expected = _by_transformers(theirs, config, num_beams=4, num_return_sequences=4, length_penalty=0.6)
    if _n_apart([[token for token in one.tokens if token != end_id] for one in found], expected.sequences):
        return math.inf
    return apart(torch.tensor([one.score for one in found], dtype=torch.float64), expected.sequences_scores)


def _begun(theirs: Any) -> tuple[Conditioned, list[list[int]], int]:  # noqa: ANN401 - transformers
    ours, (source, is_token) = seq2seq_from_marian(theirs).double(), _tokens("source", V_TARGET)
    with torch.inference_mode():
        writer = ours.conditioned(ours.encode(source, is_token))
    return writer, [[theirs.config.decoder_start_token_id]] * len(source), theirs.config.eos_token_id


def _by_transformers(theirs: Any, config: GenerationConfig, **how: object) -> Any:  # noqa: ANN401 - transformers
    source, is_token = _tokens("source", V_TARGET)
    settings = {"return_dict_in_generate": True, "output_scores": True, "do_sample": False, **how}
    return theirs.generate(
        source,
        attention_mask=is_token.long(),
        max_new_tokens=config.max_new_tokens,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
        **settings,
    )


def _n_apart(mine: list[list[int]], sequences: Tensor) -> int:
    """Count tokens that differ; theirs begin with their begin id, which also fills up, and end in their end id, 0."""
    theirs = [[token for token in row[1:] if token not in (row[0], 0)] for row in sequences.tolist()]
    return sum(a != b for one, other in zip(mine, theirs, strict=True) for a, b in zip_longest(one, other))


def _ours(**parts: Any) -> Seq2Seq:  # noqa: ANN401 - of any type
    model = Seq2Seq(_config(**parts)).double().eval()
    randomized(model)
    return model


def _cached() -> float:
    """Return the largest difference between logits with and without the cache, one token at a time."""
    worst = []
    for parts in ({"position": "rotary", "norm_order": "pre"}, {"output_bias": True}, {"activation": "swiglu"}):
        model = _ours(**parts)
        (source, is_token), (target, _) = _tokens("source", V_SOURCE), _tokens("target", V_TARGET)
        with torch.inference_mode():
            writer = model.conditioned(model.encode(source, is_token))
            cache = writer.new_cache(len(source))
            steps = [writer(target[:, t : t + 1], cache=cache) for t in range(target.shape[1])]
            worst.append(apart(torch.cat(steps, dim=1), model(source, target, source_is_token=is_token)))
    return largest(worst)


def _alone() -> float:
    """Return the largest difference between the logits of a padded batch and those of each row without padding."""
    model, worst = _ours(), []
    (source, is_token), (target, is_target) = _tokens("source", V_SOURCE), _tokens("target", V_TARGET)
    with torch.inference_mode():
        together = model(source, target, source_is_token=is_token)
        for row, (S, T) in enumerate(zip(is_token.sum(1), is_target.sum(1), strict=True)):
            worst.append(apart(together[row, :T], model(source[row : row + 1, :S], target[row : row + 1, :T])[0]))
    return largest(worst)


def _future() -> float:
    """Return how much earlier logits move when a later target token changes."""
    model, (source, _), (target, _) = _ours(), _tokens("source", V_SOURCE), _tokens("target", V_TARGET)
    changed = target.clone()
    changed[:, 4] = (changed[:, 4] + 1) % V_TARGET
    with torch.inference_mode():
        return apart(model(source, target)[:, :4], model(source, changed)[:, :4])


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float, why: str, *needs: str) -> Proof:
    return Proof(
        room="models", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs
    )


_DOUBLE = "float64, which rounds at 1e-16: the same sums in another order"
_SUMS = "transformers adds up log-probabilities in float32"
_TORCH, _MARIAN = "torch nn.Transformer", "transformers MarianMTModel"
_FLOAT = "float32: the same sums in another order, through every layer"
PROOFS = (
    _proof("Seq2Seq, post-norm: logits, every gradient", _TORCH, _against_torch("post", "relu"), 1e-12, _DOUBLE),
    _proof("Seq2Seq, pre-norm: logits, every gradient", _TORCH, _against_torch("pre", "gelu"), 1e-12, _DOUBLE),
    _proof("Seq2Seq as Marian: logits", _MARIAN, _marian_logits(), 1e-5, _FLOAT, "transformers"),
    _proof(
        "Seq2Seq as Marian, two vocabularies: logits",
        _MARIAN,
        _marian_logits(share_encoder_decoder_embeddings=False, vocab_size=V_TARGET + 4, decoder_vocab_size=V_TARGET),
        1e-5,
        _FLOAT,
        "transformers",
    ),
    _proof("greedy text, Marian: 3 sources", _MARIAN, _greedy, 0.0, "tokens that differ are counted", "transformers"),
    _proof("four beams, Marian: tokens and scores", _MARIAN, _beams, 1e-5, _SUMS, "transformers"),
    _proof("Seq2Seq with its cache: logits", "Seq2Seq without", _cached, 1e-12, _DOUBLE),
    _proof("Seq2Seq, padded batch: logits", "each row alone", _alone, 1e-12, _DOUBLE),
    _proof("Seq2Seq, a later token changes: past logits", "unchanged", _future, 0.0, "a mask hides exactly"),
)
