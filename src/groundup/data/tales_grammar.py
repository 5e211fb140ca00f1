"""A probabilistic grammar whose choices may depend on earlier ones: declared once, drawn from, measured and parsed.

A text is made by expanding a template from left to right. A template holds plain text, `[choice]` (choose now, and
expand the chosen option's own template here) and `{word}` (repeat a word set by an earlier choice). An option sets the
word named like its choice to its own value, and any further words it declares. A choice reads the words named in
`given` to find the row of options it draws from, so any fact of a story can decide any later one.

Why a text has one derivation only: at every choice, no option can begin like another one (`tales_ambiguity` checks
this by expanding the beginnings). Reading from left to right, at most one option therefore fits at each choice, as with
the code words of a prefix code, and the probability of a text is the probability of its derivation.
"""

import math
import random
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import TypeVar

_MARK = re.compile(r"\[(\w+)\]|\{(\w+)\}")


class Kind(Enum):
    """What a part of a template is."""

    TEXT = "text"
    CHOICE = "choice"
    WORD = "word"


Part = tuple[Kind, str]
Key = TypeVar("Key", str, tuple[str, ...], tuple[str, str])


def parts_of(template: str) -> tuple[Part, ...]:
    """Split a template into its parts.

    Example:
        >>> [(kind.value, text) for kind, text in parts_of("a [kind] named {name}")]
        [('text', 'a '), ('choice', 'kind'), ('text', ' named '), ('word', 'name')]
    """
    parts: list[Part] = []
    end = 0
    for match in _MARK.finditer(template):
        if match.start() > end:
            parts.append((Kind.TEXT, template[end : match.start()]))
        choice, word = match.groups()
        parts.append((Kind.CHOICE, choice) if choice else (Kind.WORD, word))
        end = match.end()
    if end < len(template):
        parts.append((Kind.TEXT, template[end:]))
    return tuple(parts)


@dataclass(frozen=True)
class Option:
    """One thing a choice can become."""

    template: str
    """What it expands to."""
    value: str = ""
    """Its name in a derivation, and the word it sets. Empty: the template itself."""
    weight: float = 1.0
    """Its share of the row."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Further words it sets, for later templates and choices."""
    parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    """The template, split."""
    reversed_parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    """The same, last part first: what goes onto a stack."""

    def __post_init__(self) -> None:
        """Split the template; name the option after it where no name is given.

        Raises:
            ValueError: for an empty template, which would begin like every other.
        """
        if not self.template:
            raise ValueError(f"an option needs text, found none for {self.value!r}")
        object.__setattr__(self, "value", self.value or self.template)
        object.__setattr__(self, "parts", parts_of(self.template))
        object.__setattr__(self, "reversed_parts", self.parts[::-1])


@dataclass(frozen=True)
class Row:
    """The options of a choice in one situation, with their probabilities."""

    options: tuple[Option, ...]
    probabilities: tuple[float, ...] = field(init=False)
    log_probabilities: tuple[float, ...] = field(init=False)
    cumulative: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Turn weights into probabilities.

        Raises:
            ValueError: for an empty row, two options of one value, or a weight that is not above zero.
        """
        values = [option.value for option in self.options]
        if not values or len(set(values)) < len(values) or min(option.weight for option in self.options) <= 0:
            raise ValueError(f"a row needs options of distinct values and weights above 0, found {values}")
        total = math.fsum(option.weight for option in self.options)
        probabilities = tuple(option.weight / total for option in self.options)
        object.__setattr__(self, "probabilities", probabilities)
        object.__setattr__(self, "log_probabilities", tuple(map(math.log, probabilities)))
        # The last bound is dropped: a draw above all others means the last option, whatever was rounded.
        object.__setattr__(self, "cumulative", tuple(accumulate(probabilities))[:-1])

    @property
    def entropy(self) -> float:
        """Entropy of one draw, in nats."""
        return -math.fsum(p * math.log(p) for p in self.probabilities)

    def named(self, value: str) -> Option:
        """Return the option called `value`; KeyError if there is none."""
        for option in self.options:
            if option.value == value:
                return option
        raise KeyError(value)


@dataclass(frozen=True)
class Choice:
    """A named choice: for each value of the words in `given`, a row of options."""

    name: str
    given: tuple[str, ...]
    rows: Mapping[tuple[str, ...], Row]

    def row(self, scope: Mapping[str, str]) -> Row:
        """Return the row that the words set so far select."""
        return self.rows[tuple(scope[word] for word in self.given)]

    @property
    def options(self) -> Iterator[Option]:
        """All options of all rows."""
        return (option for row in self.rows.values() for option in row.options)


def choose(name: str, *options: Option | str) -> Choice:
    """Declare a choice that depends on nothing."""
    return Choice(name, (), {(): _row(options)})


def depending(name: str, given: str, rows: Mapping[Key, Sequence[Option] | Sequence[str]]) -> Choice:
    """Declare a choice that depends on the words named in `given` (separated by spaces).

    Example:
        >>> sky = depending("sky", "time", {"night": ["stars", "a moon"], "noon": ["a sun"]})
        >>> [option.value for option in sky.row({"time": "noon"}).options]
        ['a sun']
    """
    keyed: dict[tuple[str, ...], Row] = {}
    for key, options in rows.items():
        keyed[(key,) if isinstance(key, str) else key] = _row(options)
    return Choice(name, tuple(given.split()), keyed)


def _row(options: Iterable[Option | str]) -> Row:
    return Row(tuple(Option(option) if isinstance(option, str) else option for option in options))


class Grammar:
    """A root template and the choices it leads to.

    Example:
        >>> pet, end = choose("pet", "cat", "dog"), choose("end", "Good {pet}!", "Sh!")
        >>> grammar = Grammar("The [pet] slept. [end]", [pet, end])
        >>> text, log_probability = grammar.draw(random.Random(0))
        >>> text, math.exp(log_probability)
        ('The dog slept. Sh!', 0.25)
    """

    def __init__(self, root: str, choices: Iterable[Choice]) -> None:
        self.root = parts_of(root)
        self.choices = {choice.name: choice for choice in choices}

    def draw(self, generator: random.Random) -> tuple[str, float]:
        """Draw a text; return it with its log-probability in nats."""
        scope: dict[str, str] = {}
        pieces: list[str] = []
        log_probability = 0.0
        # Parts still to be expanded, the next one last: a stack in place of recursion, for speed.
        waiting = list(reversed(self.root))
        while waiting:
            kind, content = waiting.pop()
            if kind is Kind.TEXT:
                pieces.append(content)
            elif kind is Kind.WORD:
                pieces.append(scope[content])
            else:
                row = self.choices[content].row(scope)
                index = bisect_right(row.cumulative, generator.random())
                option = row.options[index]
                log_probability += row.log_probabilities[index]
                scope[content] = option.value
                scope.update(option.words)
                waiting.extend(option.reversed_parts)
        return "".join(pieces), log_probability

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text of the derivation in which each choice takes its value in `values`.

        Raises:
            KeyError: if a choice that is reached has no value, or none of its options is called that.
        """

        def expand(parts: tuple[Part, ...]) -> str:
            pieces = []
            for kind, content in parts:
                if kind is Kind.CHOICE:
                    option = self.choices[content].row(scope).named(values[content])
                    scope.update({content: option.value, **option.words})
                    pieces.append(expand(option.parts))
                else:
                    pieces.append(content if kind is Kind.TEXT else scope[content])
            return "".join(pieces)

        scope: dict[str, str] = {}
        return expand(self.root)
