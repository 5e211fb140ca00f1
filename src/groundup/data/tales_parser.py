"""Text back to its derivation in a grammar, or the first character that no text of the grammar can have there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from groundup.data.tales_grammar import Grammar, Kind, Part
from groundup.errors import InputError


class TaleError(InputError):
    """A text is not one of the grammar's: where it first departs, what could stand there, and what does.

    `text[:offset]` is the beginning of some valid text and `text[:offset + 1]` is not. `expected` and `found` are
    written from the start of the word in which that happens.
    """

    def __init__(self, offset: int, expected: tuple[str, ...], found: str) -> None:
        self.offset = offset
        self.expected = expected
        self.found = found
        shown = " or ".join(repr(text) for text in expected[:6]) + (" or …" if len(expected) > 6 else "")
        super().__init__(
            f"not a tale: at character {offset} expected {shown}, found {found!r}; see groundup.data.tales"
        )


@dataclass(frozen=True)
class Derivation:
    """The choices behind a text."""

    values: Mapping[str, str]
    """Name of each choice -> value of its option, in the order of the text."""
    log_probability: float
    """Natural logarithm of the probability of these choices."""


@dataclass
class _State:
    """How far a reading has come; `scope` holds the words set so far."""

    offset: int = 0
    scope: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    log_probability: float = 0.0


_TALE_END = "the end of the tale"
_TEXT_END = "the end of the text"


class _Reader:
    """One attempt at one text; remembers the furthest point that any option reached."""

    def __init__(self, grammar: Grammar, text: str) -> None:
        self.grammar = grammar
        self.text = text
        self.furthest = 0
        self.expected: dict[str, None] = {}

    def read(self, parts: tuple[Part, ...], state: _State) -> _State | None:
        """Read `parts` from `state` on; None if the text departs from them."""
        for kind, content in parts:
            if kind is Kind.CHOICE:
                following = self._choose(content, state)
                if following is None:
                    return None
                state = following
            else:
                literal = content if kind is Kind.TEXT else state.scope[content]
                if not self.text.startswith(literal, state.offset):
                    self.missed(literal, state.offset)
                    return None
                state = _State(state.offset + len(literal), state.scope, state.values, state.log_probability)
        return state

    def _choose(self, name: str, state: _State) -> _State | None:
        row = self.grammar.choices[name].row(state.scope)
        for option, log_probability in zip(row.options, row.log_probabilities, strict=True):
            kind, literal = option.parts[0]
            # Most options fail on their first letters: spare them the copies below.
            if kind is Kind.TEXT and not self.text.startswith(literal, state.offset):
                self.missed(literal, state.offset)
                continue
            attempt = _State(
                state.offset,
                {**state.scope, name: option.value, **option.words},
                {**state.values, name: option.value},
                state.log_probability + log_probability,
            )
            reached = self.read(option.parts, attempt)
            # No two options begin alike, so the first that fits is the only one.
            if reached is not None:
                return reached
        return None

    def missed(self, literal: str, start: int) -> None:
        """Note that `literal` was expected at `start`, where the text has something else."""
        agreed = 0
        while start + agreed < len(self.text) and self.text[start + agreed] == literal[agreed]:
            agreed += 1
        place = start + agreed
        if place > self.furthest:
            self.furthest = place
            self.expected.clear()
        if place == self.furthest:
            begin = _word_start(self.text, place)
            self.expected[_word(self.text[begin:start] + literal[max(begin - start, 0) :], place - begin)] = None

    def error(self) -> TaleError:
        """Describe the furthest failure."""
        start = _word_start(self.text, self.furthest)
        found = _word(self.text[start:], self.furthest - start)
        return TaleError(self.furthest, tuple(self.expected), found or _TEXT_END)


def _word_start(text: str, place: int) -> int:
    return text.rfind(" ", 0, place) + 1


def _word(text: str, place: int) -> str:
    """Cut `text` after the word, or else the single character, at `place`."""
    end = place
    while text[end : end + 1].isalpha():
        end += 1
    return text[: max(end, place + 1)].strip()


def parse_with(grammar: Grammar, text: str) -> Derivation:
    """Return the one derivation of `text` in `grammar`.

    Raises:
        TaleError: with the first character at which the text departs from every text of the grammar.

    Example:
        >>> from groundup.data.tales_grammar import choose
        >>> grammar = Grammar("The [pet] slept. [end]", [choose("pet", "cat", "dog"), choose("end", "Good {pet}!", "Sh!")])
        >>> parse_with(grammar, "The cat slept. Good cat!").values
        {'pet': 'cat', 'end': 'Good {pet}!'}
        >>> parse_with(grammar, "The cat slept. Good dog!")
        Traceback (most recent call last):
        groundup.data.tales_parser.TaleError: not a tale: at character 20 expected 'cat', found 'dog'; see groundup.data.tales
    """  # noqa: E501 - the message is shown whole
    reader = _Reader(grammar, text)
    state = reader.read(grammar.root, _State())
    if state is None:
        raise reader.error()
    if state.offset < len(text):
        raise TaleError(state.offset, (_TALE_END,), _word(text[state.offset :], 1))
    return Derivation(state.values, state.log_probability)
