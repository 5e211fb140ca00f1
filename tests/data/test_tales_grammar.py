"""The engine of the tales on grammars small enough to enumerate: probabilities sum to 1, entropy equals brute force."""

import math
import random
from collections import Counter

import pytest

from groundup.data.tales_ambiguity import collisions, unset_words
from groundup.data.tales_entropy import Distribution, entropy, expected_bytes
from groundup.data.tales_grammar import Choice, Grammar, Kind, Option, Row, choose, depending
from groundup.data.tales_parser import TaleError, parse_with
from groundup.data.tales_story import STORY

# Optional branches, dependence on a further word, dependence on two words, a word set in two places, two orders.
SMALL = Grammar(
    "[order] [weather] and [end]. ({sort})",
    [
        choose("order", Option("[pet] saw [food]", "a", 3), Option("[food]? asked [pet]", "b", 1)),
        choose(
            "pet",
            Option("Ann", "Ann", 2, {"sort": "cat"}),
            Option("Bo", "Bo", 1, {"sort": "dog"}),
            Option("Édith", "Édith", 1, {"sort": "cat"}),
        ),
        choose("food", "milk", "meat"),
        choose("weather", Option("in rain with [shelter]", "rain", 1), Option("in sun", "sun", 2, {"roof": "sky"})),
        choose(
            "shelter",
            Option("a house", words={"roof": "thatch"}),
            Option("an umbrella", weight=4, words={"roof": "silk"}),
        ),
        depending(
            "end",
            "sort roof",
            {
                (s, r): [Option(f"{s} likes {{pet}} {{pet}}", "x"), Option(f"under {{roof}} {w}", "y", w)]
                for s in ("cat", "dog")
                for r, w in (("thatch", 1), ("silk", 2), ("sky", 5))
            },
        ),
    ],
)


def derivations(grammar):
    """Yield (text, probability) of every derivation: an independent, exhaustive expansion."""

    def expand(parts, scope):
        if not parts:
            yield "", scope, 1.0
            return
        (kind, content), rest = parts[0], parts[1:]
        if kind is not Kind.CHOICE:
            heads = [(content if kind is Kind.TEXT else scope[content], scope, 1.0)]
        else:
            row = grammar.choices[content].row(scope)
            total = sum(option.weight for option in row.options)
            heads = [
                (text, after, option.weight / total * probability)
                for option in row.options
                for text, after, probability in expand(option.parts, {**scope, content: option.value, **option.words})
            ]
        for text, after, probability in heads:
            for tail, last, more in expand(rest, after):
                yield text + tail, last, probability * more

    for text, _, probability in expand(grammar.root, {}):
        yield text, probability


def test_every_derivation_has_its_own_text_and_they_sum_to_one():
    texts, probabilities = zip(*derivations(SMALL), strict=True)
    assert len(set(texts)) == len(texts) == 3 * 2 * 2 * 3 * 2
    assert math.fsum(probabilities) == pytest.approx(1, abs=1e-14)


def test_entropy_and_length_equal_brute_force():
    pairs = list(derivations(SMALL))
    assert entropy(SMALL) == pytest.approx(-math.fsum(p * math.log(p) for _, p in pairs), rel=1e-13)
    assert expected_bytes(SMALL) == pytest.approx(math.fsum(p * len(t.encode()) for t, p in pairs), rel=1e-13)


@pytest.mark.parametrize(
    "free",
    [
        {"opening", "time", "kind", "plot", "harm", "outcome", "joy", "mood"},
        {"plot", "conscience", "weather", "harm", "cause", "finale", "dream", "finder", "place"},
        {"plot", "name", "thing", "cause", "spot", "time"},
    ],
)
def test_on_parts_of_the_story_small_enough_to_enumerate(free):
    """All other choices are pinned to one random option a row; what is left sums to 1, and has the entropy computed."""
    generator = random.Random(4)

    def pin(choice):
        if choice.name in free:
            return choice
        rows = {key: Row((generator.choice(row.options),)) for key, row in choice.rows.items()}
        return Choice(choice.name, choice.given, rows)

    part = Grammar("[opening][plot]", map(pin, STORY.choices.values()))
    pairs = list(derivations(part))
    assert 200 < len(pairs) == len({text for text, _ in pairs})
    assert math.fsum(p for _, p in pairs) == pytest.approx(1, abs=1e-12)
    assert entropy(part) == pytest.approx(-math.fsum(p * math.log(p) for _, p in pairs), rel=1e-12)
    assert expected_bytes(part) == pytest.approx(math.fsum(p * len(t.encode()) for t, p in pairs), rel=1e-12)


def test_parse_gives_the_probability_of_the_enumeration_and_renders_back():
    for text, probability in derivations(SMALL):
        derivation = parse_with(SMALL, text)
        assert math.exp(derivation.log_probability) == pytest.approx(probability, rel=1e-13)
        assert SMALL.render(derivation.values) == text


def test_draws_follow_the_probabilities():
    generator = random.Random(0)
    n = 20_000
    counts = Counter(SMALL.draw(generator)[0] for _ in range(n))
    expected = dict(derivations(SMALL))
    chi_squared = sum((counts[text] - n * p) ** 2 / (n * p) for text, p in expected.items())
    # 71 degrees of freedom: mean 71, standard deviation sqrt(142) = 12; five of them is never reached by chance.
    assert chi_squared < 71 + 5 * 12


def test_draw_reports_the_log_probability_that_parse_finds():
    generator = random.Random(1)
    for _ in range(200):
        text, log_probability = SMALL.draw(generator)
        assert parse_with(SMALL, text).log_probability == pytest.approx(log_probability, abs=1e-12)


def test_joint_distribution_is_normalised_and_marks_absent_words():
    joint = Distribution(SMALL).joint(["shelter", "order"])
    assert math.fsum(joint.values()) == pytest.approx(1, abs=1e-14)
    assert joint[(("order", "a"),)] == pytest.approx(3 / 4 * 2 / 3)
    assert joint[(("order", "b"), ("shelter", "an umbrella"))] == pytest.approx(1 / 4 * 1 / 3 * 4 / 5)


def test_the_furthest_reading_is_reported_with_all_that_could_follow():
    with pytest.raises(TaleError) as caught:
        parse_with(SMALL, "Ann saw mead")
    assert (caught.value.offset, caught.value.expected, caught.value.found) == (11, ("meat",), "mead")
    with pytest.raises(TaleError) as caught:
        parse_with(SMALL, "Ann saw ")
    assert (caught.value.offset, caught.value.expected, caught.value.found) == (
        8,
        ("milk", "meat"),
        "the end of the text",
    )
    text = next(derivations(SMALL))[0]
    with pytest.raises(TaleError) as caught:
        parse_with(SMALL, text + " More")
    assert (caught.value.offset, caught.value.expected, caught.value.found) == (
        len(text),
        ("the end of the tale",),
        "More",
    )


def test_a_grammar_that_can_be_read_in_two_ways_is_found_out():
    assert collisions(SMALL) == []
    twice = Grammar("[a][b]", [choose("a", "x", "xy"), choose("b", "yz", "z")])
    assert collisions(twice) == ["a: 'x' begins like 'xy'"]
    hidden = Grammar(
        "[a]", [choose("a", Option("[b] x", "first"), Option("red y", "second")), choose("b", "red", "red y")]
    )
    assert any("first" in line for line in collisions(hidden))


def test_words_read_before_they_are_set_or_set_twice_are_found_out():
    assert unset_words(SMALL) == []
    late = Grammar("[a][b]", [depending("a", "b", {"x": ["y"]}), choose("b", "x")])
    assert unset_words(late) == ["a depends on b, which may not be set"]
    double = Grammar("[a][b]", [choose("a", "x"), choose("b", Option("y", words={"a": "z"}))])
    assert unset_words(double) == ["b sets ['a'] a second time"]


@pytest.mark.parametrize("options", [[], ["x", "x"], [Option("x", weight=0.0)]])
def test_impossible_rows_are_refused(options):
    with pytest.raises(ValueError, match="distinct values and weights above 0"):
        choose("a", *options)


def test_an_option_without_text_is_refused():
    with pytest.raises(ValueError, match="needs text"):
        Option("", "nothing")
