"""Tokenizers written as metadata and read back: the same ids, the same special tokens, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundup.errors import InputError
from groundup.tokenization import CharacterTokenizer
from groundup.tokenization.added import with_special_tokens
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.byte_alphabet import BYTES, spell
from groundup.tokenization.fast import FastTokenizer
from groundup.tokenization.gguf import WORDS, bos_before, read_gguf_tokenizer, special_spellings
from groundup.tokenization.gguf_export import gguf_tokenizer
from groundup.tokenization.published import PublishedTokenizer

HERE = Path("x.gguf")
TEXTS = ["It's 1234  and\n\n 5", "½ ² ٣", "🙂 naïve 日本語 12", "the thin lo<|end|>", "caf\u0065\u0301", ""]
MERGES = ["t h", "th e", "Ġ the", "1 2", "Ġ Ġ", "i n"]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
TOKENS = [*map(spell, BYTES), *(merge.replace(" ", "") for merge in MERGES)]


def document(pre: str, **model: Any) -> dict[str, Any]:
    words = WORDS[pre]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": len(TOKENS), "content": "<|end|>", "special": True, **plain},
            {"id": len(TOKENS) + 1, "content": "<think>", "special": False, **plain},
        ],
        "normalizer": words.get("normalizer"),
        "pre_tokenizer": words["pre_tokenizer"],
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "vocab": {token: place for place, token in enumerate(TOKENS)},
            "merges": [merge.split(" ") for merge in MERGES],
            "ignore_merges": words.get("ignore_merges", False),
            **model,
        },
    }


def published(**changes: Any) -> PublishedTokenizer:
    return PublishedTokenizer(json.dumps(document("gpt-2") | changes), HERE, end_token="<|end|>")


@pytest.mark.parametrize("pre", WORDS)
def test_read_back_it_gives_the_same_ids(pre: str):
    tokenizer = PublishedTokenizer(json.dumps(document(pre)), HERE, end_token="<|end|>")
    keys = gguf_tokenizer(tokenizer, n_rows=tokenizer.vocab_size, spelled={"pad_token": "<|end|>"})
    assert keys["tokenizer.ggml.pre"] == ("gpt-2" if pre == "default" else pre)
    back = read_gguf_tokenizer(keys, HERE, vocab_size=tokenizer.vocab_size)
    for text in TEXTS:
        for allow_special in (False, True):
            ids = tokenizer.encode(text, allow_special=allow_special)
            assert back.encode(text, allow_special=allow_special) == ids
            assert back.decode(ids) == tokenizer.decode(ids)
    assert (back.end_id, back.special_tokens) == (tokenizer.end_id, tokenizer.special_tokens)
    assert back.encode("<think>", allow_special=True) == [len(TOKENS) + 1]
    spelled = {"bos_token": "<|end|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    assert special_spellings(keys, HERE) == spelled
    assert bos_before(keys, HERE) == ()


@pytest.mark.parametrize("kind", [ByteBPE, lambda *parts: FastTokenizer(ByteBPE(*parts))])
def test_ours_too(kind: Any):
    tokenizer = kind([(b"t", b"h"), (b"th", b"e")], ["<|endoftext|>", "<|pad|>"])
    keys = gguf_tokenizer(tokenizer, n_rows=tokenizer.vocab_size)
    back = read_gguf_tokenizer(keys, HERE)
    for text in TEXTS:
        assert back.encode(text) == tokenizer.encode(text)
    assert back.special_tokens == tokenizer.special_tokens
    assert back.end_id == tokenizer.end_id == keys["tokenizer.ggml.bos_token_id"]


def test_rows_without_a_token_get_one_that_no_text_makes():
    keys = gguf_tokenizer(published(), n_rows=len(TOKENS) + 4)
    assert keys["tokenizer.ggml.tokens"][-2:] == [f"[PAD{len(TOKENS) + 2}]", f"[PAD{len(TOKENS) + 3}]"]
    assert keys["tokenizer.ggml.token_type"].dtype == np.int32
    assert keys["tokenizer.ggml.token_type"][-4:].tolist() == [3, 4, 5, 5]
    back = read_gguf_tokenizer(keys, HERE, vocab_size=len(TOKENS) + 4)
    assert max(back.encode(f"[PAD{len(TOKENS) + 2}]", allow_special=True)) < len(TOKENS)


def test_the_begin_token_before_every_text_is_said():
    keys = gguf_tokenizer(published(), n_rows=300, spelled={"bos_token": "<|end|>"}, bos=(len(TOKENS),))
    assert bos_before(keys, HERE) == (len(TOKENS),)
    assert bos_before(gguf_tokenizer(published(), n_rows=300), HERE) == ()


OTHER_SPLIT = {"type": "Whitespace"}
REFUSED = {
    "characters": (CharacterTokenizer("abc"), "words of a fixed list"),
    "characters with an end": (with_special_tokens(CharacterTokenizer("abc"), ["<|endoftext|>"]), "of a fixed list"),
    "no end": (FastTokenizer(ByteBPE([(b"t", b"h")], [])), "a token to end a text with, found none"),
    "split": (published(pre_tokenizer=OTHER_SPLIT), r"default, .* does, found another way \(Whitespace\)"),
    "a space in front": (published(pre_tokenizer=BYTE_LEVEL), "another way"),
    "normalizer": (published(normalizer={"type": "Lowercase"}), "another way"),
    "byte fallback": (published(model=document("gpt-2", byte_fallback=True)["model"]), "one with byte_fallback"),
    "no merges": (published(model=document("gpt-2", merges=[])["model"]), "one without merges"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_lacks_is_refused_by_name(case: str):
    tokenizer, said = REFUSED[case]
    with pytest.raises(InputError, match=f"expected a tokenizer that GGUF can hold, .*{said}") as caught:
        gguf_tokenizer(tokenizer, n_rows=300)
    assert "\n" not in str(caught.value)


def test_more_tokens_than_rows_and_other_beginnings_are_refused():
    with pytest.raises(InputError, match="at most 263 tokens, as the model has rows, found 264"):
        gguf_tokenizer(published(), n_rows=263)
    with pytest.raises(InputError, match=r"at most the begin token before every text, found the ids \(1, 2\)"):
        gguf_tokenizer(published(), n_rows=300, bos=(1, 2))
