"""The two published file formats of a byte-level BPE vocabulary: `tokenizer.json`, and GPT-2's pair of files."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundup.errors import InputError
from groundup.tokenization import tokenizer_json
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.byte_alphabet import BYTES, spell, unspell

Merge = tuple[bytes, bytes]
Contents = tuple[dict[int, bytes], list[Merge], list[str]]
"""Vocabulary (id → bytes, special tokens included), merges in order, special tokens."""

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def check(vocabulary: Mapping[int, bytes], ids: Mapping[bytes, int], merges: Sequence[Merge], names: list[str]) -> None:
    """Refuse a vocabulary that cannot spell every text or whose parts do not fit together.

    Raises:
        InputError: naming the first thing that does not fit.
    """
    advice = "use the files of one and the same tokenizer"
    if sorted(vocabulary) != list(range(len(vocabulary))):
        raise InputError(f"expected token ids 0 … {len(vocabulary) - 1} without gaps, found others: {advice}")
    if len(ids) != len(vocabulary):
        raise InputError(f"expected {len(vocabulary)} different tokens, found {len(ids)}: two ids spell the same")
    for token in BYTES:
        if token not in ids:
            raise InputError(f"expected a token for each of the 256 bytes, found none for byte {token[0]}: {advice}")
    known, special = set(BYTES), {name.encode() for name in names}
    for place, (left, right) in enumerate(merges):
        made = left + right
        if not {left, right} <= known or made not in ids or made in known or made in special:
            found = f"{left!r} + {right!r} as merge {place}"
            raise InputError(f"expected a merge of two known tokens into a new one, found {found}: {advice}")
        known.add(made)
    if len(known) + len(special) != len(vocabulary):
        parts = f"256 bytes, {len(merges)} merges and {len(names)} special tokens"
        raise InputError(f"expected an id for each of {parts}, found {len(vocabulary)} ids: {advice}")


def why_not(document: Mapping[str, Any]) -> str:
    """Return what keeps a `tokenizer.json` from being a byte-level BPE as GPT-2's, or "" if nothing does."""
    model, pre_tokenizer = document["model"], document.get("pre_tokenizer") or {}
    has_merges = isinstance(model.get("merges"), list) and isinstance(model["vocab"], dict)
    if model.get("type", "BPE") != "BPE" or not has_merges:
        return f"a model of type {model.get('type')}"
    for key in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(key):
            return f"model.{key}"
    if model.get("ignore_merges"):
        return "model.ignore_merges"
    if pre_tokenizer.get("type") != "ByteLevel" or not pre_tokenizer.get("use_regex", True):
        return f"a pre-tokenizer of type {pre_tokenizer.get('type')}"
    if pre_tokenizer.get("add_prefix_space", True):
        return "a space added before the text"
    if document.get("normalizer"):
        return "a normalizer"
    if (document.get("decoder") or {}).get("type") != "ByteLevel":
        return "a decoder that is not ByteLevel"
    for token in document.get("added_tokens") or []:
        if not token.get("special") or token.get("lstrip") or token.get("rstrip") or token.get("single_word"):
            return f"an added token {token.get('content')!r} with rules of its own"
    return ""


def read_tokenizer_json(path: Path) -> Contents:
    """Read a byte-level BPE from a Hugging Face `tokenizer.json`.

    Raises:
        InputError: no such file, damaged, or another kind of tokenizer.
    """
    document = tokenizer_json.read(path)
    if reason := why_not(document):
        raise InputError(f"expected a byte-level BPE as GPT-2's in {path}, found {reason}: use FastTokenizer.from_file")
    special = {token["content"]: token["id"] for token in document.get("added_tokens") or []}
    # Older files write a merge as one text, "Ġ t"; newer ones as a pair.
    merges = [pair.split(" ") if isinstance(pair, str) else pair for pair in document["model"]["merges"]]
    return _contents(document["model"]["vocab"], merges, special, path)


def read_gpt2_files(vocab_json: Path, merges_txt: Path) -> Contents:
    """Read `vocab.json` (token → id) and `merges.txt` (one pair a line); <|endoftext|> is special if it is there.

    Raises:
        InputError: a file is missing or damaged.
    """
    vocabulary = tokenizer_json.read_json(vocab_json)
    if not isinstance(vocabulary, dict) or not all(isinstance(token, int) for token in vocabulary.values()):
        raise InputError(f"expected token → id in {vocab_json}, found other JSON: name GPT-2's vocab.json")
    lines = tokenizer_json.read_text(merges_txt).split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    merges = [line.split(" ") for line in lines if line]
    special = {END_OF_TEXT: vocabulary[END_OF_TEXT]} if END_OF_TEXT in vocabulary else {}
    return _contents(vocabulary, merges, special, vocab_json)


def write_tokenizer_json(
    path: Path, vocabulary: Mapping[int, bytes], merges: Sequence[Merge], special_tokens: Mapping[str, int]
) -> None:
    """Write a `tokenizer.json` that the `tokenizers` library reads with the same ids."""
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": _spelled(vocabulary, special_tokens),
        "merges": [(spell(left), spell(right)) for left, right in merges],
    }
    tokenizer_json.write(
        path, model=model, pre_tokenizer=_BYTE_LEVEL, decoder=_BYTE_LEVEL, special_tokens=special_tokens
    )


def write_gpt2_files(
    vocab_json: Path,
    merges_txt: Path,
    vocabulary: Mapping[int, bytes],
    merges: Sequence[Merge],
    special_tokens: Mapping[str, int],
) -> None:
    """Write GPT-2's pair of files.

    Raises:
        InputError: a special token other than <|endoftext|>, which these files cannot mark as special.
    """
    if others := sorted(special_tokens.keys() - {END_OF_TEXT}):
        raise InputError(
            f"expected no special token but {END_OF_TEXT} for GPT-2's files, found {others[0]!r}: use save"
        )
    tokenizer_json.write_text(vocab_json, json.dumps(_spelled(vocabulary, special_tokens), ensure_ascii=False))
    lines = ["#version: 0.2", *(f"{spell(left)} {spell(right)}" for left, right in merges), ""]
    tokenizer_json.write_text(merges_txt, "\n".join(lines))


def _spelled(vocabulary: Mapping[int, bytes], special_tokens: Mapping[str, int]) -> dict[str, int]:
    special: Collection[int] = set(special_tokens.values())
    return {
        token.decode() if number in special else spell(token): number for number, token in sorted(vocabulary.items())
    }


def _contents(spelled: dict[str, int], merges: list[list[str]], special: dict[str, int], path: Path) -> Contents:
    try:
        vocabulary = {number: unspell(name) for name, number in spelled.items() if name not in special}
        pairs = [(unspell(left), unspell(right)) for left, right in merges]
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"expected tokens and pairs in GPT-2's byte alphabet in {path}, found {error}: copy it again"
        ) from None
    vocabulary |= {number: name.encode() for name, number in special.items()}
    return vocabulary, pairs, list(special)
