"""Exact entropy and expected length of a grammar's texts, by the chain rule over its choices.

The entropy of a derivation is the sum, over choices, of the expected entropy of the row drawn from (Cover and Thomas
2006, theorem 2.5.1); because a text has one derivation, this is the entropy of the text. The expected row entropy of
a choice needs only the joint distribution of the words it is given, which is found by carrying probabilities of those
words, and of what decides them, through the choices in order; all other words are summed out as they come.
"""

import math
from collections.abc import Iterable, Mapping

from groundup.data.tales_grammar import Choice, Grammar, Kind, Option

Situation = tuple[tuple[str, str], ...]
"""Words with their values, in alphabetical order; a word that is not set is absent."""


def _reached(choice: str) -> str:
    """Name the word that says that a choice is made at all; no template can hold this name."""
    return f"[{choice}]"


def _sets(choice: Choice, option: Option) -> dict[str, str]:
    """Return all words an option sets, the choices it leads to included."""
    reached = {_reached(content): "yes" for kind, content in option.parts if kind is Kind.CHOICE}
    return {choice.name: option.value, **option.words, **reached}


class Distribution:
    """Exact marginal distributions of a grammar's words."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._at_root = {_reached(content) for kind, content in grammar.root if kind is Kind.CHOICE}
        self._setters: dict[str, list[str]] = {}
        for choice in grammar.choices.values():
            words = {word for option in choice.options for word in _sets(choice, option)}
            for word in words:
                self._setters.setdefault(word, []).append(choice.name)
        self._order: list[str] = []
        for name in grammar.choices:
            self._place(name)
        self._known: dict[frozenset[str], dict[Situation, float]] = {}

    def _reads(self, name: str) -> set[str]:
        return {_reached(name), *self.grammar.choices[name].given}

    def _place(self, name: str) -> None:
        """Append `name` to the order, after every choice that decides what it reads."""
        if name not in self._order:
            for word in sorted(self._reads(name)):
                for setter in self._setters.get(word, ()):
                    self._place(setter)
            self._order.append(name)

    def joint(self, words: Iterable[str]) -> dict[Situation, float]:
        """Return the probability of every combination of values of `words`.

        Example:
            >>> from groundup.data.tales_grammar import choose
            >>> grammar = Grammar("[a][b]", [choose("a", "x", "y"), choose("b", "{a}!", "?")])
            >>> Distribution(grammar).joint(["a"])
            {(('a', 'x'),): 0.5, (('a', 'y'),): 0.5}
        """
        wanted = frozenset(words)
        if wanted not in self._known:
            self._known[wanted] = self._carry(wanted)
        return self._known[wanted]

    def _carry(self, wanted: frozenset[str]) -> dict[Situation, float]:
        # Backwards: which choices matter, and which words are still read after each of them.
        live = set(wanted)
        plan: list[tuple[Choice, frozenset[str]]] = []
        for name in reversed(self._order):
            if any(name in self._setters.get(word, ()) for word in live):
                plan.append((self.grammar.choices[name], frozenset(live)))
                live |= self._reads(name)
        # Forwards: the distribution of the live words only.
        start: Situation = tuple(sorted((word, "yes") for word in self._at_root & live))
        situations = {start: 1.0}
        for choice, kept in reversed(plan):
            following: dict[Situation, float] = {}
            for situation, mass in situations.items():
                scope = dict(situation)
                for chosen, probability in _outcomes(choice, scope):
                    after = {**scope, **chosen}
                    key = tuple(sorted((word, value) for word, value in after.items() if word in kept))
                    following[key] = following.get(key, 0.0) + mass * probability
            situations = following
        return situations

    def rows(self, choice: Choice, also: Iterable[str] = ()) -> Iterable[tuple[Mapping[str, str], float]]:
        """Yield the situations in which `choice` is made, told apart by what it is given and by the words `also`."""
        for situation, mass in self.joint({*self._reads(choice.name), *also}).items():
            scope = dict(situation)
            if _reached(choice.name) in scope:
                yield scope, mass


def _outcomes(choice: Choice, scope: Mapping[str, str]) -> Iterable[tuple[dict[str, str], float]]:
    """Return what each option of `choice` sets, with its probability; nothing where the choice is not made."""
    if _reached(choice.name) not in scope:
        return [({}, 1.0)]
    row = choice.row(scope)
    return [(_sets(choice, o), p) for o, p in zip(row.options, row.probabilities, strict=True)]


def entropy(grammar: Grammar) -> float:
    """Return the exact entropy of one text of `grammar`, in nats.

    Example:
        >>> from groundup.data.tales_grammar import choose
        >>> grammar = Grammar("[a] [b]", [choose("a", "x", "y"), choose("b", "{a}", "z", "w", "v")])
        >>> round(entropy(grammar) / math.log(2), 12)
        3.0
    """
    distribution = Distribution(grammar)
    return math.fsum(
        mass * choice.row(scope).entropy
        for choice in grammar.choices.values()
        for scope, mass in distribution.rows(choice)
    )


def expected_bytes(grammar: Grammar) -> float:
    """Return the exact expected length of one text of `grammar`, in bytes of UTF-8.

    By linearity: the sum over all parts of all templates of (probability that the part is reached) x (its length).

    Example:
        >>> from groundup.data.tales_grammar import choose
        >>> expected_bytes(Grammar("[a][b]", [choose("a", "x", "yyy"), choose("b", "{a}", "zz")]))
        4.0
    """
    distribution = Distribution(grammar)
    total = float(sum(_n_bytes(content) for kind, content in grammar.root if kind is Kind.TEXT))
    for word in [content for kind, content in grammar.root if kind is Kind.WORD]:
        total += math.fsum(
            mass * _n_bytes(dict(situation)[word]) for situation, mass in distribution.joint([word]).items()
        )
    for choice in grammar.choices.values():
        repeated = {content for option in choice.options for kind, content in option.parts if kind is Kind.WORD}
        total += _expected_text(distribution, choice)
        total += math.fsum(_expected_repeats(distribution, choice, word) for word in sorted(repeated))
    return total


def _n_bytes(text: str) -> int:
    return len(text.encode())


def _expected_text(distribution: Distribution, choice: Choice) -> float:
    """Return the expected bytes of the plain text that `choice` contributes itself."""
    total = 0.0
    for scope, mass in distribution.rows(choice):
        row = choice.row(scope)
        for option, probability in zip(row.options, row.probabilities, strict=True):
            n_bytes = sum(_n_bytes(content) for kind, content in option.parts if kind is Kind.TEXT)
            total += mass * probability * n_bytes
    return total


def _expected_repeats(distribution: Distribution, choice: Choice, word: str) -> float:
    """Return the expected bytes of all `{word}` parts of the options of `choice`."""
    total = 0.0
    for scope, mass in distribution.rows(choice, [word, choice.name]):
        option = choice.row(scope).named(scope[choice.name])
        n_repeats = option.parts.count((Kind.WORD, word))
        if n_repeats:
            total += mass * n_repeats * _n_bytes(scope[word])
    return total
