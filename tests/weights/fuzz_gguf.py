"""Fuzzing of the GGUF loader, run by hand: python -m tests.weights.fuzz_gguf CORPUS -max_total_time=600

Needs atheris (pip install atheris). Any exception but InputError is a finding, and so are more than two seconds for one
file, and memory beyond a gigabyte over what the process began with. The corpus folder is filled on the first run.
"""

import inspect
import resource
import sys
import tempfile
from pathlib import Path

from groundup.errors import InputError
from groundup.tokenization.gguf import read_gguf_tokenizer
from groundup.weights import gguf as gguf_module
from groundup.weights.gguf import GGUFFile
from groundup.weights.gguf_config import config_of
from groundup.weights.gguf_model import load_gguf

N_BYTES = 1 << 30


def read(path: Path) -> bool:
    """Load a file and say whether it was a model; refused means InputError, of one line."""
    try:
        load_gguf(path)
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError(f"expected one line, found {error}") from error
        return False
    return True


def main() -> None:
    """Start from small models and let atheris change them."""
    import atheris
    import torch
    from tests.weights.gguf_files import KINDS, byte_level, llama_tensors, sizes, small_llama, write

    torch.set_num_threads(1)
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        small_llama(corpus / "llama.gguf")
        write(corpus / "header.gguf", "llama", sizes("llama") | byte_level(), {})
        for kind in (KINDS.Q8_0, KINDS.Q4_1):
            write(corpus / f"{kind.name}.gguf", "llama", sizes("llama") | byte_level(), llama_tensors(), kind)
    for function in (GGUFFile.__init__, *vars(gguf_module._Header).values(), config_of, read_gguf_tokenizer):
        if inspect.isfunction(function):
            atheris.instrument_func(function)
    memory = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "x.gguf"
    read(corpus / "llama.gguf")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + N_BYTES,) * 2)

    def one(content: bytes) -> None:
        memory.write_bytes(content)
        read(memory)

    atheris.Setup([sys.argv[0], *sys.argv[1:], "-timeout=2", "-max_len=200000"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
