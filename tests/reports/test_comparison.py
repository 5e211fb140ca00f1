"""Two models side by side: a model beside itself is equal in everything, and every figure is what its part gives."""

import numpy as np
import pytest
import torch

from groundup.configs import GPTConfig
from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.errors import InputError
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.evaluation.text_diversity import distinct_n, repeated_share, words
from groundup.generation import generate_text
from groundup.models.gpt import GPT
from groundup.reports.comparison import CONTEXT_LENGTH, Writing, compare, predict
from groundup.reports.texts import NamedText
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.weights.pretrained import Pretrained

ALPHABET = "abcdefgh ."
PROMPTS = ["abc", "h", "cab cab"]
CONFIG = GenerationConfig(max_new_tokens=12, temperature=0.7, seed=5)
DOMAIN = NamedText(name="ours", documents=("abc abc. " * 9,))
GENERAL = NamedText(name="other", documents=("hgf ehd. " * 7,))


def a_model(seed: int, *, context_length: int = 24, tokenizer: Tokenizer | None = None, **others: object) -> Pretrained:
    torch.manual_seed(seed)
    tokenizer = CharacterTokenizer(ALPHABET) if tokenizer is None else tokenizer
    gpt = GPT(
        GPTConfig(vocab_size=tokenizer.vocab_size, context_length=context_length, d_model=16, n_layers=2, n_heads=2)
    ).eval()
    for parameter in gpt.parameters():
        parameter.data.mul_(3)  # far from uniform: seeds and models make a difference
    return Pretrained(model=gpt, tokenizer=tokenizer, source=f"model {seed}", **others)


def test_a_model_beside_itself_is_equal_in_everything():
    one = a_model(0)
    found = compare(one, one, PROMPTS, domain=DOMAIN, general=GENERAL, generation=CONFIG)
    assert found.base_writing == found.tuned_writing
    assert found.domain is not None
    assert found.general is not None
    assert found.domain.base == found.domain.tuned != found.general.base == found.general.tuned
    assert found.same_tokens


def test_two_models_differ_and_each_text_and_figure_is_its_own():
    base, tuned = a_model(0), a_model(1)
    found = compare(base, tuned, PROMPTS, domain=DOMAIN, general=GENERAL, generation=CONFIG)
    for model, writing in ((base, found.base_writing), (tuned, found.tuned_writing)):
        for prompt, text in zip(PROMPTS, writing.texts, strict=True):  # the same seed for each
            assert text == generate_text(model.model, model.tokenizer, [prompt], CONFIG)[0]
    assert found.base_writing != found.tuned_writing
    for reading, text in ((found.domain, DOMAIN), (found.general, GENERAL)):
        assert reading is not None
        assert reading.name == text.name
        for model, measured in ((base, reading.base), (tuned, reading.tuned)):
            ids = np.asarray(model.tokenizer.encode(text.text))
            lengths = byte_lengths_of(model.tokenizer)
            assert measured == evaluate_tokens(model.model, ids, context_length=24, byte_lengths=lengths)
    assert (found.base, found.tuned, found.prompts) == ("model 0", "model 1", tuple(PROMPTS))


def test_what_is_not_given_is_not_measured():
    found = compare(a_model(0), a_model(0), ["a"], generation=CONFIG)
    assert found.domain is found.general is None


def test_the_window_is_what_both_models_can_see():
    short, long = a_model(0, context_length=10), a_model(0, context_length=2 * CONTEXT_LENGTH)
    config = GenerationConfig(max_new_tokens=1)
    for base, tuned, asked, found in (
        (short, long, None, 10), (long, short, 50, 10), (long, long, None, CONTEXT_LENGTH), (long, long, 7, 7)
    ):  # fmt: skip
        assert compare(base, tuned, ["a"], generation=config, context_length=asked).context_length == found


def test_what_stands_before_every_text_stands_before_prompts_and_texts():
    plain, begun = a_model(0), a_model(0, bos=(3,))
    found = compare(plain, begun, ["a"], domain=DOMAIN, generation=GenerationConfig(max_new_tokens=1))
    assert found.domain is not None
    assert found.domain.tuned.n_tokens == found.domain.base.n_tokens + 1  # the first token is predicted, too


def test_a_beam_search_is_compared_too():
    config = GenerationConfig(strategy="beam", max_new_tokens=5, beam=BeamConfig(n_beams=2))
    one = a_model(0)
    assert compare(one, one, ["ab"], generation=config).base_writing.texts == tuple(
        generate_text(one.model, one.tokenizer, ["ab"], config)
    )


def test_different_vocabularies_are_told():
    base, tuned = a_model(0), a_model(1, tokenizer=ByteBPE([]))
    found = compare(base, tuned, ["a"], domain=DOMAIN, generation=GenerationConfig(max_new_tokens=1))
    assert not found.same_tokens


def test_what_a_model_wrote_is_counted():
    writing = Writing(texts=("a b a b", "c"), n_ended=1)
    split = [words(text) for text in writing.texts]
    assert writing.n_words == 2.5
    assert (writing.distinct(1), writing.distinct(2)) == (distinct_n(split, 1), distinct_n(split, 2)) == (0.6, 2 / 3)
    assert writing.repeated == repeated_share(split) == 0.0


def test_texts_that_end_by_themselves_are_counted():
    tokenizer = ByteBPE([], special_tokens=["<|endoftext|>"])
    model = a_model(0, tokenizer=tokenizer)
    ends = {"logit_bias": ((tokenizer.end_id, 1e9),), "max_new_tokens": 1}
    assert compare(model, model, ["a", "b"], generation=GenerationConfig(**ends)).base_writing.n_ended == 2
    never = GenerationConfig(logit_bias=((tokenizer.end_id, -1e9),), max_new_tokens=3)
    assert compare(model, model, ["a", "b"], generation=never).base_writing.n_ended == 0


def test_the_models_are_as_before():
    one = a_model(0)
    before = {name: tensor.clone() for name, tensor in one.model.state_dict().items()}
    compare(one, one, ["a"], domain=DOMAIN, generation=CONFIG)
    after = one.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("prompts", "found"), [([], "at least one prompt"), (["a", "a" * 25], "at most 24 tokens"), (["a", "x"], "'x'")]
)
def test_a_prompt_that_cannot_be_continued_is_refused_before_anything_is_drawn(prompts: list[str], found: str):
    said: list[str] = []
    with pytest.raises(InputError, match=found):
        compare(a_model(0), a_model(0), prompts, generation=CONFIG, report=said.append)
    assert said == []


def test_a_text_of_one_token_is_refused():
    with pytest.raises(InputError, match="at least 2 tokens"):
        compare(a_model(0), a_model(0), ["a"], domain=NamedText(name="one", documents=("a",)), generation=CONFIG)


def test_documents_stand_apart_behind_the_end_of_text_where_there_is_one():
    torch.manual_seed(0)
    sizes = {"vocab_size": 257, "context_length": 32, "d_model": 16, "n_layers": 2, "n_heads": 2}
    gpt = GPT(GPTConfig(**sizes, position="rotary")).eval()  # so that a document reads the same wherever it stands
    marked = ByteBPE([], special_tokens=["<|endoftext|>"])
    tales = ("One day.", "There was a cat.", "Sun")
    text = NamedText(name="tales", documents=tales)
    found = predict(Pretrained(model=gpt, tokenizer=marked, source="marked"), text, 32)
    rows = [[256, *marked.encode(tale), 256] for tale in tales]
    rows[-1].pop()  # nothing comes behind the last one
    alone = [
        evaluate_tokens(gpt, np.array(row), context_length=32, byte_lengths=byte_lengths_of(marked)) for row in rows
    ]
    assert found.n_tokens == sum(one.n_tokens for one in alone)
    assert found.n_bytes == sum(map(len, tales))  # the marks between them spell nothing
    expected = sum(one.loss * one.n_tokens for one in alone) / found.n_tokens
    assert found.loss == pytest.approx(expected, abs=1e-5)  # sums of float32 in another order
    joined = predict(Pretrained(model=gpt, tokenizer=ByteBPE([]), source="plain"), text, 32)
    assert joined.n_bytes == len("\n\n".join(tales)) - 1  # the first token is not predicted
