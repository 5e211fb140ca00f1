"""The text that the tokenizer benchmarks read."""

import gzip
import os
from pathlib import Path

FULL = "TinyShakespeare and the English and German training captions of Multi30k, one after the other, once"


def real_text(tiny):
    """Return (what it is, the text): 5.03 MB from GROUNDUP_DATA, or for a smoke test the licence of this repository."""
    if tiny:
        return "the licence of this repository", (Path(__file__).parents[1] / "LICENSE").read_text(encoding="utf-8")
    if "GROUNDUP_DATA" not in os.environ:
        raise SystemExit("set GROUNDUP_DATA to the folder with tinyshakespeare/, multi30k/ and gpt2/, or use --tiny")
    data = Path(os.environ["GROUNDUP_DATA"])
    text = (data / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    for name in ("train.en.gz", "train.de.gz"):
        text += gzip.decompress((data / "multi30k" / name).read_bytes()).decode()
    return FULL, text
