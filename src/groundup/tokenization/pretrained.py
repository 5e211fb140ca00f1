"""Tokenizers from files: the right class for a `tokenizer.json`, and GPT-2's vocabulary from wherever it is."""

import os
from contextlib import suppress
from pathlib import Path

from groundup.errors import InputError
from groundup.tokenization import characters, tokenizer_json
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.tokenization.fast import FastTokenizer
from groundup.tokenization.published import PublishedTokenizer

_GPT2_URL = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"
_GPT2_FILES = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
_PAIRS_OF_NAMES = (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt"))  # OpenAI's and Hugging Face's


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer from a `tokenizer.json`, or from a folder with one (or with GPT-2's pair of files).

    Returns a CharacterTokenizer for files that it wrote, a FastTokenizer for byte-level BPE as GPT-2's, and a
    PublishedTokenizer for everything else.

    Raises:
        InputError: nothing there, or a damaged file.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "tokenizer.json").exists() and (pair := _gpt2_files(path)):
            return FastTokenizer(ByteBPE.from_gpt2_files(*pair))
        path = path / "tokenizer.json"
    document = tokenizer_json.read(path)
    if characters.recognizes(document):
        return CharacterTokenizer.from_file(path)
    with suppress(InputError):  # another kind: the library knows it, or says what is wrong
        return FastTokenizer.from_file(path)
    return PublishedTokenizer.from_file(path)


def gpt2_tokenizer(folder: Path | None = None) -> Tokenizer:
    """Return GPT-2's tokenizer (50,257 ids).

    Its files are looked for in `folder`; or, without one, where `find_gpt2_files` looks, and else they are downloaded
    into the cache and checked by their SHA-256.

    Raises:
        InputError: the files are not in `folder`, are damaged, or cannot be downloaded.
    """
    pair = find_gpt2_files() or _download(_cache_folder()) if folder is None else _gpt2_files(Path(folder))
    if pair is None:
        raise InputError(f"expected GPT-2's encoder.json and vocab.bpe in {folder}, did not find both: check the path")
    return FastTokenizer(ByteBPE.from_gpt2_files(*pair))


def find_gpt2_files() -> tuple[Path, Path] | None:
    """Return the paths of GPT-2's vocabulary and merges on this machine, or None.

    They are in the folder `gpt2` of GROUNDUP_DATA, or else of the cache: GROUNDUP_CACHE, or groundup in the user's
    cache folder.
    """
    data = os.environ.get("GROUNDUP_DATA")
    return (_gpt2_files(Path(data) / "gpt2") if data else None) or _gpt2_files(_cache_folder())


def _gpt2_files(folder: Path) -> tuple[Path, Path] | None:
    pairs = ((folder / vocab_json, folder / merges_txt) for vocab_json, merges_txt in _PAIRS_OF_NAMES)
    return next((pair for pair in pairs if all(file.exists() for file in pair)), None)


def _cache_folder() -> Path:
    import pooch

    return Path(os.environ.get("GROUNDUP_CACHE") or pooch.os_cache("groundup")) / "gpt2"


def _download(folder: Path) -> tuple[Path, Path]:
    import pooch

    try:
        for name, sha256 in _GPT2_FILES.items():
            pooch.retrieve(f"{_GPT2_URL}{name}", known_hash=sha256, fname=name, path=folder, progressbar=True)
    except (OSError, ValueError) as error:  # no network or a full disk; a file with another hash
        names, reason = " and ".join(_GPT2_FILES), type(error).__name__
        raise InputError(
            f"expected GPT-2's {names} in {folder} or at {_GPT2_URL}, found neither ({reason}): put both files into "
            "that folder, or set GROUNDUP_DATA to one with gpt2/ inside"
        ) from None
    return folder / "encoder.json", folder / "vocab.bpe"
