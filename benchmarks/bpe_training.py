"""Learning a byte-level BPE: our trainer in Python, and the `tokenizers` library's in Rust, on the same text."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks import alternate
from benchmarks.texts import real_text
from groundup.tokenization import END_OF_TEXT, train_bpe


def library_trainer(pieces, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(pieces, trainer)
    return tokenizer


def run(tiny):
    source, text = real_text(tiny)
    vocab_size, repeats = (512, 2) if tiny else (4096, 7)
    # Both get the same pieces; the library spreads them over all cores, and is slower on one text or on lines.
    pieces = [text[start : start + 65_536] for start in range(0, len(text), 65_536)]
    megabytes = len(text.encode()) / 1e6
    contenders = {
        "groundup (Python, one core)": lambda: train_bpe(pieces, vocab_size),
        "tokenizers (Rust, all cores)": lambda: library_trainer(pieces, vocab_size),
    }
    times = alternate(contenders, repeats)
    peer = times["tokenizers (Rust, all cores)"].median
    rows = [
        {"trainer": name, **taken.columns(), "MB/s": f"{megabytes / taken.median:.2f}",
         "time / tokenizers": f"{taken.median / peer:.2f}"}
        for name, taken in times.items()
    ]  # fmt: skip
    what = f"{megabytes:.2f} MB ({source}) to a vocabulary of {vocab_size:,}; {repeats} runs each, in turn."
    return {"what": what, "rows": rows}
