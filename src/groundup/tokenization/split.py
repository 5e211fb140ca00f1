"""GPT-2's pattern that splits a text into words, and the places where a text may be cut without changing the split."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import regex

from groundup.tokenization.base import check_text

# Letters and numbers that Unicode added after version 16. The engines inside `tiktoken` and `tokenizers` do not know
# them yet, the `regex` library does; without this list the three would split a text with such characters differently.
_AFTER_UNICODE_16 = (
    r"\u0558\u058B-\u058C\u088F\u0C5C\u0CDC\u208F\u209D-\u209F\uA7CE-\uA7CF\uA7D2\uA7D4\uA7DD-\uA7F1\uAB6C-\uAB6D"
    r"\U000107BB-\U000107BF\U00010940-\U00010959\U00010EC5-\U00010EEE\U00011B0A\U00011DB0-\U00011DF1"
    r"\U0001246F-\U0001247F\U00012550-\U00012686\U00016EA0-\U00016ED3\U00016FF2-\U00016FF6\U000187F8-\U000187FF"
    r"\U00018CD6-\U00018CDA\U00018D09-\U000191D2\U0001B123-\U0001B128\U0001B168\U0001D6A6\U0001DF1F-\U0001DF24"
    r"\U0001DF2B-\U0001DFFF\U0001E6C0-\U0001E6FF\U0002B73A-\U0002B73F\U0002B81E\U0002CEA2-\U0002CEAD"
    r"\U000323B0-\U0003FC3F"
)
_LETTER = rf"[\p{{L}}--[{_AFTER_UNICODE_16}]]"
_NUMBER = rf"[\p{{N}}--[{_AFTER_UNICODE_16}]]"
_OTHER = rf"[[^\s\p{{L}}\p{{N}}]||[{_AFTER_UNICODE_16}]]"


def _word_pattern(letter: str, number: str, other: str) -> str:
    """Radford et al. 2019, section 2.2: merges never cross from letters to numbers or punctuation.

    In order: an English contraction; a run of letters, of numbers, of other visible characters, each with one space
    before it; white space up to the space that belongs to the next word; any other white space.
    """
    return rf"'(?:[sdmt]|ll|ve|re)| ?{letter}+| ?{number}+| ?{other}+|\s+(?!\S)|\s+"


GPT2_PATTERN = _word_pattern(r"\p{L}", r"\p{N}", r"[^\s\p{L}\p{N}]")
"""GPT-2's pattern as published, for engines with their own idea of a letter."""

_WORD = regex.compile(_word_pattern(_LETTER, _NUMBER, _OTHER), regex.V1)

SPACES = regex.compile(r"(?r)(?<=\S)(?=\s)")
"""Places before white space: the coarser choice for `safe_pieces`, one that never falls inside a visible word."""

# Where a run has certainly ended: after a letter or a number comes something else, or white space begins. No
# alternative of _WORD matches across such a place, and none looks past it. (?r) searches from the end of the text.
_RUN_ENDS = regex.compile(
    rf"(?r)(?<={_LETTER})(?!{_LETTER})(?=[\s\S])|(?<={_NUMBER})(?!{_NUMBER})(?=[\s\S])|(?<=\S)(?=\s)",
    regex.V1,
)

_ENOUGH = 1 << 16  # characters worth handing on: large enough that the cost of a cut vanishes


def split(text: str) -> list[str]:
    r"""Return the words of `text`, which joined are `text` again. Merges stay inside a word.

    Example:
        >>> split("It's 10 o'clock.\n  Go!")
        ['It', "'s", ' 10', ' o', "'", 'clock', '.', '\n ', ' Go', '!']
    """
    words: list[str] = _WORD.findall(text)
    return words


def safe_pieces(pieces: Iterable[str], places: "regex.Pattern[str]" = _RUN_ENDS) -> Iterator[str]:
    """Cut a stream of text anew, at places where each piece splits into the words it has in the whole.

    So split(a + b + …) == split(a) + split(b) + … for the pieces a, b, … that come out. Memory stays near the longest
    piece that comes in (at least 64 thousand characters), unless the text has a longer stretch with no such place.

    Raises:
        InputError: a piece is not valid Unicode text.

    Example:
        >>> list(safe_pieces(["one tw", "o three"]))  # so short a text stays whole
        ['one two three']
    """
    held: list[str] = []
    n_held, wanted = 0, _ENOUGH
    for piece in pieces:
        check_text(piece)
        held.append(piece)
        n_held += len(piece)
        if n_held < wanted:
            continue
        text = "".join(held)
        place = places.search(text)
        cut = place.start() if place else 0
        if cut:
            yield text[:cut]
        held, n_held = [text[cut:]], len(text) - cut
        wanted = max(_ENOUGH, 2 * n_held)  # doubling: a stretch with no place to cut is searched a few times only
    if n_held:
        yield "".join(held)


def special_pattern(special_tokens: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern whose `split` gives ordinary text and special tokens in turn; the longest token wins.

    Example:
        >>> special_pattern(["<|a|>", "<|a|><|b|>"]).split("x<|a|><|b|>y<|a|>")
        ['x', '<|a|><|b|>', 'y', '<|a|>', '']
    """
    longest_first = sorted(special_tokens, key=len, reverse=True)
    # With no special tokens the pattern must match nowhere: (?!) never does.
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")" if longest_first else "((?!))")


def encode_special(text: str, special_tokens: Mapping[str, int], encode: Callable[[str], list[int]]) -> list[int]:
    """Return the ids of `text` in which special tokens count as such, and `encode` gives the ids of the rest."""
    ids: list[int] = []
    for place, part in enumerate(special_pattern(special_tokens).split(text)):
        is_special = place % 2
        ids += [special_tokens[part]] if is_special else encode(part)
    return ids
