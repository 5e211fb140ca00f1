"""Models from a Hugging Face folder: config.json, safetensors, a tokenizer."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.weights.building import build_model
from groundup.weights.families import Described, read_config
from groundup.weights.json_files import read_object
from groundup.weights.names import Stored, is_needless, name_in_family, stored_tensors, to_ours
from groundup.weights.pretrained import Pretrained
from groundup.weights.tensor_files import TensorFile, open_tensors
from groundup.weights.tokenizer_files import read_tokenizer

SMALL_TABLE = 1 << 26
"""Bytes that the tables of rotary positions may take whatever the file's size: of them a config.json alone decides."""
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([\w.+-]+)", re.MULTILINE)


def load_huggingface(folder: Path) -> Pretrained:
    """Load a model of the GPT-2 or Llama family (`families.ARCHITECTURES`) that lies in a folder.

    Memory: the weights in float32 once, and one tensor of the file. Before any is taken, names and shapes in the files
    are compared with what config.json asks for.

    Args:
        folder: with config.json, model.safetensors (or its parts with an index, or an old pytorch_model.bin) and
            tokenizer.json (or GPT-2's pair of files).

    Raises:
        InputError: a file that is missing or damaged, a model of another kind, or parts that do not fit together.

    Example: see `save_huggingface`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"expected a folder with a model at {folder}, found none: check the path")
    document = read_object(folder / "config.json")
    described = read_config(document, source=str(folder / "config.json"))
    files = _in_family(open_tensors(folder), described, folder)
    wanted = list(_wanted(files, described, folder))
    _refuse_large_tables(described.config, files, folder)
    found = read_tokenizer(folder, document)
    if found.tokenizer.vocab_size > (described.config.vocab_size or 0):
        raise InputError(
            f"expected a tokenizer of at most {described.config.vocab_size} tokens, as the model has, found "
            f"{found.tokenizer.vocab_size} in {folder}: use the model's own tokenizer"
        )
    if any(not 0 <= token < found.tokenizer.vocab_size for token in found.bos):
        raise InputError(
            f"expected a post-processor that puts tokens of the vocabulary in front of a text in {folder}, found "
            f"{found.bos}: copy tokenizer.json again"
        )
    return Pretrained(
        model=build_model(described.config, _parameters(wanted, files), source=str(folder)),
        tokenizer=found.tokenizer,
        source=str(folder),
        chat_template=found.chat_template,
        template_tokens=found.template_tokens,
        licence=_licence(folder / "README.md"),
        bos=found.bos,
        opening=found.opening,
    )


def gpt_from_tensors(document: Mapping[str, object], tensors: Mapping[str, Tensor], *, source: str) -> GPT:
    """Return the `GPT` of a config.json's content and a state dict of `transformers`; memory may be shared.

    Raises:
        InputError: what does not fit, as `load_huggingface`.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> sizes = dict(vocab_size=10, n_positions=8, n_embd=16, n_layer=1, n_head=2)
        >>> theirs = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None))
        >>> gpt_from_tensors(theirs.config.to_dict(), theirs.state_dict(), source="a model").n_parameters()
        3600
    """
    described = read_config(document, source=source)
    files = {
        name: TensorFile(Path(source), tuple(tensor.shape), tensor.detach) for name, tensor in tensors.items()
    }  # fmt: skip
    files = _in_family(files, described, Path(source))
    wanted = list(_wanted(files, described, Path(source)))
    return build_model(described.config, _parameters(wanted, files), source=source)


def _in_family(files: dict[str, TensorFile], described: Described, folder: Path) -> dict[str, TensorFile]:
    """Return the files under the names of the family; two names for one tensor are refused."""
    found: dict[str, TensorFile] = {}
    for name, file in files.items():
        full = name_in_family(name, described.family)
        if full in found:
            raise InputError(f"expected each tensor once in {folder}, found {name} twice: copy or download it again")
        found[full] = file
    return found


def _wanted(files: Mapping[str, TensorFile], described: Described, folder: Path) -> Iterator[Stored]:
    """Yield what to read, compared with what is there; the first thing that does not fit is named."""
    known = set()
    for stored in stored_tensors(described.family, described.config):
        file = files.get(stored.name)
        if file is None:
            raise InputError(f"expected {stored.name} in {folder}, as config.json says, found no such tensor")
        if file.shape != stored.shape:
            said = f"{stored.name} of shape {stored.shape}"
            raise InputError(f"expected {said} in {file.path}, as config.json says, found {file.shape}")
        known.add(stored.name)
        yield stored
    for name in sorted(files.keys() - known):
        if not is_needless(name, described.config):
            raise InputError(
                f"expected a {described.family} model in {folder}, found {name} besides: use another model"
            )


def _refuse_large_tables(config: GPTConfig, files: Mapping[str, TensorFile], folder: Path) -> None:
    if config.position != "rotary":
        return
    paths = {file.path for file in files.values()}
    allowed = max(SMALL_TABLE, sum(path.stat().st_size for path in paths))
    if (needed := 4 * config.context_length * config.d_head) > allowed:  # float32 cosines and sines of half a head
        raise InputError(
            f"expected positions whose tables take at most {allowed:,} bytes in {folder}, found "
            f"max_position_embeddings {config.context_length}, which takes {needed:,}"
        )


def _parameters(wanted: list[Stored], files: Mapping[str, TensorFile]) -> Iterator[tuple[str, Tensor]]:
    for stored in wanted:
        yield from to_ours(stored, files[stored.name].read())


def _licence(readme: Path) -> str | None:
    """Return the licence that the header of a model's page names, if it has one."""
    try:
        with readme.open(encoding="utf-8") as file:
            start = file.read(1 << 16)
    except (OSError, ValueError):
        return None
    header = start.partition("\n---")[0] if start.startswith("---") else ""
    found = _LICENCE.search(header)
    return found[1] if found else None
