"""Tokenizers in the metadata of GGUF files against BPE by hand, SentencePiece's rule by hand, and `transformers`."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.byte_alphabet import unspell
from groundup.tokenization.gguf import WORDS, bos_before, read_gguf_tokenizer, special_spellings
from groundup.tokenization.published import PublishedTokenizer

HERE = Path("x.gguf")
# characters that Unicode 14 knows, for the engines know different later versions; and many digits and spaces
TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs", "Cn"]), st.sampled_from("the 12 in\n ²'s")))
MARK = "▁"


def as_read(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata as the reader gives it: numbers in arrays."""
    arrays = ("tokenizer.ggml.token_type", "tokenizer.ggml.scores")
    return {key: np.array(value) if key in arrays else value for key, value in metadata.items()}


def byte_level(pre: str) -> dict[str, Any]:
    from tests.weights.gguf_files import byte_level

    return as_read(byte_level(("2 3", "12 3", "a t"), pre))


def by_hand(metadata: dict[str, Any]) -> ByteBPE:
    *ordinary, end = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(map(unspell, merge.split(" "))) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {i: unspell(name) for i, name in enumerate(ordinary)} | {len(ordinary): end.encode()}
    return ByteBPE([(left, right) for left, right in merges], [end], vocabulary=vocabulary)


@settings(max_examples=50, derandomize=True)
@given(TEXTS)
@example("a  12 x")
def test_ids_are_those_of_bpe_by_hand_with_the_right_split(text: str):
    for pre, cut in (("gpt-2", r"(?!)()"), ("default", r"(?!)()"), ("smollm", r"(\p{N})")):
        metadata = byte_level(pre)
        reference = by_hand(metadata)
        ours = read_gguf_tokenizer(metadata, HERE)
        parts = [part for part in regex.split(cut, text) if part]
        assert ours.encode(text) == [token for part in parts for token in reference.encode(part)]
        assert ours.decode(ours.encode(text)) == text


LLAMA3 = {
    "It's 12345 o'clock": ["It", "'s", " ", "123", "45", " o", "'clock"],
    "(the end)\n\n  x": ["(the", " end", ")\n\n", " ", " x"],
}


@pytest.mark.parametrize("pre", ["llama-bpe", "qwen2"])
def test_splits_of_llama3_and_qwen2(pre: str):
    import tokenizers

    splitter = tokenizers.Tokenizer(tokenizers.models.BPE())
    document = json.loads(splitter.to_str()) | {"pre_tokenizer": WORDS[pre]["pre_tokenizer"]["pretokenizers"][0]}
    splitter = tokenizers.Tokenizer.from_str(json.dumps(document)).pre_tokenizer
    for text, words in LLAMA3.items():
        expected = words if pre == "llama-bpe" else [p for w in words for p in (list(w) if w.isdigit() else [w])]
        assert [word for word, _ in splitter.pre_tokenize_str(text)] == expected


def test_qwen2_joins_accents_and_llama3_takes_whole_words():
    qwen, llama = (read_gguf_tokenizer(byte_level(pre), HERE) for pre in ("qwen2", "llama-bpe"))
    assert qwen.encode("e\u0301") == qwen.encode("\u00e9") != llama.encode("e\u0301")
    # a word that is a token is that token, although no merge makes it
    metadata = byte_level("llama-bpe")
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"], "owl"]
    metadata["tokenizer.ggml.token_type"] = np.append(metadata["tokenizer.ggml.token_type"], 1)
    assert read_gguf_tokenizer(metadata, HERE).encode("owl") == [len(metadata["tokenizer.ggml.tokens"]) - 1]


def test_special_tokens_spellings_and_the_end():
    metadata = byte_level("gpt-2") | {"tokenizer.ggml.bos_token_id": 3}
    ours = read_gguf_tokenizer(metadata, HERE)
    end = len(metadata["tokenizer.ggml.tokens"]) - 1
    assert (ours.end_id, ours.vocab_size) == (end, end + 1)
    assert ours.encode("<|end|>", allow_special=True) == [end]
    assert end not in ours.encode("<|end|>")
    assert special_spellings(metadata, HERE) == {"bos_token": "$", "eos_token": "<|end|>"}


def sentencepiece(**changes: Any) -> dict[str, Any]:
    """Return the keys of a SentencePiece vocabulary: bytes, characters, and tokens by falling score."""
    made = ["th", f"{MARK}the", "the", MARK * 2, "in", f"{MARK}in", "ing", "aa", "aaaa", MARK * 4]
    letters = [*"abcdefghinst", MARK]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *made, *letters]
    kinds = [2, 3, 3, *[6] * 256, *[1] * (len(made) + len(letters))]
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(made) + len(letters))]
    named = {"bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0}
    keys = {"model": "llama", "tokens": tokens, "token_type": kinds, "scores": scores} | named | changes
    return as_read({f"tokenizer.ggml.{key}": value for key, value in keys.items()})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (1,)),
        ({"add_bos_token": False}, ()),
        ({"bos_token_id": None}, ()),
        ({"model": "gpt2"}, ()),
        ({"model": "gpt2", "pre": "llama-bpe"}, (1,)),
        ({"model": "gpt2", "pre": "smollm", "add_bos_token": True}, (1,)),
    ],
)
def test_the_begin_token_stands_where_the_file_says_or_llama_cpp_would(
    changes: dict[str, Any], expected: tuple[int, ...]
):
    assert bos_before(sentencepiece(**changes), HERE) == expected


def test_a_saved_tokenizer_writes_the_begin_token_in_transformers(tmp_path: Path):
    from transformers import PreTrainedTokenizerFast

    ours = read_gguf_tokenizer(sentencepiece(), HERE)
    ours.save(tmp_path / "tokenizer.json")
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert theirs("the thing")["input_ids"] == [1, *ours.encode("the thing")]
    assert 1 not in ours.encode("the thing")


def pieces_by_hand(text: str, metadata: dict[str, Any], prefix: bool) -> list[str]:
    """Join the two neighbours whose union has the best score, the left ones of equals, until none is a token."""
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"].tolist()
    scores = metadata["tokenizer.ggml.scores"].tolist()
    known = {token: score for token, kind, score in zip(tokens, kinds, scores, strict=True) if kind == 1}
    parts = list((MARK if prefix and text else "") + text.replace(" ", MARK))
    while joined := [(known[a + b], -i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in known]:
        place = -max(joined)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    bytes_of = [[part] if part in known else [f"<0x{byte:02X}>" for byte in part.encode()] for part in parts]
    return [piece for pieces in bytes_of for piece in pieces]


@pytest.mark.parametrize("prefix", [True, False])
@settings(max_examples=50, derandomize=True)
@given(text=st.text(st.one_of(st.sampled_from("theing a"), st.characters(exclude_categories=["Cs", "Cn"]))))
@example(text="the thing  aaaaa    in the")
def test_sentencepiece_by_its_rule_written_out(prefix: bool, text: str):
    metadata = sentencepiece(add_space_prefix=prefix)
    ours = read_gguf_tokenizer(metadata, HERE)
    ids = ours.encode(text)
    assert [metadata["tokenizer.ggml.tokens"][token] for token in ids] == pieces_by_hand(text, metadata, prefix)
    assert ours.decode(ids) == text.replace(MARK, " ")  # the mark itself is read as a space: SentencePiece's own loss
    assert ours.end_id == 2


REFUSED = {
    "kind": ({"model": "bert"}, "gpt2 or llama"),
    "split": ({"model": "gpt2", "pre": "tekken", "merges": ["a b"]}, "tokenizer.ggml.pre"),
    "no merges": ({"model": "gpt2"}, "tokenizer.ggml.merges"),
    "broken merges": ({"model": "gpt2", "merges": ["nothing"]}, "x.gguf"),
    "merges of unknown tokens": ({"model": "gpt2", "merges": ["q q"]}, "x.gguf"),
    "no tokens": ({"tokens": None}, "tokenizer.ggml.tokens"),
    "numbers as tokens": ({"tokens": [1, 2]}, "tokenizer.ggml.tokens"),
    "a token twice": ({"tokens": ["a", "a"]}, "each token once"),
    "too few types": ({"token_type": [1]}, "tokenizer.ggml.token_type"),
    "too few scores": ({"scores": [0.5]}, "tokenizer.ggml.scores"),
    "no scores": ({"scores": None}, "tokenizer.ggml.scores"),
    "an end that is no token": ({"eos_token_id": 99_999}, "tokenizer.ggml.eos_token_id"),
    "an end that is no number": ({"eos_token_id": "two"}, "tokenizer.ggml.eos_token_id"),
    "changed text": ({"remove_extra_whitespaces": True}, "tokenizer.ggml.remove_extra_whitespaces"),
    "a flag that is none": ({"add_space_prefix": 3}, "true or false"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_named_in_one_line(case: str):
    changes, said = REFUSED[case]
    metadata = {key: value for key, value in sentencepiece(**changes).items() if value is not None}
    metadata = {key: value for key, value in metadata.items() if getattr(value, "shape", None) != ()}
    with pytest.raises(InputError) as caught:
        read_gguf_tokenizer(metadata, HERE)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_is_a_published_tokenizer_that_can_be_saved(tmp_path: Path):
    ours = read_gguf_tokenizer(byte_level("smollm"), HERE)
    ours.save(tmp_path / "tokenizer.json")
    again = PublishedTokenizer.from_file(tmp_path / "tokenizer.json", end_token="<|end|>")
    assert (again.encode("in the 123"), again.end_id) == (ours.encode("in the 123"), ours.end_id)
