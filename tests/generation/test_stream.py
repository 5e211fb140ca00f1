"""Streams: joined steps, `generate_text` and the decoded tokens are one text; characters are never split."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import BeamConfig
from groundup.errors import InputError
from groundup.generation import Step, beam_search, generate_n_best, generate_text, stream
from groundup.generation.drafts import PromptLookup, Proposal
from groundup.generation.prefix import Prefix
from groundup.models.gpt import GPT

END = 256


class Bytes:
    """The smallest tokenizer there is: one token a byte, and an end of text."""

    vocab_size = 257
    end_id: int | None = END

    @property
    def special_tokens(self) -> dict[str, int]:
        return {} if self.end_id is None else {"<|endoftext|>": END}

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        return list(text.encode())

    def encode_iterable(self, pieces: Iterable[str]) -> Iterable[int]:
        return iter(self.encode("".join(pieces)))

    def token_bytes(self, token: int) -> bytes:
        return b"<|endoftext|>" if token == END else bytes([token])

    def decode(self, ids: Iterable[int]) -> str:
        return b"".join(self.token_bytes(token) for token in ids).decode(errors="replace")

    def save(self, path: Path) -> None:
        raise NotImplementedError


class BytesWithoutEnd(Bytes):
    """The same without an end of text."""

    end_id = None


class Reciter(torch.nn.Module):
    """Recites a text: after its k-th token comes the next one, whatever was read. Vocabulary padded to 300."""

    def __init__(self, ids: list[int], n_prompt: int) -> None:
        super().__init__()
        self.config = GPTConfig(vocab_size=300, context_length=len(ids) + n_prompt + 1)
        self.context_length = self.config.context_length
        self.vocab_size, self.device = 300, torch.device("cpu")
        self.ids, self.n_prompt = ids, n_prompt

    def hidden_states(self, tokens: torch.Tensor, *, only: torch.Tensor, cache: None = None) -> torch.Tensor:
        return only[:, None, None]  # [B, 1, 1]: the position

    def project(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(hidden), 300)
        logits[:, 257:] = 99.0  # what the tokenizer does not know is tempting
        for row, (position,) in enumerate(hidden.tolist()):
            logits[row, self.ids[position - self.n_prompt + 1]] = 9.0
        return logits


def recite(text: str | list[int], prompt: str = "p", **changes: object) -> list[Step]:
    ids = text if isinstance(text, list) else [*text.encode(), END]
    config = GenerationConfig(strategy="greedy", use_cache=False, max_new_tokens=len(ids), **changes)
    return list(stream(Reciter(ids, len(prompt.encode())), Bytes(), prompt, config))


def random_gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=260, context_length=16, d_model=16, n_layers=1, n_heads=2)).double()


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_text_is_streamed_character_by_character(text: str):
    steps = recite(text)
    assert [step.token for step in steps] == [*text.encode(), END]
    assert [step.text for step in steps if step.text] == list(text)


def test_an_emoji_appears_when_it_is_complete():
    assert [step.text for step in recite("a👍🏽!")] == ["a", "", "", "", "👍", "", "", "", "🏽", "!", ""]


def test_a_character_cut_off_by_the_length_is_marked():
    assert [step.text for step in recite([*b"a", *"€".encode()[:2]])] == ["a", "", "\N{REPLACEMENT CHARACTER}"]
    assert [step.text for step in recite([*"€".encode()[:2], END])] == ["", "", "\N{REPLACEMENT CHARACTER}"]


def test_a_stop_text_over_several_tokens_ends_the_text_and_is_not_returned():
    steps = recite("one\n\ntwo", stop=("\n\n",))
    assert [step.text for step in steps] == ["o", "n", "e", "", ""]
    assert [step.token for step in steps] == list(b"one\n\n")  # nothing is drawn after it


def test_what_only_looked_like_a_stop_text_is_given_out():
    assert [step.text for step in recite("aSTEP", stop=("STOP",))] == ["a", "", "", "STE", "P", ""]
    assert [step.text for step in recite("aST", stop=("STOP",))] == ["a", "", "", "ST"]  # the end decides
    assert [step.text for step in recite(list(b"aST"), stop=("STOP",))] == ["a", "", "ST"]  # so does the length


def test_a_stop_text_may_hold_wide_characters_and_is_not_searched_in_the_prompt():
    assert "".join(step.text for step in recite("a👍b🛑c", stop=("🛑",))) == "a👍b"
    assert "".join(step.text for step in recite("Dxyz", prompt="EN", stop=("END",))) == "Dxyz"


def test_the_end_token_is_text_when_it_does_not_end():
    ids = [*b"a", END, *b"b"]
    assert "".join(step.text for step in recite(ids, stop_at_end=False)) == "a<|endoftext|>b"
    assert "".join(step.text for step in recite(ids)) == "a"


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("strategy", ["sample", "greedy"])
def test_stream_text_and_tokens_are_one(strategy: str, use_cache: bool):
    model, tokenizer = random_gpt(), Bytes()
    config = GenerationConfig(strategy=strategy, use_cache=use_cache, max_new_tokens=60, seed=3)
    prompts = ["hello", "", "a longer one", "€"]
    texts = generate_text(model, tokenizer, prompts, config)
    for row, prompt in enumerate(prompts):
        steps = list(stream(model, tokenizer, prompt, replace(config, seed=config.seed + row)))
        assert "".join(step.text for step in steps) == texts[row]
        tokens = [step.token for step in steps]
        assert tokenizer.decode(tokens[:-1] if tokens[-1] == END else tokens) == texts[row]
        assert max(tokens) < tokenizer.vocab_size  # of the model's 260


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("abcé", min_size=1, max_size=3), max_size=3), st.integers(0, 1_000))
def test_stop_texts_cut_the_text_that_would_come_without_them(stops: list[str], seed: int):
    torch.manual_seed(1)
    model = GPT(GPTConfig(vocab_size=260, context_length=16, d_model=16, n_layers=1, n_heads=2)).double()
    with torch.no_grad():  # only these bytes: a, b, c and the two of é
        model.project = lambda hidden: torch.full((len(hidden), 260), -torch.inf).index_fill(
            1, torch.tensor([97, 98, 99, 0xC3, 0xA9]), 0.0
        )
    config = GenerationConfig(max_new_tokens=40, seed=seed)
    free = generate_text(model, Bytes(), ["x"], config)[0]
    stopped = generate_text(model, Bytes(), ["x"], replace(config, stop=tuple(stops)))[0]
    assert free.startswith(stopped)
    assert not any(stop in stopped for stop in stops)
    assert stopped == free or any(free.startswith(stopped + stop) for stop in stops)


def test_a_prompt_may_be_ids():
    model, config = random_gpt(), GenerationConfig(max_new_tokens=5)
    assert [*stream(model, Bytes(), list(b"ab"), config)] == [*stream(model, Bytes(), "ab", config)]
    assert generate_text(model, Bytes(), [list(b"ab"), "c"], config) == generate_text(
        model, Bytes(), ["ab", "c"], config
    )


def test_alternatives_come_with_each_step():
    steps = list(stream(random_gpt(), Bytes(), "x", GenerationConfig(max_new_tokens=3, n_top=2)))
    assert [len(step.top) for step in steps] == [2, 2, 2]
    assert all(step.top[0][1] >= step.logprob for step in steps)


def test_bad_prompts_are_refused_when_the_stream_is_asked_for():
    with pytest.raises(InputError, match="at most 16 tokens, this model's context_length, found 17"):
        stream(random_gpt(), Bytes(), "x" * 17, GenerationConfig())
    with pytest.raises(InputError, match="found an empty one and no end-of-text token"):
        stream(random_gpt(), BytesWithoutEnd(), "", GenerationConfig())
    assert next(stream(random_gpt(), Bytes(), "", GenerationConfig())).token < 257


def beams(**changes: Any) -> GenerationConfig:
    settings: dict[str, Any] = {"max_new_tokens": 12, "beam": BeamConfig(n_beams=4, n_best=3)}
    return GenerationConfig(strategy="beam", **(settings | changes))


def test_the_best_text_of_a_search_is_streamed_and_generated():
    model, prompts = random_gpt(), ["hello", "", "€"]
    texts = generate_text(model, Bytes(), prompts, beams())
    for prompt, text in zip(prompts, texts, strict=True):
        best = generate_n_best(model, Bytes(), prompt, beams())
        assert best[0].text == text
        assert [score for _, score in best] == sorted((score for _, score in best), reverse=True)
        assert len({one.text for one in best}) == 3
        steps = list(stream(model, Bytes(), prompt, beams(n_top=2)))
        assert "".join(step.text for step in steps) == text
        # One token a byte; the score of a text without processors is its mean log-probability.
        assert sum(step.logprob for step in steps) / len(steps) == pytest.approx(best[0].score)
        assert {len(step.top) for step in steps} == {2}


def ascii_gpt() -> GPT:
    """Draws no byte that is not a character of its own, so that any two tokens are a text."""
    model = random_gpt()
    model.project = lambda hidden: GPT.project(model, hidden).index_fill(-1, torch.arange(128, 256), -torch.inf)
    return model


def test_a_hypothesis_ends_with_a_stop_text_which_is_not_returned():
    model = ascii_gpt()
    free = generate_n_best(model, Bytes(), "x", beams())
    ids = beam_search(model, [[*b"x"]], beams(), end_id=END, vocab_size=257)[0][0].tokens
    stop = Bytes().decode(ids[4:6])
    stopped = generate_n_best(model, Bytes(), "x", beams(stop=(stop, "never")))
    assert free[0].text not in [one.text for one in stopped]
    assert not any(stop in one.text for one in stopped)
    found = list(stream(model, Bytes(), "x", beams(stop=(stop,))))
    assert Bytes().decode(step.token for step in found).removesuffix(stop) == "".join(step.text for step in found)


@pytest.mark.parametrize("strategy", ["sample", "greedy", "beam"])
def test_banned_texts_are_not_written(strategy: str):
    model = ascii_gpt()
    config = GenerationConfig(strategy=strategy, max_new_tokens=30)
    free = generate_text(model, BytesWithoutEnd(), ["x"], config)[0]
    banned = free[4:6]
    without = generate_text(model, BytesWithoutEnd(), ["x"], replace(config, banned=(banned,)))[0]
    assert banned in free
    assert banned not in without


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_a_prefix_changes_no_text(strategy: str):
    model, config = random_gpt(), GenerationConfig(strategy=strategy, max_new_tokens=5)
    prefix = Prefix(model)
    for prompt in ("ab", "abcd", "abce"):
        assert generate_text(model, Bytes(), [prompt], config, prefix=prefix) == generate_text(
            model, Bytes(), [prompt], config
        )
    assert prefix.n_reused == 3
    assert [*stream(model, Bytes(), "abce", config, prefix=prefix)] == [*stream(model, Bytes(), "abce", config)]


@pytest.mark.parametrize("draft", [random_gpt(), PromptLookup()], ids=["model", "lookup"])
@pytest.mark.parametrize("changes", [{}, {"stop": ("q", "é")}, {"banned": ("a",)}, {"n_top": 2}], ids=str)
def test_a_draft_changes_no_greedy_text(draft: GPT | PromptLookup, changes: dict[str, Any]):
    # float64 (random_gpt): several tokens are multiplied in other shapes than one, and rounding must decide none.
    model, config = random_gpt(), GenerationConfig(strategy="greedy", max_new_tokens=40, **changes)
    for n_drafted in (1, 4):
        steps = stream(model, Bytes(), "ab", config, draft=draft, n_drafted=n_drafted, prefix=Prefix(model))
        expected = stream(model, Bytes(), "ab", config)
        assert [(step.token, step.text) for step in steps] == [(step.token, step.text) for step in expected]


def test_a_draft_is_asked_and_ends_when_told():
    asked: list[int] = []

    class Counting:
        def propose(self, ids: Sequence[int], n: int) -> Proposal:
            asked.append(n)
            return Proposal([])

    drawn: list[Step] = []
    for step in stream(
        random_gpt(),
        Bytes(),
        "x",
        GenerationConfig(),
        draft=Counting(),
        n_drafted=3,
        is_stopped=lambda: len(drawn) == 3,
    ):
        drawn.append(step)
    assert len(drawn) == 3
    assert asked == [3, 3, 3]


def test_what_a_draft_cannot_do_is_refused_at_once():
    with pytest.raises(InputError, match='"greedy" with a draft, found "beam": leave one out'):
        stream(random_gpt(), Bytes(), "x", beams(), draft=PromptLookup())
    small = GPT(GPTConfig(vocab_size=100, context_length=16, d_model=16, n_layers=1, n_heads=2))
    with pytest.raises(InputError, match=r"expected a draft model with the 257 ids .* found 100"):
        stream(random_gpt(), Bytes(), "x", GenerationConfig(), draft=small)


def test_a_stream_ends_when_told():
    drawn: list[Step] = []
    for step in stream(random_gpt(), Bytes(), "x", GenerationConfig(), is_stopped=lambda: len(drawn) == 3):
        drawn.append(step)
    assert len(drawn) == 3


def test_what_a_search_refuses_is_refused_when_it_is_asked_for():
    with pytest.raises(InputError, match="at most 16 tokens, this model's context_length, found 17"):
        stream(random_gpt(), Bytes(), "x" * 17, beams())
    with pytest.raises(InputError, match="logit_bias for token ids 0 … 256, found 257"):
        stream(random_gpt(), Bytes(), "x", beams(logit_bias=((257, 1.0),)))
    with pytest.raises(InputError, match="expected strategy=\"beam\" to find the n best texts, found 'greedy'"):
        generate_n_best(random_gpt(), Bytes(), "x", GenerationConfig(strategy="greedy"))
