"""Constrained choice: the likelihoods of transformers and of a plain forward pass, wherever tokens meet the prompt."""

import math
import string
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generation.random_logits import LAW

from groundup.configs import GPTConfig
from groundup.errors import InputError
from groundup.generation import choice
from groundup.generation.choice import choose
from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama
from groundup.proofs.models import tiny_gpt2, tiny_llama
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer

LETTERS = CharacterTokenizer(string.printable[:97])
BPE = ByteBPE(
    merges=[(b"r", b"e"), (b"re", b"d"), (b" ", b"red"), (b"a", b"b"), (b" ", b"ab")], special_tokens=[END_OF_TEXT]
)
PROMPT = "The sky was"
CHOICES = [" blue", " red", " as black as a night without the moon", " r"]
texts = st.text("ab red", min_size=1, max_size=6)


def random_model(vocab_size: int = BPE.vocab_size, *, deviation: float = 0.4) -> GPT:
    """Large weights, so that likelihoods differ; float64, so that a batch and a single row agree."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=vocab_size, context_length=64, d_model=16, n_layers=2, n_heads=2)).double()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=deviation)
    return model


MODEL = random_model()
EVEN = random_model(deviation=0.0)  # every token is equally likely


def logprobs(model, ids: list[int], n_tokens: int = BPE.vocab_size) -> list[float]:
    """The log-probability of each token but the first, by one forward pass over all of them."""
    with torch.no_grad():
        out = model(torch.tensor([ids]))
    rows = (out if isinstance(out, torch.Tensor) else out.logits)[0, :-1, :n_tokens].log_softmax(-1)
    return [row[token].item() for row, token in zip(rows, ids[1:], strict=True)]


@pytest.mark.parametrize(
    ("build", "convert"), [(tiny_gpt2, gpt_from_gpt2), (tiny_llama, gpt_from_llama)], ids=["gpt2", "llama"]
)
def test_scores_equal_transformers(build, convert):
    theirs = build().double()
    chosen = choose(convert(theirs).double(), LETTERS, PROMPT, CHOICES)
    expected = [
        logprobs(theirs, LETTERS.encode(PROMPT + text), LETTERS.vocab_size)[len(PROMPT) - 1 :] for text in CHOICES
    ]
    for one, values in zip(chosen.scored, expected, strict=True):
        # 1e-5: transformers' rotary tables and norms are float32 whatever the model; sums of up to 37 terms.
        assert one.logprobs == pytest.approx(values, abs=1e-5)
        assert one.total == pytest.approx(sum(values), abs=1e-4)
    assert chosen.index == max(range(len(CHOICES)), key=lambda i: sum(expected[i]))
    assert chosen.text == CHOICES[chosen.index]


@settings(LAW, max_examples=30)
@given(texts, st.lists(texts, min_size=1, max_size=5, unique=True))
def test_scores_are_those_of_a_plain_forward_pass_over_the_whole_texts(prompt: str, choices: list[str]):
    chosen = choose(MODEL, BPE, prompt, choices)
    head = BPE.encode(prompt)
    whole = [BPE.encode(prompt + text) for text in choices]
    n_shared = next((n for n in range(len(head), 0, -1) if all(ids[:n] == head[:n] for ids in whole)), 0)
    if not n_shared:  # nothing of the prompt is left when both are encoded together
        whole, n_shared = [head + BPE.encode(text) for text in choices], len(head)
    for one, ids in zip(chosen.scored, whole, strict=True):
        assert list(one.tokens) == ids[n_shared:]
        # 1e-9: float64, the same sums in another order.
        assert one.logprobs == pytest.approx(logprobs(MODEL, ids)[n_shared - 1 :], abs=1e-9)
        assert one.n_bytes == len(BPE.decode(one.tokens))
    assert len({n - len(text) for n, text in zip([one.n_bytes for one in chosen.scored], choices, strict=True)}) == 1


def test_a_space_that_belongs_to_the_choice_is_scored_with_all_choices():
    apart, together = choose(MODEL, BPE, "a sky", [" red", " ab"]), choose(MODEL, BPE, "a sky ", ["red", "ab"])
    assert [one.tokens for one in together.scored] == [one.tokens for one in apart.scored]
    assert [one.n_bytes for one in together.scored] == [4, 3]
    mixed = choose(MODEL, BPE, "a sky ", ["red", "d"])  # only one of them joins the space
    assert [BPE.decode(one.tokens) for one in mixed.scored] == [" red", " d"]


def test_where_no_token_of_the_prompt_would_be_left_the_two_are_encoded_apart():
    assert choose(MODEL, BPE, "a", ["b", "d"]).scored[0].tokens == tuple(BPE.encode("b"))


def test_ids_as_a_prompt_and_an_empty_prompt():
    end = BPE.special_tokens[END_OF_TEXT]
    assert choose(MODEL, BPE, BPE.encode("a sky"), [" red", " ab"]) == choose(MODEL, BPE, "a sky", [" red", " ab"])
    for empty in ("", []):
        assert choose(MODEL, BPE, empty, ["red", "ab"]) == choose(MODEL, BPE, [end], ["red", "ab"])


def test_the_length_may_be_taken_out():
    choices = ["d", "dd", " red"]  # of 1, 2 and 1 tokens
    chosen = choose(EVEN, BPE, "a sky", choices, by="per_byte")
    one = math.log(BPE.vocab_size)
    assert [round(each.per_byte, 9) for each in chosen.scored] == [round(-one, 9), round(-one, 9), round(-one / 4, 9)]
    assert chosen.text == " red"
    assert choose(EVEN, BPE, "a sky", choices).text == "d"


def test_what_begins_another_is_never_less_likely_but_the_end_tells_them_apart():
    beginnings = ["b", "bd", "bdd", "bddr"]
    totals = [one.total for one in choose(MODEL, BPE, "a sky", beginnings).scored]
    assert all(a > b for a, b in pairwise(totals))
    ended = choose(MODEL, BPE, "a sky", beginnings, ends=True)
    end = BPE.special_tokens[END_OF_TEXT]
    for one, text in zip(ended.scored, beginnings, strict=True):
        ids = [*BPE.encode("a sky" + text), end]
        assert one.tokens[-1] == end
        assert one.total == pytest.approx(sum(logprobs(MODEL, ids)[4:]), abs=1e-9)
        assert one.n_bytes == len(text)


def test_of_equals_the_first_is_chosen():
    chosen = choose(EVEN, BPE, "a", ["dd", "x", "y"])
    assert (chosen.index, chosen.text) == (1, "x")
    assert chosen.scored[1].total == chosen.scored[2].total == pytest.approx(-math.log(BPE.vocab_size), abs=1e-12)


def test_the_prompt_is_read_once_and_the_rest_in_batches(monkeypatch: pytest.MonkeyPatch):
    model, read = random_model(), list[tuple[int, ...]]()
    model.dropout.register_forward_hook(lambda _, inputs, __: read.append(tuple(inputs[0].shape[:2])))
    whole = choose(model, BPE, "a sky", CHOICES)
    longest = max(len(one.tokens) for one in whole.scored)
    assert read == [(1, 5), (4, longest - 1)]
    read.clear()
    monkeypatch.setattr(choice, "TOKENS_AT_ONCE", 2 * (5 + longest))
    monkeypatch.setattr(choice, "ROWS_AT_ONCE", 3)
    parts = choose(model, BPE, "a sky", CHOICES)
    assert [rows for rows, _ in read] == [1, 2, 2]
    for one, other in zip(parts.scored, whole.scored, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-12)  # float64: a batch sums in another order


def test_ids_beyond_the_tokenizer_are_no_part_of_the_distribution():
    model = random_model(vocab_size=400)
    [one] = choose(model, BPE, "a sky", ["d"]).scored
    assert one.total == pytest.approx(logprobs(model, BPE.encode("a skyd"))[-1], abs=1e-12)


def test_a_choice_that_a_normalizer_drops_takes_the_last_token_of_the_prompt_with_it(monkeypatch: pytest.MonkeyPatch):
    encode = BPE.encode
    monkeypatch.setattr(BPE, "encode", lambda text: encode(text.rstrip()))
    assert [BPE.decode(one.tokens) for one in choose(MODEL, BPE, "sky", [" ", "d"]).scored] == ["y", "yd"]


def test_the_model_is_left_as_it_was():
    model = GPT(GPTConfig(vocab_size=BPE.vocab_size, context_length=64, d_model=16, n_layers=1, n_heads=2, dropout=0.5))
    assert choose(model, BPE, "a sky", CHOICES) == choose(model, BPE, "a sky", CHOICES)  # no dropout on the way
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("prompt", "choices", "options", "found"),
    [
        ("a", [], {}, "expected texts to choose from, found none: give at least one"),
        ("a", ["b", ""], {}, r"found an empty one \(choice 1\): leave it out"),
        ("a", ["b", "c", "b"], {}, "expected different choices, found 'b' twice"),
        ("", ["b"], {}, "found an empty one and no end-of-text token"),
        ("a", ["b"], {"ends": True}, "found a tokenizer without: leave out ends"),
        ("a" * 60, ["b", "b" * 5], {}, "at most 64 tokens together, this model's context_length, found 65: shorten"),
        ([1, 99], ["b"], {}, "expected token ids 0 … 96, found 99"),
        ("a", ["é"], {}, "'é'"),
    ],
)
def test_unusable_choices_are_refused_in_one_line(prompt, choices, options, found: str):
    with pytest.raises(InputError, match=found) as raised:
        choose(random_model(vocab_size=97), LETTERS, prompt, choices, **options)
    assert "\n" not in str(raised.value)
