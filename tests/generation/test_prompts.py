"""Checked prompts: what is read, and one line for what cannot be."""

import pytest

from groundup.configs import GPTConfig
from groundup.errors import InputError
from groundup.generation.prompts import checked_prompts
from groundup.models.gpt import GPT

MODEL = GPT(GPTConfig(vocab_size=10, context_length=4, d_model=8, n_layers=1, n_heads=2))


def test_an_empty_prompt_begins_with_the_end_of_a_text():
    assert checked_prompts(MODEL, [[], [1, 2]], 3, None) == ([[3], [1, 2]], 10)
    assert checked_prompts(MODEL, [], None, 50) == ([], 10)  # no more ids than the model has


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([], "expected a prompt, found an empty one and no end-of-text token"),
        ([1] * 5, r"at most 4 tokens, this model's context_length, found 5 \(prompt 1\)"),
        ([9], r"expected token ids 0 … 8, found 9 \(prompt 1\)"),
        ([-1], r"expected token ids 0 … 8, found -1 \(prompt 1\)"),
    ],
)
def test_what_is_refused(prompt: list[int], message: str):
    with pytest.raises(InputError, match=message):
        checked_prompts(MODEL, [[1], prompt], None, 9)
