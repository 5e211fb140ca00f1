"""The tokenizer in the metadata of a GGUF file, put down as the `tokenizer.json` that it once was.

Two kinds (tokenizer.ggml.model): "gpt2" is byte-level BPE with its merges, "llama" is SentencePiece's BPE, whose merges
follow from the scores. How a text is cut into words before any merge stands in no file: tokenizer.ggml.pre names it.
"""

import json
from collections.abc import Mapping
from itertools import compress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from groundup.errors import InputError
from groundup.tokenization.beginning import post_processor
from groundup.tokenization.published import PublishedTokenizer

SPELLINGS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
"""What templates call the tokens that tokenizer.ggml.…_token_id numbers."""

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)
_BYTE_NAMES = [f"<0x{byte:02X}>" for byte in range(256)]

_GPT2_WORDS: dict[str, Any] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def _words(numbers: str) -> dict[str, Any]:
    """Return Llama 3's split: GPT-2's, but a mark may begin a word and line breaks end one; `numbers` match numbers."""
    pattern = (
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, {**_GPT2_WORDS, "use_regex": False}]}


_EACH_DIGIT = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, _GPT2_WORDS]}
WORDS: dict[str, dict[str, Any]] = {
    "default": {"pre_tokenizer": _GPT2_WORDS},
    "gpt-2": {"pre_tokenizer": _GPT2_WORDS},
    "smollm": {"pre_tokenizer": _EACH_DIGIT},
    "llama-bpe": {"pre_tokenizer": _words(r"\p{N}{1,3}"), "ignore_merges": True},
    "qwen2": {"pre_tokenizer": _words(r"\p{N}"), "normalizer": {"type": "NFC"}},
}
"""By tokenizer.ggml.pre: the split, and what else the published tokenizers with it do. A file without it: GPT-2's."""


def read_gguf_tokenizer(
    metadata: Mapping[str, Any], path: Path, *, vocab_size: int | None = None
) -> PublishedTokenizer:
    """Return the tokenizer that `metadata` describes; its end_id is the file's eos token.

    Args:
        metadata: of a GGUF file, by key.
        path: where it came from, for messages.
        vocab_size: ids that the model has. None: as many as the tokenizer.

    Raises:
        InputError: no tokenizer, a damaged one, one of a kind or with a split that is not known here.
    """
    vocabulary = _Vocabulary(metadata, path)
    if vocab_size not in (None, len(vocabulary.tokens)):
        vocabulary.refuse("tokens", f"{vocab_size} tokens, as the model has", f"{len(vocabulary.tokens)}")
    kind = metadata.get("tokenizer.ggml.model")
    if kind == "gpt2":
        parts = _byte_level(vocabulary)
    elif kind == "llama":
        parts = _sentencepiece(vocabulary)
    else:
        vocabulary.refuse("model", "gpt2 or llama", repr(kind)[:80])
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": vocabulary.added(),
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
    } | parts
    for token in bos_before(metadata, path):
        document["post_processor"] = post_processor(vocabulary.tokens[token], token)
    end_token = special_spellings(metadata, path).get("eos_token", "")
    return PublishedTokenizer(json.dumps(document, ensure_ascii=False), path, end_token=end_token)


def special_spellings(metadata: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Return the spellings of the tokens that chat templates may ask for: bos_token, eos_token, …, those there are.

    Raises:
        InputError: an id that is no token.
    """
    vocabulary = _Vocabulary(metadata, path)
    ids = {name: vocabulary.named_id(f"{key}_token_id") for name, key in SPELLINGS.items()}
    return {name: vocabulary.tokens[token] for name, token in ids.items() if token is not None}


def bos_before(metadata: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    """Return the begin token if it stands before every text: tokenizer.ggml.add_bos_token, or llama.cpp's default.

    Raises:
        InputError: an id that is no token, or a flag that is none.
    """
    vocabulary = _Vocabulary(metadata, path)
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    is_first = vocabulary.flag("add_bos_token", default=kind == "llama" or pre == "llama-bpe")
    bos = vocabulary.named_id("bos_token_id")
    return (bos,) if is_first and bos is not None else ()


class _Vocabulary:
    """The tokens of a file and what the file says of them, checked."""

    def __init__(self, metadata: Mapping[str, Any], path: Path) -> None:
        self.metadata, self.path = metadata, path
        self.tokens = self.strings("tokens")
        if len(set(self.tokens)) < len(self.tokens):
            self.refuse("tokens", "each token once", "one twice")
        self.kinds = self.numbers("token_type", "iu") if "tokenizer.ggml.token_type" in metadata else None

    def refuse(self, key: str, expected: str, found: str) -> NoReturn:
        raise InputError(
            f"expected tokenizer.ggml.{key} to be {expected} in {self.path}, found {found}: "
            "copy the file again, or take another model"
        )

    def strings(self, key: str) -> list[str]:
        value = self.metadata.get(f"tokenizer.ggml.{key}")
        if not isinstance(value, list) or not value or not all(isinstance(entry, str) for entry in value):
            self.refuse(key, "a list of strings", "none" if value is None else type(value).__name__)
        return value

    def numbers(self, key: str, kinds: str) -> list[Any]:
        """Return a number for each token, of NumPy's kinds."""
        value = self.metadata.get(f"tokenizer.ggml.{key}")
        if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds or len(value) != len(self.tokens):
            self.refuse(key, f"{len(self.tokens)} numbers, one for each token", "none" if value is None else "others")
        if not np.isfinite(value).all():
            self.refuse(key, "finite numbers", "others")
        listed: list[Any] = value.tolist()
        return listed

    def flag(self, key: str, default: bool) -> bool:
        value = self.metadata.get(f"tokenizer.ggml.{key}", default)
        if not isinstance(value, bool):
            self.refuse(key, "true or false", repr(value)[:80])
        return value

    def named_id(self, key: str) -> int | None:
        value = self.metadata.get(f"tokenizer.ggml.{key}")
        if value is not None and (type(value) is not int or not 0 <= value < len(self.tokens)):
            self.refuse(key, f"an id below {len(self.tokens)}", repr(value)[:80])
        return value

    def added(self) -> list[dict[str, Any]]:
        """Return the tokens that are found before the text is split: special ones, and those a user defined."""
        named = {self.named_id(f"{key}_token_id") for key in SPELLINGS.values()} - {None}
        kinds = [_NORMAL] * len(self.tokens) if self.kinds is None else self.kinds
        plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        return [
            {"id": token, "content": self.tokens[token], **plain, "special": kind != _USER_DEFINED or token in named}
            for token, kind in enumerate(kinds)
            if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED) or token in named
        ]


def _byte_level(vocabulary: _Vocabulary) -> dict[str, Any]:
    """Return what a `tokenizer.json` says of byte-level BPE."""
    pre = vocabulary.metadata.get("tokenizer.ggml.pre", "default")
    if not isinstance(pre, str) or pre not in WORDS:
        vocabulary.refuse("pre", " or ".join(WORDS), repr(pre)[:80])
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": WORDS[pre].get("ignore_merges", False),
        "vocab": {token: place for place, token in enumerate(vocabulary.tokens)},
        "merges": vocabulary.strings("merges"),
    }
    return {
        "normalizer": WORDS[pre].get("normalizer"),
        "pre_tokenizer": WORDS[pre]["pre_tokenizer"],
        "decoder": {**_GPT2_WORDS, "add_prefix_space": True},
        "model": model,
    }


def _sentencepiece(vocabulary: _Vocabulary) -> dict[str, Any]:
    """Return what a `tokenizer.json` says of SentencePiece's BPE, with bytes for what no token spells."""
    for key in ("remove_extra_whitespaces", "precompiled_charsmap"):
        if vocabulary.metadata.get(f"tokenizer.ggml.{key}", False) is not False:
            vocabulary.refuse(key, "left out", "a text changed before it is split")
    unknown = vocabulary.named_id("unknown_token_id")
    tokens = vocabulary.tokens
    if unknown is None and not set(tokens).issuperset(_BYTE_NAMES):
        vocabulary.refuse("tokens", "256 tokens for bytes, or one for what is unknown", "neither")
    to_spaces = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    to_marks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    normalizers: list[dict[str, Any]] = [to_marks]
    decoders: list[dict[str, Any]] = [to_spaces, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if vocabulary.flag("add_space_prefix", default=True):
        normalizers.insert(0, {"type": "Prepend", "prepend": "▁"})
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None if unknown is None else tokens[unknown],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": {token: place for place, token in enumerate(tokens)},
        "merges": _merges(vocabulary),
    }
    return {
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": model,
    }


def _merges(vocabulary: _Vocabulary) -> list[tuple[str, str]]:
    """Return each pair of tokens that makes a token, in the order in which SentencePiece joins: best score first.

    Of two pairs that make the same token the one with the longer left part comes first, as in `transformers`; where the
    two overlap (three equal marks in a row), SentencePiece takes the left one, which is the same.
    """
    kinds = [_NORMAL] * len(vocabulary.tokens) if vocabulary.kinds is None else vocabulary.kinds
    usable = [kind in (_NORMAL, _USER_DEFINED, _UNUSED) for kind in kinds]  # no text becomes a control token
    scores = dict(zip(vocabulary.tokens, vocabulary.numbers("scores", "f"), strict=True))
    known = set(compress(vocabulary.tokens, usable))
    pairs = [
        (token[:place], token[place:])
        for token in compress(vocabulary.tokens, usable)
        for place in range(1, len(token))
        if token[:place] in known and token[place:] in known
    ]
    return sorted(pairs, key=lambda pair: (-scores[pair[0] + pair[1]], -len(pair[0])))
