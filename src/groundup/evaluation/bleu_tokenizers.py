"""How BLEU cuts a line into tokens: the five ways of sacrebleu that need no dictionary and no download.

Two people's BLEU can be compared only if both cut alike, so these are cut exactly as the field's scripts do, oddities
included: 13a is WMT's mteval-v13a.pl, intl its successor mteval-v14.pl, zh sets Chinese characters apart first.
"""

import re
from collections.abc import Callable
from functools import lru_cache

import regex

from groundup.errors import InputError

_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WESTERN = (
    (re.compile(r"([!-&(-+/:-@\[-`{-~])"), r" \1 "),  # ASCII punctuation but ' , - .
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # . and , unless they stand between digits: 3.14, 10,000
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),  # a hyphen after a digit: 5-year
)
_INTERNATIONAL = (
    (regex.compile(r"(\P{N})(\p{P})"), r"\1 \2 "),  # punctuation unless it stands between digits
    (regex.compile(r"(\p{P})(\P{N})"), r" \1 \2"),
    (regex.compile(r"(\p{S})"), r" \1 "),  # symbols
)
# The blocks that the field's script names: ideographs with their radicals, strokes and compatibility forms, Bopomofo,
# CJK punctuation, full-width forms, symbols and dingbats. It writes the two ranges beyond U+FFFF so that Python reads
# them as U+2001–U+2A6D (dashes, quotation marks, arrows, mathematics): kept, for equal scores.
_CHINESE = re.compile(
    "(["
    "\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u2fff\u3000-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u33ff"
    "\u3400-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef"
    "])"
)


def tokenizer_named(name: str) -> Callable[[str], list[str]]:
    """Return the function that cuts a line into tokens.

    Raises:
        InputError: no such tokenizer, or one that needs a dictionary or a model.

    Example:
        >>> tokenizer_named("13a")("It's 3.14, &quot;roughly&quot;.")
        ["It's", '3.14', ',', '"', 'roughly', '"', '.']
    """
    if name in TOKENIZERS:
        return TOKENIZERS[name]
    why = f" ({_ELSEWHERE[name]})" if name in _ELSEWHERE else ""
    raise InputError(f"unknown tokenizer {name!r}{why}: known are {', '.join(TOKENIZERS)}")


def _cut_13a(line: str) -> list[str]:
    line = line.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in line:
        for entity, character in _ENTITIES:
            line = line.replace(entity, character)
    tokens: list[str] = []
    for word in line.split():
        tokens += _cut_word(word)
    return tokens


@lru_cache(maxsize=1 << 16)
def _cut_word(word: str) -> tuple[str, ...]:
    """Return the tokens of what stands between spaces: no rule of 13a looks further, so each word is cut once."""
    return tuple(_replaced(f" {word} ", _WESTERN).split())


def _cut_zh(line: str) -> list[str]:
    return _replaced(_CHINESE.sub(r" \1 ", line.strip()), _WESTERN).split()


def _cut_international(line: str) -> list[str]:
    return _replaced(line.rstrip(), _INTERNATIONAL).split()


def _cut_characters(line: str) -> list[str]:
    return list("".join(line.split()))


def _replaced(line: str, rules: "tuple[tuple[re.Pattern[str] | regex.Pattern[str], str], ...]") -> str:
    for pattern, replacement in rules:
        line = pattern.sub(replacement, line)
    return line


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "13a": _cut_13a,
    "intl": _cut_international,
    "zh": _cut_zh,
    "char": _cut_characters,
    "none": str.split,
}
"""From the name to the function: a line to its tokens."""
_ELSEWHERE = {
    "ja-mecab": "it needs MeCab and a Japanese dictionary",
    "ko-mecab": "it needs MeCab and a Korean dictionary",
    **dict.fromkeys(("spm", "flores101", "flores200", "spBLEU-1K"), "it needs a model that is downloaded"),
}
