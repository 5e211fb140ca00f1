"""A tokenizer as the metadata of a GGUF file: what `gguf.py` reads, written."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from groundup.errors import InputError
from groundup.tokenization import tokenizer_json
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.gguf import SPELLINGS, WORDS

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_OTHER_RULES = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback")


def gguf_tokenizer(
    tokenizer: Tokenizer, *, n_rows: int, spelled: Mapping[str, str] | None = None, bos: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Return the keys of a byte-level BPE, from which `read_gguf_tokenizer` and llama.cpp make the same ids.

    Args:
        tokenizer: of a kind and with a split that `gguf.WORDS` names.
        n_rows: ids that the model has; those that no token has get an unused one.
        spelled: spellings by bos_token, eos_token, …, as in `Pretrained`. Without a bos_token it is the end token,
            with which the texts of such models begin.
        bos: ids that stand before every text.

    Raises:
        InputError: a tokenizer that llama.cpp lacks (characters, WordPiece, another split), without a token that ends
            a text, with more tokens than the model; more than the begin token before every text.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> keys = gguf_tokenizer(ByteBPE([(b"l", b"o")], ["<|endoftext|>"]), n_rows=258)
        >>> keys["tokenizer.ggml.pre"], keys["tokenizer.ggml.merges"], keys["tokenizer.ggml.eos_token_id"]
        ('gpt-2', ['l o'], 257)
    """
    document = _document(tokenizer)
    keys: dict[str, Any] = {"model": "gpt2", "pre": _split_name(document), **_vocabulary(document, n_rows)}
    merges = document["model"]["merges"]
    keys["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    ids = {name: tokenizer.special_tokens.get((spelled or {}).get(name, "")) for name in SPELLINGS}
    ids["eos_token"] = tokenizer.end_id
    if tokenizer.end_id is None:  # llama.cpp takes token 11 where none is named
        raise _unheld("one that has a token to end a text with", "none", "train with an end-of-text token")
    if ids["bos_token"] is None:
        ids["bos_token"] = tokenizer.end_id
    if bos not in ((), (ids["bos_token"],)):
        raise _unheld("at most the begin token before every text", f"the ids {bos}", "take --to hf")
    keys |= {f"{SPELLINGS[name]}_token_id": token for name, token in ids.items() if token is not None}
    keys["add_bos_token"] = bool(bos)
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def _document(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the tokenizer.json that `tokenizer` saves, if it is a byte-level BPE."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        document = tokenizer_json.read(path)
    model = document["model"]
    kind = model.get("type", "BPE")
    if kind != "BPE":
        raise _unheld(
            "a byte-level BPE", f"words of a fixed list ({kind})" if kind == "WordLevel" else f"a {kind} model"
        )
    for key in _OTHER_RULES:
        if model.get(key):
            raise _unheld("a byte-level BPE", f"one with {key}")
    if not model.get("merges"):  # the reader wants one
        raise _unheld("a byte-level BPE", "one without merges")
    for token in document.get("added_tokens") or []:
        if token.get("lstrip") or token.get("rstrip") or token.get("single_word"):
            raise _unheld("added tokens without rules of their own", f"such rules for {token['content']!r}")
    return document


def _split_name(document: Mapping[str, Any]) -> str:
    """Return what tokenizer.ggml.pre calls the way in which the document cuts a text into words."""
    found = (
        _plain(document.get("pre_tokenizer")),
        _plain(document.get("normalizer")),
        bool(document["model"].get("ignore_merges")),
    )
    for name in sorted(WORDS, key=lambda name: name == "default"):  # llama.cpp has a split of its own by that name
        words = WORDS[name]
        if found == (_plain(words["pre_tokenizer"]), _plain(words.get("normalizer")), "ignore_merges" in words):
            return name
    kind = (document.get("pre_tokenizer") or {}).get("type")
    raise _unheld(f"text cut into words as one of {', '.join(WORDS)} does", f"another way ({kind})")


def _plain(part: Any) -> Any:  # noqa: ANN401 - any part of a tokenizer.json
    """Return a part without what changes no id, and with what is not said because it is the rule."""
    if not isinstance(part, dict):
        return part
    if part.get("type") == "Sequence":
        inside = [_plain(one) for one in part.get("pretokenizers") or part.get("normalizers") or []]
        return inside[0] if len(inside) == 1 else inside
    plain = {key: value for key, value in part.items() if key != "trim_offsets"}
    return {"add_prefix_space": True, "use_regex": True} | plain if part.get("type") == "ByteLevel" else plain


def _vocabulary(document: Mapping[str, Any], n_rows: int) -> dict[str, Any]:
    """Return the tokens by id, and what each is."""
    names = {token: name for name, token in document["model"]["vocab"].items()}
    kinds = dict.fromkeys(names, _NORMAL)
    for token in document.get("added_tokens") or []:
        names[token["id"]] = token["content"]
        kinds[token["id"]] = _CONTROL if token.get("special") else _USER_DEFINED
    if max(names) >= n_rows:
        raise _unheld(f"at most {n_rows} tokens, as the model has rows", f"{max(names) + 1}")
    tokens = [names.get(token, f"[PAD{token}]") for token in range(n_rows)]  # as llama.cpp's converter calls them
    return {
        "tokens": tokens,
        "token_type": np.array([kinds.get(token, _UNUSED) for token in range(n_rows)], np.int32),
    }


def _unheld(expected: str, found: str, advice: str = "take --to hf, which holds any") -> InputError:
    return InputError(f"expected a tokenizer that GGUF can hold, {expected}, found {found}: {advice}")
