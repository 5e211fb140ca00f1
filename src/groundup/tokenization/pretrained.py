"""Tokenizers from files: the right class for a `tokenizer.json`, and GPT-2's vocabulary from wherever it is."""

from contextlib import suppress
from pathlib import Path

from groundup.download import find_file, look_for
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
    try:
        if path.is_dir():
            if not (path / "tokenizer.json").exists() and (pair := _gpt2_files(path)):
                return FastTokenizer(ByteBPE.from_gpt2_files(*pair))
            path = path / "tokenizer.json"
    except OSError as error:  # a folder that may not be looked into, a name that is too long
        raise InputError(f"expected a tokenizer at {path}, found: {error.strerror}; name another place") from None
    document = tokenizer_json.read(path)
    if characters.recognizes(document):
        return CharacterTokenizer.from_file(path)
    with suppress(InputError):  # another kind: the library knows it, or says what is wrong
        return FastTokenizer.from_file(path)
    return PublishedTokenizer.from_file(path)


def gpt2_tokenizer(folder: Path | None = None) -> Tokenizer:
    """Return GPT-2's tokenizer (50,257 ids), from `folder`, or from wherever `groundup.download.find_file` finds it.

    Raises:
        InputError: the files are not in `folder`, are damaged, or cannot be downloaded.
    """
    if folder is None:
        pair = tuple(find_file(f"gpt2/{name}", url=_GPT2_URL + name, sha256=sha) for name, sha in _GPT2_FILES.items())
        return FastTokenizer(ByteBPE.from_gpt2_files(pair[0], pair[1]))
    found = _gpt2_files(Path(folder))
    if found is None:
        raise InputError(f"expected GPT-2's encoder.json and vocab.bpe in {folder}, did not find both: check the path")
    return FastTokenizer(ByteBPE.from_gpt2_files(*found))


def find_gpt2_files() -> tuple[Path, Path] | None:
    """Return the paths of GPT-2's vocabulary and merges in GROUNDUP_DATA or the cache, or None; never downloads."""
    vocabulary, merges = (look_for(f"gpt2/{name}") for name in _GPT2_FILES)
    return None if vocabulary is None or merges is None else (vocabulary, merges)


def _gpt2_files(folder: Path) -> tuple[Path, Path] | None:
    pairs = ((folder / vocab_json, folder / merges_txt) for vocab_json, merges_txt in _PAIRS_OF_NAMES)
    return next((pair for pair in pairs if all(file.exists() for file in pair)), None)
