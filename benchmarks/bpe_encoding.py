"""Encoding with one byte-level vocabulary: by hand, our default and the two libraries, all with the same ids."""

import tempfile
from pathlib import Path

import tiktoken
from tokenizers import Tokenizer

from benchmarks import alternate
from benchmarks.texts import real_text
from groundup.tokenization import ByteBPE, FastTokenizer, gpt2_tokenizer, train_bpe
from groundup.tokenization.split import GPT2_PATTERN


def bare_tiktoken(by_hand):
    ordinary = {spelled: token for token, spelled in by_hand.vocabulary.items() if token != by_hand.end_id}
    return tiktoken.Encoding("peer", pat_str=GPT2_PATTERN, mergeable_ranks=ordinary, special_tokens={})


def run(tiny):
    source, text = real_text(tiny)
    fast = FastTokenizer(train_bpe([text], 512)) if tiny else gpt2_tokenizer()
    by_hand = fast.by_hand
    vocabulary = "a vocabulary of 512 learned from it" if tiny else "GPT-2's vocabulary"
    with tempfile.TemporaryDirectory() as folder:
        by_hand.save(Path(folder) / "tokenizer.json")
        library = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    core = bare_tiktoken(by_hand)
    pieces = [text[start : start + 65_536] for start in range(0, len(text), 65_536)]
    lines = text.splitlines(keepends=True)
    fresh = ByteBPE(by_hand.merges, by_hand.special_tokens)
    ids = by_hand.encode(text)
    peers = (core.encode_ordinary(text), library.encode(text).ids)
    if any(other != ids for other in (fast.encode(text), list(fast.encode_iterable(pieces)), *peers)):
        raise SystemExit("the tokenizers disagree")

    def from_scratch():
        fresh._remembered.clear()  # else the second run would find every word merged already
        return fresh.encode(text)

    contenders = {
        "groundup FastTokenizer": lambda: fast.encode(text),
        "groundup FastTokenizer, streaming": lambda: list(fast.encode_iterable(pieces)),
        "tiktoken": lambda: core.encode_ordinary(text),
        "tokenizers": lambda: library.encode(text),
        "tokenizers, lines on all cores": lambda: library.encode_batch_fast(lines),
        "groundup ByteBPE (Python)": from_scratch,
    }
    repeats = 2 if tiny else 7
    megabytes = len(text.encode()) / 1e6
    times = alternate(contenders, repeats)
    rows = [
        {"encoder": name, **taken.columns(), "MB/s": f"{megabytes / taken.median:.1f}"} for name, taken in times.items()
    ]
    what = f"{megabytes:.2f} MB ({source}) with {vocabulary}, identical ids; {repeats} runs each, in turn."
    return {"what": what, "rows": rows}
