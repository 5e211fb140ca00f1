"""Shows GPT-2's tokenizer: pieces, round trip, bytes a token for six kinds of text, one file for two libraries."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import tokenizers

from groundup.errors import InputError
from groundup.tokenization.base import IncrementalDecoder
from groundup.tokenization.pretrained import gpt2_tokenizer

OUT = Path("runs/sprints/08_gpt2_assembly")
TEXTS = {
    "English": "The miller's daughter found the silver key beneath the old bridge and laughed. " * 2,
    "German": "Die Tochter des Müllers fand den silbernen Schlüssel unter der alten Brücke und lachte. " * 2,
    "Greek": "Η κόρη του μυλωνά βρήκε το ασημένιο κλειδί κάτω από την παλιά γέφυρα και γέλασε. " * 2,
    "Chinese": "磨坊主的女儿在旧桥下找到了银钥匙,笑了起来。" * 2,
    "Python": "def area(width: float, height: float) -> float:\n    return width * height\n" * 2,
    "numbers": "31415926535 8979323846 2643383279 5028841971 6939937510 " * 2,
}


def main(out: Path = OUT) -> None:
    try:
        tokenizer = gpt2_tokenizer()
    except InputError as error:  # no files and no network
        sys.exit(f"This demo needs GPT-2's vocabulary: {error}")
    print(f"{tokenizer.vocab_size:,} ids, special: {dict(tokenizer.special_tokens)}")
    for text in ("The lost key, found again.", "unbelievably", "Schlüssel", "🔑"):
        pieces = [tokenizer.token_bytes(token).decode(errors="backslashreplace") for token in tokenizer.encode(text)]
        print(f"  {text:<28}{'|'.join(pieces)}")
    decoder = IncrementalDecoder(tokenizer)
    print("  🔑 token by token:", [decoder.push(token) for token in tokenizer.encode("🔑!")])
    end = "<|endoftext|>"
    print(f"  {end} is {len(tokenizer.encode(end))} tokens as text,", end=" ")
    print(f"{tokenizer.encode(end, allow_special=True)} when special tokens are allowed.")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        library = tokenizers.Tokenizer.from_file(str(path))
    encoded = {name: tokenizer.encode(text) for name, text in TEXTS.items()}
    same = all(library.encode(text, add_special_tokens=False).ids == encoded[name] for name, text in TEXTS.items())
    back = all(tokenizer.decode(encoded[name]) == text for name, text in TEXTS.items())
    print(f"\nSaved as tokenizer.json, the `tokenizers` library gives the same ids: {same}. Round trip exact: {back}.")
    rates = {
        name: (len(text.encode()) / len(encoded[name]), len(text) / len(encoded[name])) for name, text in TEXTS.items()
    }
    print("           bytes a token   characters a token")
    for name, (n_bytes, n_characters) in rates.items():
        print(f"{name:<10}{n_bytes:>14.2f}{n_characters:>21.2f}")

    lengths = [len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size) if token != tokenizer.end_id]
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2))
    figure.suptitle("GPT-2's tokenizer")
    for column, (label, shift) in enumerate((("bytes", -0.2), ("characters", 0.2))):
        panels[0].bar([i + shift for i in range(len(rates))], [r[column] for r in rates.values()], 0.4, label=label)
    panels[0].set_xticks(range(len(rates)), rates)
    panels[0].set(title="Text in one token", ylabel="mean a token")
    panels[0].legend()
    panels[1].hist(lengths, bins=[n - 0.5 for n in range(1, 22)])
    panels[1].set(title="The vocabulary", xlabel="bytes in a token", ylabel="tokens")
    panels[1].set_xticks(range(1, 21, 2))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tokenizer.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
