"""Posteriors of hidden tokens are what enumerating all texts gives; of tales, what trying every word gives."""

import math
import random
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.tales import generate, log_probability
from groundup.data.tales_grammar import Grammar, Kind, Option, Part, choose, depending
from groundup.data.tales_parser import TaleError
from groundup.data.tales_posterior import NoReadingError, Words, posteriors
from groundup.data.tales_story import STORY
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.bpe_training import train_bpe

# Repeats, options of unequal weight, choices inside options, words set beside, and texts of different lengths.
GRAMMAR = Grammar(
    "[who] went [where]. {she} [did]",
    [
        choose("who", Option("Ann", weight=2, words={"she": "She"}), Option("Bob", words={"she": "He"}), "[old] Cat"),
        choose("old", Option("Old", words={"she": "It"}), Option("Dear old", words={"she": "She"})),
        depending("where", "she", {"She": ["home", "to sea", "up"], "He": ["home", "up"], "It": ["up", "to sea"]}),
        choose("did", Option('sang "{where}" [often].', "sang", 3), Option("slept, {who} did.", "slept")),
        choose("often", "twice", "twice daily"),
    ],
)
BYTES = ByteBPE([(b" ", b"t"), (b"o", b"m"), (b"om", b"e")])


def words_of(tokenizer: ByteBPE) -> Words:
    return Words(cache(tokenizer.encode), cache(lambda token: tokenizer.decode([token])))


def texts_of(grammar: Grammar) -> dict[str, float]:
    """Every text with its probability: each derivation is drawn as often as chance can tell, so enumerate options."""
    found: dict[str, float] = {}

    def expand(waiting: list[Part], scope: dict[str, str], text: str, probability: float) -> None:
        if not waiting:
            found[text] = found.get(text, 0.0) + probability
            return
        (kind, content), rest = waiting[0], waiting[1:]
        if kind is not Kind.CHOICE:
            expand(rest, scope, text + (content if kind is Kind.TEXT else scope[content]), probability)
            return
        row = grammar.choices[content].row(scope)
        for option, p in zip(row.options, row.probabilities, strict=True):
            after = {**scope, content: option.value, **option.words}
            expand([*option.parts, *rest], after, text, probability * p)

    expand(list(grammar.root), {}, "", 1.0)
    return found


TEXTS = texts_of(GRAMMAR)


def test_the_enumeration_is_whole():
    assert math.fsum(TEXTS.values()) == pytest.approx(1, abs=1e-12)
    assert len(TEXTS) > 20


@given(st.data())
@settings(max_examples=25, derandomize=True, deadline=None)
def test_posteriors_are_those_of_all_texts(data):
    text = data.draw(st.sampled_from(sorted(TEXTS)))
    tokens = BYTES.encode(text)
    hidden = data.draw(st.sets(st.integers(0, len(tokens) - 1), min_size=1, max_size=len(tokens)))
    row = [None if place in hidden else token for place, token in enumerate(tokens)]
    found = posteriors(GRAMMAR, row, words_of(BYTES))
    expected: dict[int, dict[int, float]] = {place: {} for place in sorted(hidden)}
    total = 0.0
    for other, probability in TEXTS.items():
        ids = BYTES.encode(other)
        if len(ids) != len(row) or any(seen not in (None, token) for seen, token in zip(row, ids, strict=True)):
            continue
        total += probability
        for place in hidden:
            expected[place][ids[place]] = expected[place].get(ids[place], 0.0) + probability
    assert list(found) == list(expected)
    for place, posterior in found.items():
        assert posterior.keys() == expected[place].keys()
        for token, chance in posterior.items():
            # float64: the same products, summed in another order
            assert chance == pytest.approx(expected[place][token] / total, rel=1e-12)


@cache
def tale_tokenizer() -> ByteBPE:
    return train_bpe(generate(seed=1, n=300), 1_000)


def test_one_hidden_word_of_a_tale_is_what_trying_every_token_gives():
    tokenizer = tale_tokenizer()
    tale = next(generate(seed=5, n=1))
    ids = tokenizer.encode(tale)
    candidates = [token for token in range(tokenizer.vocab_size) if token not in tokenizer.special_tokens.values()]
    place = random.Random(0).randrange(len(ids))
    found = posteriors(STORY, [*ids[:place], None, *ids[place + 1 :]], words_of(tokenizer))[place]
    tried = {}
    for token in candidates:
        try:
            tried[token] = math.exp(log_probability(tokenizer.decode([*ids[:place], token, *ids[place + 1 :]])))
        except TaleError:
            continue
    total = sum(tried.values())
    assert found == pytest.approx({token: chance / total for token, chance in tried.items()}, rel=1e-9)


def test_hidden_names_and_things_are_found_where_they_come_back():
    tokenizer = tale_tokenizer()
    rng = random.Random(3)
    for tale in generate(seed=9, n=3):
        ids = tokenizer.encode(tale)
        row = [None if rng.random() < 0.3 else token for token in ids]
        for place, posterior in posteriors(STORY, row, words_of(tokenizer)).items():
            assert math.fsum(posterior.values()) == pytest.approx(1, abs=1e-9)
            assert posterior[ids[place]] > 0


def test_when_everything_is_hidden_only_the_length_is_known():
    lengths = {len(BYTES.encode(text)) for text in TEXTS}
    for length in sorted(lengths)[:2]:
        found = posteriors(GRAMMAR, [None] * length, words_of(BYTES))
        assert len(found) == length


@pytest.mark.parametrize(
    "change", [lambda ids: ids[:-1], lambda ids: [*ids, ids[0]], lambda ids: ids[::-1], lambda ids: []]
)
def test_what_is_no_text_of_the_grammar_is_refused(change):
    ids = BYTES.encode(min(TEXTS))
    with pytest.raises(NoReadingError, match="expected the tokens of a whole text of the grammar"):
        posteriors(GRAMMAR, change(ids), words_of(BYTES))


def test_readings_with_the_same_future_are_one():
    """Twenty hidden choices that nothing reads again have 2^20 fillings: enumerating them would not end here."""
    choices = [choose(f"c{i}", "a", "b") for i in range(20)]
    grammar = Grammar(" ".join(f"[c{i}]" for i in range(20)), choices)
    found = posteriors(grammar, [None] * 20, Words(lambda word: [ord(word[-1])], chr))
    assert all(posterior == {ord("a"): 0.5, ord("b"): 0.5} for posterior in found.values())
    assert len(list(product(found))) == 20
