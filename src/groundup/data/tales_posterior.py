"""What the hidden tokens of a grammar's text can be, given all others: the exact posterior, by summing derivations.

A text with gaps has as many derivations as there are ways to fill it. They are read from left to right, all at once:
two readings that have come equally far, with the same rest to expand and the same values of all words that this rest
can still read, have the same future, and go on as one. So the readings are the paths of a small graph without cycles,
whose nodes are choices and whose edges are options. The probability of all paths through an edge is what leads to it
(alpha) times its own times what follows (beta): the forward-backward algorithm (Baum et al. 1970), on a graph that is
made as it is read.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundup.data.tales_grammar import Grammar, Kind, Part
from groundup.errors import InputError
from groundup.tokenization.split import split

Posterior = dict[int, float]
"""The probability of each token that can stand in a gap."""
Scope = Mapping[str, str]


class NoReadingError(InputError):
    """No text of a grammar has the tokens that were given."""


@dataclass(frozen=True)
class Words:
    """How a tokenizer makes tokens of a text: of each word of `split` by itself, as every byte-level BPE here does."""

    encode: Callable[[str], Sequence[int]]
    """The tokens of a word."""
    spell: Callable[[int], str]
    """The text of a token."""


def posteriors(grammar: Grammar, tokens: Sequence[int | None], words: Words) -> dict[int, Posterior]:
    """Return, for each place of `tokens` that is None, the exact probability of each token there given all others.

    Args:
        grammar: what the text is one of.
        tokens: of a whole text.
        words: how texts of the grammar become tokens.

    Raises:
        NoReadingError: (an InputError) no text of the grammar has these tokens.

    Example:
        >>> from groundup.data.tales_grammar import choose
        >>> grammar = Grammar("The [pet] slept. [end]", [choose("pet", "cat", "dog"), choose("end", "Good {pet}!", "Sh!")])
        >>> vocabulary = ["The", " cat", " dog", " slept", ".", " Good", " Sh", "!"]
        >>> words = Words(lambda word: [vocabulary.index(word)], vocabulary.__getitem__)
        >>> posteriors(grammar, [0, None, 3, 4, 5, 1, 7], words)  # Good cat!
        {1: {1: 1.0}}
        >>> posteriors(grammar, [0, None, 3, 4, None, 7], words)  # without a pet it is Sh!
        {1: {1: 0.5, 2: 0.5}, 4: {6: 1.0}}
    """  # noqa: E501 - the grammar is shown whole
    reading = _Reading(grammar, tokens, words)
    first = reading.begin()
    total = 0.0 if first is None else reading.beta(first.node)
    if first is None or total == 0:
        raise NoReadingError(
            "expected the tokens of a whole text of the grammar, found others: see groundup.data.tales"
        )
    return reading.collect(first, total)


@dataclass(frozen=True)
class _Node:
    """Where a reading stands: before a choice, or at the end of the text, where `waiting` is 0."""

    place: int
    """Tokens that are read."""
    open_word: str
    """What is read of the next word, which may go on."""
    waiting: int
    """Number of the stack of parts still to be expanded, the choice on top."""
    live: tuple[str, ...]
    """Values of the words that the stack can still read, in the order of `_Stacks.live`."""


@dataclass(frozen=True)
class _Edge:
    """What one option leads to."""

    probability: float
    filled: tuple[tuple[int, int], ...]
    """Places and the tokens that it puts there, where the text has a gap."""
    node: _Node


class _Stacks:
    """Stacks of parts by number, so that equal ones are found at once; 0 is the empty one. All texts share them."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._numbers: dict[tuple[Part, int], int] = {}
        self._with: dict[tuple[tuple[Part, ...], int], int] = {}
        self.top: list[tuple[Part, int]] = [((Kind.TEXT, ""), 0)]
        self.live: list[tuple[str, ...]] = [()]
        self._read_by: dict[Part, frozenset[str]] = {}

    def push(self, parts: tuple[Part, ...], below: int) -> int:
        """Return the number of the stack with `parts` on top of stack `below`, the first of them topmost."""
        key = (parts, below)
        if key not in self._with:
            for part in reversed(parts):
                below = self._push(part, below)
            self._with[key] = below
        return self._with[key]

    def _push(self, part: Part, below: int) -> int:
        key = (part, below)
        if key not in self._numbers:
            self._numbers[key] = len(self.top)
            self.top.append(key)
            self.live.append(tuple(sorted(self._reads(part).union(self.live[below]))))
        return self._numbers[key]

    def _reads(self, part: Part) -> frozenset[str]:
        """Return every word that expanding `part` can read."""
        if part not in self._read_by:
            kind, content = part
            found = {content} if kind is Kind.WORD else set()
            if kind is Kind.CHOICE:
                choice = self._grammar.choices[content]
                found = set(choice.given).union(
                    *(self._reads(one) for option in choice.options for one in option.parts)
                )
            self._read_by[part] = frozenset(found)
        return self._read_by[part]


_stacks_of = functools.lru_cache(maxsize=4)(_Stacks)
_split = functools.lru_cache(maxsize=1 << 14)(split)


class _Reading:
    """All readings of one text."""

    def __init__(self, grammar: Grammar, tokens: Sequence[int | None], words: Words) -> None:
        self.grammar, self.tokens, self.words = grammar, tokens, words
        self.stacks = _stacks_of(grammar)
        self._edges: dict[_Node, list[_Edge]] = {}
        self._beta: dict[_Node, float] = {}
        self._done: list[_Node] = []  # each after all that follow it

    def begin(self) -> _Edge | None:
        """Return what leads to the first choice."""
        return self._advance(0, "", self.stacks.push(self.grammar.root, 0), {}, 1.0)

    def beta(self, node: _Node) -> float:
        """Return the probability of all that can follow `node` and agrees with the text."""
        if node not in self._beta:
            if node.waiting == 0:
                self._edges[node], self._beta[node] = [], 1.0
            else:
                edges = self._edges[node] = self._options(node)
                self._beta[node] = sum(edge.probability * self.beta(edge.node) for edge in edges)
            self._done.append(node)
        return self._beta[node]

    def collect(self, first: _Edge, total: float) -> dict[int, Posterior]:
        """Return the posteriors, in the order of the places."""
        found: dict[int, Posterior] = {place: {} for place, token in enumerate(self.tokens) if token is None}
        alpha = dict.fromkeys(self._done, 0.0)
        alpha[first.node] = 1.0
        mass = [(first, 1.0)]
        for node in reversed(self._done):
            for edge in self._edges[node]:
                alpha[edge.node] += alpha[node] * edge.probability
                mass.append((edge, alpha[node] * edge.probability * self._beta[edge.node] / total))
        for edge, share in mass:
            for place, token in edge.filled if share > 0 else ():
                found[place][token] = found[place].get(token, 0.0) + share
        return found

    def _options(self, node: _Node) -> list[_Edge]:
        (_, name), below = self.stacks.top[node.waiting]
        words = zip(self.stacks.live[node.waiting], node.live, strict=True)
        scope = {word: value for word, value in words if value}
        row = self.grammar.choices[name].row(scope)
        edges = []
        for option, probability in zip(row.options, row.probabilities, strict=True):
            after = {**scope, name: option.value, **option.words}
            waiting = self.stacks.push(option.parts, below)
            edge = self._advance(node.place, node.open_word, waiting, after, probability)
            if edge is not None:
                edges.append(edge)
        return edges

    def _advance(self, place: int, open_word: str, waiting: int, scope: Scope, probability: float) -> _Edge | None:
        """Read on to the next choice or to the end; None where the text says otherwise."""
        filled: list[tuple[int, int]] = []
        while waiting:
            (kind, content), below = self.stacks.top[waiting]
            if kind is Kind.CHOICE:
                live = tuple(scope.get(word, "") for word in self.stacks.live[waiting])
                return _Edge(probability, tuple(filled), _Node(place, open_word, waiting, live))
            waiting = below
            *whole, open_word = _split(open_word + (content if kind is Kind.TEXT else scope[content]))
            reached = self._match(whole, place, filled)
            if reached is None or not self._can_begin(open_word, reached):
                return None
            place = reached
        reached = self._match(_split(open_word), place, filled)
        if reached != len(self.tokens):
            return None
        return _Edge(probability, tuple(filled), _Node(reached, "", 0, ()))

    def _match(self, whole: Sequence[str], place: int, filled: list[tuple[int, int]]) -> int | None:
        """Return the place behind these words, noting what fills gaps; None where the text has other tokens."""
        for word in whole:
            for token in self.words.encode(word):
                if place == len(self.tokens) or self.tokens[place] not in (None, token):
                    return None
                if self.tokens[place] is None:
                    filled.append((place, token))
                place += 1
        return place

    def _can_begin(self, open_word: str, place: int) -> bool:
        """Tell whether a word that begins like this can be next: seen now, a wrong option costs nothing further on."""
        token = self.tokens[place] if place < len(self.tokens) else -1
        if token is None:
            return True
        spelled = self.words.spell(token) if token >= 0 else ""
        return spelled.startswith(open_word) or (spelled != "" and open_word.startswith(spelled))
