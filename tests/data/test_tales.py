"""The tales: one reading each, exact numbers against sampling, and every broken back-reference caught."""

import hashlib
import itertools
import math
import random
import re
import statistics
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data import tales, tales_words
from groundup.data.tales_ambiguity import collisions, unset_words
from groundup.data.tales_story import STORY
from groundup.errors import InputError

N = 4_000


@pytest.fixture(scope="module")
def corpus():
    return list(tales.generate(seed=11, n=N))


@pytest.fixture(scope="module")
def derivations(corpus):
    return [tales.parse(tale) for tale in corpus]


def test_no_option_begins_like_another_and_words_are_set_before_use():
    assert collisions(STORY) == []
    assert unset_words(STORY) == []


def test_every_choice_and_every_option_of_it_can_be_reached(derivations):
    seen = {(choice, value) for derivation in derivations for choice, value in derivation.values.items()}
    declared = {(choice.name, option.value) for choice in STORY.choices.values() for option in choice.options}
    # The rarest option has a probability near 1/200: 4,000 tales miss it with probability e^-20.
    assert seen == declared


def test_parse_inverts_render_and_knows_the_probability(corpus, derivations):
    for k, (tale, derivation) in enumerate(zip(corpus, derivations, strict=True)):
        assert STORY.render(derivation.values) == tale
        text, log_probability = STORY.draw(random.Random(11 << 64 | k))
        assert text == tale
        assert derivation.log_probability == pytest.approx(log_probability, abs=1e-9)


def test_entropy_agrees_with_sampling(derivations):
    losses = [-derivation.log_probability for derivation in derivations]
    # The mean of N independent losses, within four standard errors.
    error = statistics.stdev(losses) / math.sqrt(N)
    assert abs(statistics.fmean(losses) - tales.entropy_per_tale()) < 4 * error
    assert error < 0.05


def test_expected_bytes_agrees_with_sampling(corpus):
    lengths = [len(tale.encode()) for tale in corpus]
    error = statistics.stdev(lengths) / math.sqrt(N)
    assert abs(statistics.fmean(lengths) - tales.expected_bytes()) < 4 * error


def test_bits_per_byte_counts_the_bytes_of_the_separator_only():
    bits = tales.entropy_per_tale() / math.log(2)
    assert tales.bits_per_byte() == pytest.approx(bits / tales.expected_bytes())
    assert tales.bits_per_byte("\n\n") == pytest.approx(bits / (tales.expected_bytes() + 2))


def test_several_megabytes_hold_no_tale_twice():
    n = 20_000  # 8 MB
    started = time.process_time()
    corpus = list(tales.generate(seed=5, n=n))
    seconds = time.process_time() - started
    # Pairs of tales, times the probability that two tales are equal, which is the mean probability of a tale.
    expected_pairs = n * (n - 1) / 2 * statistics.fmean(math.exp(tales.log_probability(t)) for t in corpus[:1_000])
    assert expected_pairs < 1e-4
    assert len(set(corpus)) == n
    n_bytes = sum(map(len, corpus))
    assert n_bytes > 7.5e6
    # Measured 640 MB/min on one core of the machine this was written on; the promise is 10.
    assert n_bytes / 1e6 / (seconds / 60) > 10


def test_tale_k_depends_on_seed_and_k_only():
    long, short = tales.generate(seed=2, n=50), tales.generate(seed=2, n=20)
    assert list(itertools.islice(long, 20)) == list(short)
    assert not set(tales.generate(seed=2, n=200)) & set(tales.generate(seed=3, n=200))


def test_the_same_tales_on_every_machine():
    # The corpus is named by its seed in recipes and records: a change of the grammar must be a decision.
    assert hashlib.sha256("\n".join(tales.generate(seed=0, n=100)).encode()).hexdigest()[:16] == "c67ef72affd87c88"


@pytest.mark.parametrize(("seed", "n"), [(-1, 1), (0, -1)])
def test_negative_seed_or_count_is_refused(seed, n):
    with pytest.raises(ValueError, match="found seed"):
        tales.generate(seed, n)


def test_a_tale_has_four_to_seven_sentences_on_one_line_of_plain_words(corpus):
    for tale in corpus:
        sentences = re.split(r"(?<=[.!])\"? (?=\"?[A-Z])", tale)
        assert 4 <= len(sentences) <= 7, sentences
        assert re.fullmatch(r"[A-Za-z ,.!\"]+", tale)
        assert tale.count('"') % 2 == 0
        assert "  " not in tale
    assert len({word for tale in corpus for word in re.findall("[A-Za-z]+", tale)}) <= 600


def test_articles_agree_with_the_word_that_follows(corpus):
    for article, word in itertools.chain.from_iterable(re.findall(r"\b([Aa]n?) (\w+)", tale) for tale in corpus):
        assert (article.lower() == "an") == (word[0] in "aeiou"), (article, word)


def test_pronouns_follow_the_name(corpus, derivations):
    heroes = {option.value: option.words["she"] for options in tales_words.HEROES.values() for option in options}
    assert list(heroes.values()).count("she") == list(heroes.values()).count("he") == 20
    for tale, derivation in zip(corpus, derivations, strict=True):
        other = r"\b(he|him|his)\b" if heroes[derivation.values["name"]] == "she" else r"\b(she|her)\b"
        assert not re.search(other, tale), tale


def test_names_begin_like_their_kinds_and_nobody_meets_a_namesake(corpus):
    heroes = {option.value for options in tales_words.HEROES.values() for option in options}
    friends = {name for names in tales_words.FRIENDS.values() for name in names}
    assert not heroes & friends
    for tale in corpus:
        named = re.findall(r"(\w)\w+ named (\w)", tale)
        assert len(named) == 2
        assert all(kind.upper() == name for kind, name in named)


def test_moods_of_different_endings_have_no_word_in_common():
    moods = [mood for moods in tales_words.MOODS.values() for mood in moods]
    assert len(moods) == len(set(moods))


def test_every_place_has_a_spot_above_and_two_below_that_take_some_known_skill():
    for place in tales_words.PLACES:
        spots = tales_words.spots(place)
        assert [len(spots["flying"]), len(spots["falling"])] == [1, 2]
        assert all(option.words["way"] in tales_words.FINDERS for options in spots.values() for option in options)


TALE = (
    "One windy morning, a brave little hedgehog named Hilda took her red scarf to the market. But a gust of wind "
    "snatched it, and the scarf got caught on the bell tower. No hedgehog can reach so high, but luckily an owl named "
    'Otto came by. "I can fly!" said Otto, who flew to the bell tower and fetched the red scarf. "Thank you, Otto!" '
    "said Hilda, who was glad. Soon after, she wore it, and Otto clapped."
)


def test_the_example_is_a_tale():
    derivation = tales.parse(TALE)
    assert derivation.values["place"] == "the market"
    assert derivation.values["outcome"] == "back"
    assert tales.is_valid(TALE)
    assert tales.log_probability(TALE) == derivation.log_probability < -25


@pytest.mark.parametrize(
    ("right", "wrong", "expected", "found"),
    [
        ("said Hilda", "said Rosa", ("Hilda",), "Rosa"),  # the hero's name
        ("took her", "took his", ("her",), "his"),  # the pronoun
        ("No hedgehog", "No tortoise", ("hedgehog",), "tortoise"),  # the kind
        ("fetched the red", "fetched the blue", ("red",), "blue"),  # the look of the thing
        ("the scarf got", "the drum got", ("scarf",), "drum"),  # the thing
        ("on the bell tower.", "on the old elm.", ("bell",), "old"),  # a spot of another place
        ("flew to the bell", "flew to the tall", ("bell",), "tall"),  # the spot
        ("an owl", "an otter", ("owl",), "otter"),  # a friend with the wrong skill
        ("can fly", "can dive", ("fly",), "dive"),  # the skill
        ("named Hilda", "named Rosa", ("Hanna", "Hilda", "Harvey", "Henry"), "Rosa"),  # a name that fits the kind
        ("an owl", "a owl", ("squirrel", "robin", "magpie"), "owl"),  # the article
        ("Thank you, Otto", "Thank you, Olga", ("Otto",), "Olga"),  # the friend's name
        ("was glad", "was sad", None, "sad"),  # the mood that follows from what happened
        ("after, she", "after, he", None, "he"),  # the pronoun again
        ("wore it", "beat it", ("wore",), "beat"),  # what one does with the thing
        ("a gust of wind snatched", "a raindrop snatched", None, "raindrop"),  # an accident that fits the weather
        ("a brave", "an brave", None, "brave"),
        ("clapped.", "clapped", ("clapped.",), "clapped"),
        ("clapped.", "clapped. The end.", ("the end of the tale",), "The"),
    ],
)
def test_one_wrong_word_is_named(right, wrong, expected, found):
    assert TALE.count(right) == 1
    text = TALE.replace(right, wrong)
    with pytest.raises(InputError) as caught:
        tales.log_probability(text)
    error = caught.value
    assert isinstance(error, tales.TaleError)
    assert not tales.is_valid(text)
    assert "\n" not in str(error)
    assert error.found == found
    if expected:
        assert error.expected == expected
    # Nothing before the place of the change is blamed, and the change itself is.
    assert TALE.index(right) <= error.offset <= TALE.index(right) + len(wrong)


def test_the_offset_is_the_first_impossible_character(corpus):
    generator = random.Random(0)
    for tale in corpus[:300]:
        place = generator.randrange(len(tale))
        broken = tale[:place] + "#" + tale[place + 1 :]
        with pytest.raises(tales.TaleError) as caught:
            tales.parse(broken)
        assert caught.value.offset == place
        with pytest.raises(tales.TaleError) as caught:
            tales.parse(tale[:place])
        assert caught.value.offset == place


@given(st.text(max_size=40), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_arbitrary_text_is_a_tale_or_a_tale_error(text, place):
    assert not tales.is_valid(text)
    mixed = TALE[:place] + text + TALE[place:]
    if text:
        with pytest.raises(tales.TaleError) as caught:
            tales.parse(mixed)
        assert min(place, len(TALE)) <= caught.value.offset <= len(mixed)


def test_two_hundred_tales_are_checked_in_a_moment(corpus):
    started = time.process_time()
    assert all(map(tales.is_valid, corpus[:200]))
    # Measured 0.05 s; the bound leaves room for a busy machine.
    assert time.process_time() - started < 2
