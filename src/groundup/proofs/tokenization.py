"""Proofs of tokenization/: the ids of BPE by hand against tiktoken and tokenizers, for GPT-2 and our own vocabulary."""

import random
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from groundup.data.tales import generate
from groundup.proofs.table import MissingReferenceError, Proof
from groundup.tokenization import ByteBPE, FastTokenizer, gpt2_tokenizer, train_bpe
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.pretrained import find_gpt2_files


def texts() -> list[str]:
    """Return hard texts: many scripts, emoji, odd spaces, and 300 strings drawn from all of Unicode.

    Example:
        >>> len(texts())
        307
    """
    chosen = [
        "Hello, world! It's 2026; they'll've paid $1,234.56 (50%).",
        "  leading, trailing   and\tmixed \n\n white\u00a0space \u2003 ",
        "Grüße aus Köln, naïve façade, ǅ, ﬁ, ß",
        "Привет, мир! 你好，世界。こんにちは 안녕하세요 שלום مرحبا नमस्ते",
        "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200d\ufeff 𝒳 \U0010ffff",
        "def f(x):\n    return x ** 2  # <|endoftext|> is text here\r\n",
        "",
    ]
    draw = random.Random(0)
    limits = (0x7F, 0x2FF, 0xFFFF, 0x10FFFF)
    for _ in range(300):
        codes = [draw.randrange(draw.choice(limits)) for _ in range(draw.randrange(40))]
        chosen.append("".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF))
    return chosen


def _differing(ours: Callable[[str], list[int]], theirs: Callable[[str], list[int]]) -> float:
    """Return in how many of the texts the ids differ."""
    return sum(ours(text) != theirs(text) for text in texts())


def _gpt2_by_hand() -> ByteBPE:
    files = find_gpt2_files()
    if files is None:
        raise MissingReferenceError(
            "needs GPT-2's encoder.json and vocab.bpe in $GROUNDUP_DATA/gpt2, or one run that downloads them"
        )
    return ByteBPE.from_gpt2_files(*files)


def _library(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    """Return encoding by Hugging Face's `tokenizers`, from the tokenizer.json that ours writes."""
    import tokenizers

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        library = tokenizers.Tokenizer.from_file(str(path))
    library.encode_special_tokens = True  # special tokens in a text are text, as in ours
    return lambda text: list(library.encode(text).ids)


def _gpt2_tiktoken() -> float:
    by_hand = _gpt2_by_hand()
    return _differing(by_hand.encode, FastTokenizer(by_hand).encode)


def _gpt2_tokenizers() -> float:
    by_hand = _gpt2_by_hand()
    return _differing(by_hand.encode, _library(by_hand))


def _round_trip() -> float:
    _gpt2_by_hand()
    tokenizer = gpt2_tokenizer()
    return sum(tokenizer.decode(tokenizer.encode(text)) != text for text in texts())


def _trained() -> ByteBPE:
    return train_bpe(_with_spaces(generate(0, 500)), 600)


def _with_spaces(tales: Iterable[str]) -> Iterable[str]:
    return (tale + "\n" for tale in tales)


def _trained_tokenizers() -> float:
    by_hand = _trained()
    return _differing(by_hand.encode, _library(by_hand))


def _trained_fast() -> float:
    by_hand = _trained()
    return _differing(by_hand.encode, FastTokenizer(by_hand).encode)


def _streamed() -> float:
    """Return in how many texts encoding in pieces of three characters differs from encoding at once."""
    tokenizer = _trained()

    def in_pieces(text: str) -> list[int]:
        return list(tokenizer.encode_iterable(text[i : i + 3] for i in range(0, len(text), 3)))

    return _differing(tokenizer.encode, in_pieces)


def _proof(part: str, reference: str, difference: Callable[[], float]) -> Proof:
    return Proof(
        room="tokenization",
        part=part,
        reference=reference,
        bound=0.0,
        why="ids are whole numbers: texts that differ are counted",
        difference=difference,
    )


PROOFS = (
    _proof("GPT-2's BPE by hand, 307 texts: ids", "tiktoken", _gpt2_tiktoken),
    _proof("GPT-2's BPE by hand, 307 texts: ids", "tokenizers", _gpt2_tokenizers),
    _proof("GPT-2's BPE, fast: decode(encode(text))", "the text", _round_trip),
    _proof("a vocabulary we trained, by hand: ids", "tiktoken", _trained_fast),
    _proof("a vocabulary we trained, by hand: ids", "tokenizers", _trained_tokenizers),
    _proof("encoding in pieces: ids", "encoding at once", _streamed),
)
