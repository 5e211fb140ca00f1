"""A decoder with its sources draws text as a GPT does: cached, uncached, in batches and alone, it writes the same."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.configs.model import GPTConfig
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.errors import InputError
from groundup.generation import beam_search, decode, generate
from groundup.generation.prefix import Prefix
from groundup.models.gpt import GPT
from groundup.models.seq2seq import Seq2Seq

EXACT = 1e-12  # float64: sums in another order
V, CONTEXT, BEGIN, END = 19, 12, 18, 5
PAPER = Seq2SeqConfig(
    source_vocab_size=V,
    target_vocab_size=V,
    context_length=CONTEXT,
    d_model=16,
    n_encoder_layers=1,
    n_decoder_layers=2,
    n_heads=4,
    begin_id=BEGIN,
)
MODERN = replace(PAPER, position="rotary", norm_order="pre", activation="swiglu", bias=False, share_embeddings="none")
LENGTHS = [7, 3, 1, 5]
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=9)
SAMPLE = GenerationConfig(max_new_tokens=9, temperature=0.8, top_p=0.95, seed=3)
BEAM = GenerationConfig(strategy="beam", max_new_tokens=8, beam=BeamConfig(n_beams=3, n_best=3))


@pytest.fixture(params=[PAPER, MODERN], ids=["paper", "modern"])
def model(request):
    """float64: batches and caches add up in other orders, which in float32 could swap two close tokens."""
    torch.manual_seed(0)
    model = Seq2Seq(request.param).double()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.1 if "embedding" in name else 0.6)
    return model.eval()


def writer_of(model, rows=range(4)):
    source = torch.randint(V, (4, 7), generator=torch.Generator().manual_seed(1))
    rows = list(rows)
    lengths = torch.tensor(LENGTHS)[rows]
    source = source[rows, : lengths.max()]
    with torch.inference_mode():
        return model.conditioned(model.encode(source, torch.arange(source.shape[1]) < lengths[:, None]))


def begun(n):
    return [[BEGIN]] * n


@pytest.mark.parametrize("config", [GREEDY, SAMPLE, BEAM], ids=["greedy", "sample", "beam"])
def test_neither_cache_nor_batch_changes_what_is_written(model, config):
    together = generate(writer_of(model), begun(4), config, end_id=END)
    assert generate(writer_of(model), begun(4), replace(config, use_cache=False), end_id=END) == together
    for row in range(4):
        alone = replace(config, seed=config.seed + row)
        assert generate(writer_of(model, [row]), begun(1), alone, end_id=END) == [together[row]]
    assert len({tuple(tokens) for tokens in together}) > 1  # they write about their sources


def test_scores_of_beams_are_those_of_the_text(model):
    writer = writer_of(model)
    found = beam_search(writer, begun(4), BEAM, end_id=END)
    for row, best in enumerate(found):
        alone = writer.select_rows([row])
        for one in best:
            with torch.inference_mode():
                logprobs = alone(torch.tensor([[BEGIN, *one.tokens[:-1]]]))[0].log_softmax(-1)
            own = logprobs[range(len(one.tokens)), one.tokens]
            assert one.logprobs == pytest.approx(own.tolist(), abs=1e-9)  # float64, other orders of sums
            assert one.score == pytest.approx(own.mean().item(), abs=1e-9)


def test_sources_are_encoded_once_and_their_keys_never_computed_again(model):
    calls, parts = [], list(model.encoder)
    for block in model.decoder:
        parts += [block.cross_attention.key, block.cross_attention.value]
    hooks = [part.register_forward_hook(lambda *_: calls.append(1)) for part in parts]
    writer = writer_of(model)
    n_calls = len(calls)
    for config in (GREEDY, BEAM, replace(GREEDY, use_cache=False)):
        generate(writer, begun(4), config, end_id=END)
    assert len(calls) == n_calls == len(parts)
    for hook in hooks:
        hook.remove()


def test_the_beams_of_a_source_share_its_keys(model):
    writer = writer_of(model)
    cache = writer.new_cache(4).select_rows([0, 0, 0, 2, 2, 2])
    assert cache.sources.layer(0)[0].shape[0] == 2
    assert cache.keys.shape[1] == 6


@pytest.mark.parametrize("config", [GREEDY, SAMPLE], ids=["greedy", "sample"])
def test_a_text_longer_than_the_context_slides_with_its_source(model, config):
    longer = replace(config, max_new_tokens=30, stop_at_end=False)
    cached = generate(writer_of(model), begun(4), longer)
    assert cached == generate(writer_of(model), begun(4), replace(longer, use_cache=False))


def test_eight_bits_and_prefixes_work_too(model):
    with_prefix = writer_of(model, [1])
    prefix = Prefix(with_prefix)
    expected = generate(writer_of(model, [1]), [[BEGIN, 4, 2]], GREEDY, end_id=END)[0]
    for prompt in ([BEGIN, 4], [BEGIN, 4, 2]):
        drawn = [one.token for [one] in decode(with_prefix, [prompt], GREEDY, end_id=END, prefix=prefix)]
    assert [token for token in drawn if token != END] == expected
    assert prefix.n_reused == 2
    rounded = generate(writer_of(model), begun(4), replace(GREEDY, cache="int8", max_new_tokens=1), end_id=END)
    assert rounded == generate(writer_of(model), begun(4), replace(GREEDY, max_new_tokens=1), end_id=END)


@torch.inference_mode()
def test_the_last_attention_is_the_heads_mean_in_the_last_layer(model):
    source = torch.randint(V, (2, 6), generator=torch.Generator().manual_seed(1))
    real, target = torch.arange(6) < torch.tensor([[6], [2]]), torch.tensor([[BEGIN, 1, 2], [BEGIN, 3, 4]])
    expected = model.cross_attention(source, target, source_is_token=real)[:, -1].mean(dim=1)  # [B, T, S]
    writer = model.conditioned(model.encode(source, real))
    cache = writer.new_cache(2, keep_attention=True)
    for t in range(3):
        writer(target[:, t : t + 1], cache=cache)
        assert (cache.last_attention - expected[:, t]).abs().max() <= EXACT
    whole = writer.new_cache(2, keep_attention=True)
    writer.hidden_states(target, cache=whole, only=torch.tensor([2, 2]))
    assert (whole.last_attention - expected[:, 2]).abs().max() <= EXACT
    beams = cache.select_rows([1, 1, 0, 0])
    writer(torch.tensor([[5], [6], [7], [8]]), cache=beams)
    assert beams.last_attention.shape == (4, 6)
    assert (beams.last_attention.sum(1) - 1).abs().max() <= EXACT
    assert beams.last_attention[:2, 2:].eq(0).all()
    silent = writer.new_cache(2)
    writer(target, cache=silent)
    assert silent.last_attention is None


def test_coverage_is_wus_equation(model):
    """Each hypothesis scores what it would without, plus β Σ log min(1, attention received), padding left out."""
    beta, writer, left_out = 0.4, writer_of(model), []
    config = replace(BEAM, beam=replace(BEAM.beam, coverage_penalty=beta))
    source = torch.randint(V, (4, 7), generator=torch.Generator().manual_seed(1))
    for row, best in enumerate(beam_search(writer, begun(4), config, end_id=END)):
        for one in best:
            with torch.inference_mode():
                written = torch.tensor([[BEGIN, *one.tokens[:-1]]])
                weights = model.cross_attention(source[row : row + 1, : LENGTHS[row]], written)[0, -1].mean(dim=0)
            covered = beta * weights.sum(dim=0).clamp(max=1.0).log().sum().item()
            expected = sum(one.logprobs) / len(one.tokens) + covered
            assert one.score == pytest.approx(expected, abs=1e-9)  # float64, other orders of sums
            left_out.append(covered)
    assert min(left_out) < 0


def test_coverage_chooses_what_leaves_less_out(model):
    plain = beam_search(writer_of(model), begun(4), BEAM, end_id=END)
    strict = replace(BEAM, beam=replace(BEAM.beam, coverage_penalty=50.0))
    found = beam_search(writer_of(model), begun(4), strict, end_id=END)
    assert [best[0].tokens for best in found] != [best[0].tokens for best in plain]
    for best in found:
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)


@pytest.mark.parametrize("changes", [{"use_cache": False}, {}])
def test_coverage_where_there_is_no_attention_to_count_is_refused(model, changes):
    config = replace(BEAM, beam=replace(BEAM.beam, coverage_penalty=0.2), **changes)
    gpt = GPT(GPTConfig(vocab_size=V, context_length=8, d_model=16, n_layers=1, n_heads=2))
    with pytest.raises(InputError, match="an encoder–decoder with a cache for coverage_penalty=0"):
        beam_search(writer_of(model, [0]) if changes else gpt, begun(1), config)


def test_as_many_rows_as_sources(model):
    writer = writer_of(model)
    with pytest.raises(ValueError, match="a cache of 4 rows, one for each source, found 3"):
        writer.new_cache(3)
    with pytest.raises(ValueError, match="as many rows as sources, found 2 and 4"):
        writer(torch.zeros(2, 1, dtype=torch.int64))


def test_drawing_leaves_the_models_mode_as_it_was(model):
    model.train()
    writer = writer_of(model)
    assert writer.training
    generate(writer, begun(4), GREEDY, end_id=END)
    assert all(module.training for module in writer.modules())
