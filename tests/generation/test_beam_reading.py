"""Reading beams: after any reordering each row predicts what a fresh reading of its text predicts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GPTConfig
from groundup.generation.beam_reading import BeamReader, reorder_rows
from groundup.models.gpt import GPT

V = 9
PROMPTS = [[1, 2, 3, 4, 5], [6, 7]]


def random_model() -> GPT:
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=V, context_length=16, d_model=16, n_layers=2, n_heads=2)).double().eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model


MODEL = random_model()


def check_fresh(reader: BeamReader) -> None:
    for row, logits in zip(reader.texts.tolist(), reader.logits, strict=True):
        text = [token for token in row if token >= 0]
        expected = MODEL(torch.tensor([text]))[0, -1]
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)  # float64, other shapes of products


@pytest.mark.parametrize("use_cache", [True, False])
@settings(deadline=None, derandomize=True, max_examples=25)
@given(data=st.data())
@torch.inference_mode()
def test_rows_that_go_on_from_others_hold_their_texts(use_cache: bool, data: st.DataObject):
    reader = BeamReader(MODEL, PROMPTS, capacity=12, n_tokens=V, kind="float" if use_cache else None)
    of = [0, 1]  # the prompt of each row
    texts = PROMPTS
    for n_beams in (3, 3, 3, data.draw(st.integers(1, 3))):
        left = data.draw(st.sampled_from([of, of, [max(of)]]))  # sometimes a prompt is done
        rows = [prompt for prompt in sorted({*left}) for _ in range(n_beams)]
        parents = [data.draw(st.sampled_from([i for i, p in enumerate(of) if p == prompt])) for prompt in rows]
        tokens = data.draw(st.lists(st.integers(0, V - 1), min_size=len(rows), max_size=len(rows)))
        reader.read(parents, tokens)
        texts = [[*texts[parent], token] for parent, token in zip(parents, tokens, strict=True)]
        assert [[token for token in row if token >= 0] for row in reader.texts.tolist()] == texts
        of = rows
    check_fresh(reader)


@torch.inference_mode()
def test_reordering_in_place_is_taking_rows_anew_and_leaves_what_they_share():
    texts = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 6, 7]])
    cache = MODEL.new_cache(3, 8)
    MODEL.hidden_states(texts, cache=cache)
    for parents in ([0, 1, 2], [1, 1, 2], [2, 0, 1], [2, 2, 2]):
        expected = cache.select_rows(parents)
        reorder_rows(cache, parents, texts)
        texts = texts[parents]
        torch.testing.assert_close(cache.keys, expected.keys, rtol=0, atol=0)
        torch.testing.assert_close(cache.values, expected.values, rtol=0, atol=0)
    cache.keys[:, 0, :, :2] = 9.0
    texts[0, 3] = 0
    reorder_rows(cache, [1, 1, 2], texts)
    assert (cache.keys[:, 0, :, :2] == 9.0).all()  # the texts begin alike, so this was not touched
    torch.testing.assert_close(cache.keys[:, 0, :, 3:], cache.keys[:, 1, :, 3:], rtol=0, atol=0)
