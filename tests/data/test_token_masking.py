"""Hidden tokens: as many, and behind what, as Devlin et al. say; whole words whole; a pure function of the key."""

import numpy as np
import pytest

from groundup.configs.masked import MaskingConfig
from groundup.data.token_masking import Hidden, hide_tokens

GAP = 99
ORDINARY = np.arange(50)
TEXTS = [np.random.default_rng(i).integers(50, size=97) for i in range(300)]


def hide(
    texts: list[np.ndarray] = TEXTS, *, words: list[np.ndarray] | None = None, key: int = 1, **fields: object
) -> Hidden:
    return hide_tokens(texts, MaskingConfig(**fields), key=key, mask_id=GAP, ordinary=ORDINARY, words=words)


def test_fifteen_of_a_hundred_are_chosen_of_which_eighty_ten_and_ten():
    tokens, hidden = np.concatenate(TEXTS), hide()
    n = len(tokens)  # 29,100
    # Four deviations of a binomial: 4 · √(0.15 · 0.85 / 29,100) = 0.0084; of about 4,400 chosen ones 0.024 and 0.018.
    assert hidden.is_chosen.mean() == pytest.approx(0.15, abs=0.0084)
    seen, true = hidden.seen[hidden.is_chosen], tokens[hidden.is_chosen]
    assert (seen == GAP).mean() == pytest.approx(0.8, abs=0.024)
    # A random token is the true one in one of 50 draws.
    assert ((seen != GAP) & (seen != true)).mean() == pytest.approx(0.1 * 49 / 50, abs=0.018)
    assert (seen == true).mean() == pytest.approx(0.1 + 0.1 / 50, abs=0.018)
    assert (hidden.seen[~hidden.is_chosen] == tokens[~hidden.is_chosen]).all()
    assert len(seen) < 0.2 * n


def test_random_tokens_are_any_ordinary_one():
    hidden = hide(mask_share=0.0, random_share=1.0, probability=1.0)
    counts = np.bincount(hidden.seen, minlength=50)
    assert len(counts) == 50
    # 29,100 draws of 50: 582 each, deviation 24.
    assert abs(counts - 582).max() < 5 * 24


def test_it_is_a_pure_function_of_the_key():
    one, same, other = hide(key=5), hide(key=5), hide(key=6)
    assert (one.seen == same.seen).all()
    assert (one.is_chosen == same.is_chosen).all()
    assert (one.is_chosen != other.is_chosen).any()


def test_the_stream_of_numbers_is_the_same_on_any_machine():
    hidden = hide([np.arange(40)], key=2**64 - 1)
    assert np.flatnonzero(hidden.is_chosen).tolist() == [8, 9, 12, 13, 16, 18, 27]
    assert hidden.seen[hidden.is_chosen].tolist() == [GAP, GAP, GAP, GAP, 16, GAP, GAP]


def test_every_text_has_a_hidden_token_however_short():
    texts = [np.array([i % 50]) for i in range(40)] + [np.arange(3)] * 40
    hidden = hide(texts, probability=0.01)
    for chosen in np.split(hidden.is_chosen, np.cumsum([len(text) for text in texts])[:-1]):
        assert chosen.any()


def test_whole_words_are_hidden_whole():
    rng = np.random.default_rng(4)
    words = [np.sort(rng.integers(30, size=97)) for _ in TEXTS]
    hidden = hide(words=words)
    # Words are about three tokens, so that chosen tokens come in clumps: the deviation is √3 times as large.
    assert hidden.is_chosen.mean() == pytest.approx(0.15, abs=0.0084 * 3**0.5)
    for of, chosen in zip(words, np.split(hidden.is_chosen, 300), strict=True):
        for word in np.unique(of):
            assert len(set(chosen[of == word])) == 1
    seen = hidden.seen[hidden.is_chosen]
    assert (seen == GAP).mean() == pytest.approx(0.8, abs=0.024)  # each token for itself


def test_all_can_be_hidden():
    hidden = hide(probability=1.0, mask_share=1.0, random_share=0.0)
    assert hidden.is_chosen.all()
    assert (hidden.seen == GAP).all()
