"""Proofs of tokenization/: the ids of BPE by hand against tiktoken and tokenizers, for GPT-2 and our own vocabulary."""

import os
import random
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

import tiktoken
import tokenizers
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str  # type: ignore[import-untyped]

from groundup.data.tales import generate
from groundup.proofs.table import MissingReferenceError, Proof
from groundup.tokenization import END_OF_TEXT, ByteBPE, FastTokenizer, gpt2_tokenizer, train_bpe
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


def _gpt2_files() -> tuple[Path, Path]:
    """Return the published vocabulary and merges, which every reference reads with its own reader."""
    files = find_gpt2_files()
    if files is None:
        raise MissingReferenceError(
            "needs GPT-2's encoder.json and vocab.bpe in $GROUNDUP_DATA/gpt2, or one run that downloads them"
        )
    return files


def gpt2_in_tiktoken(encoder_json: Path, vocab_bpe: Path) -> tiktoken.Encoding:
    """Return tiktoken's own GPT-2: its reader of the published files, its pattern."""
    with patch.dict(os.environ, TIKTOKEN_CACHE_DIR=""):  # or it reads a copy that it once made of a file of this name
        ranks = data_gym_to_mergeable_bpe_ranks(vocab_bpe_file=str(vocab_bpe), encoder_json_file=str(encoder_json))
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: 50256})


def gpt2_in_tokenizers(encoder_json: Path, vocab_bpe: Path) -> tokenizers.Tokenizer:
    """Return the `tokenizers` library's own GPT-2, read from the published files; it knows no special token."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(encoder_json), str(vocab_bpe)))
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    return library


def _gpt2_tiktoken() -> float:
    files = _gpt2_files()
    by_hand, reference = ByteBPE.from_gpt2_files(*files), gpt2_in_tiktoken(*files).encode_ordinary
    return _differing(by_hand.encode, reference) + _differing(FastTokenizer(by_hand).encode, reference)


def _gpt2_tokenizers() -> float:
    files = _gpt2_files()
    library = gpt2_in_tokenizers(*files)
    return _differing(ByteBPE.from_gpt2_files(*files).encode, lambda text: list(library.encode(text).ids))


def _round_trip() -> float:
    _gpt2_files()
    tokenizer = gpt2_tokenizer()
    return sum(tokenizer.decode(tokenizer.encode(text)) != text for text in texts())


def _trained() -> ByteBPE:
    return train_bpe(_with_spaces(generate(0, 500)), 600)


def _with_spaces(tales: Iterable[str]) -> Iterable[str]:
    return (tale + "\n" for tale in tales)


def _trained_tiktoken() -> float:
    by_hand = _trained()
    ranks = {token: number for number, token in by_hand.vocabulary.items() if number != by_hand.end_id}
    library = tiktoken.Encoding("trained", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    ours = (by_hand.encode, FastTokenizer(by_hand).encode)
    return sum(_differing(encode, library.encode_ordinary) for encode in ours)


def _trained_tokenizers() -> float:
    """Return in how many texts the ids differ from those that the library finds with the tokenizer.json we write."""
    by_hand = _trained()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        by_hand.save(path)
        library = tokenizers.Tokenizer.from_file(str(path))
    library.encode_special_tokens = True  # special tokens in a text are text, as in ours
    return _differing(by_hand.encode, lambda text: list(library.encode(text).ids))


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
    _proof("GPT-2's BPE by hand and fast, 307 texts: ids", "tiktoken", _gpt2_tiktoken),
    _proof("GPT-2's BPE by hand, 307 texts: ids", "tokenizers", _gpt2_tokenizers),
    _proof("GPT-2's BPE, fast: decode(encode(text))", "the text", _round_trip),
    _proof("vocabulary we trained, by hand and fast: ids", "tiktoken", _trained_tiktoken),
    _proof("vocabulary we trained, by hand: ids", "tokenizers", _trained_tokenizers),
    _proof("encoding in pieces: ids", "encoding at once", _streamed),
)
