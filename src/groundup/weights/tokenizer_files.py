"""The tokenizer of a Hugging Face folder, with what other files say of it: end of text, special tokens, template."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.errors import InputError
from groundup.tokenization.added import with_end_token, with_special_tokens
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.beginning import ids_before
from groundup.tokenization.pretrained import load_tokenizer
from groundup.tokenization.tokenizer_json import read
from groundup.weights.json_files import read_object

SPELLINGS = ("bos_token", "eos_token", "pad_token", "unk_token")
"""Special tokens that templates may ask for."""


@dataclass(frozen=True)
class FoundTokenizer:
    """What `read_tokenizer` found; the fields are those of `Pretrained`."""

    tokenizer: Tokenizer
    """Its end_id is the token that ends what this model writes."""
    chat_template: str | None
    """Jinja template, or None."""
    template_tokens: dict[str, str]
    """Spellings by their name in SPELLINGS, those that exist."""
    bos: tuple[int, ...] = ()
    """Ids that stand before every text."""
    opening: Callable[[], list[int]] = field(default=list)
    """Ids that a text begins with: the token that the model saw at the start of every text, if there is one."""


def read_tokenizer(folder: Path, config: Mapping[str, Any]) -> FoundTokenizer:
    """Read tokenizer.json (or GPT-2's pair of files) and what tokenizer_config.json and others say of it.

    The token that ends a text is that of generation_config.json (of several, the one that tokenizer_config.json
    names), else that of tokenizer_config.json, else that of `config`. What stands before every text is what the
    post-processor of tokenizer.json puts there; where it puts nothing, bos_token if tokenizer_config.json says
    add_bos_token, as older models do.

    Args:
        folder: with the files.
        config: content of config.json.

    Raises:
        InputError: no tokenizer, a damaged file, or added tokens that do not follow the vocabulary.
    """
    has_pair = config.get("model_type") == "gpt2"  # another family's pair would be split by GPT-2's rules
    if not (folder / "tokenizer.json").is_file() and not has_pair:
        raise InputError(f"expected tokenizer.json in {folder}, found none: save it with transformers' AutoTokenizer")
    said = read_object(folder / "tokenizer_config.json", missing_ok=True)
    older = read_object(folder / "special_tokens_map.json", missing_ok=True)
    tokenizer = _with_added(load_tokenizer(folder), folder, said)
    spelled = {name: text for name in SPELLINGS if (text := _spelling(said.get(name) or older.get(name)))}
    names = {token: name for name, token in tokenizer.special_tokens.items()}
    generation = read_object(folder / "generation_config.json", missing_ok=True)
    ends = [names[token] for token in _ids(generation.get("eos_token_id")) if token in names]
    if not ends and "eos_token" not in spelled:
        ends = [names[token] for token in _ids(config.get("eos_token_id")) if token in names]
    if ends and spelled.get("eos_token") not in ends:
        spelled["eos_token"] = ends[0]
    if spelled.get("eos_token") in tokenizer.special_tokens:
        tokenizer = with_end_token(tokenizer, spelled["eos_token"])
    bos = tokenizer.special_tokens.get(spelled.get("bos_token", ""))
    return FoundTokenizer(
        tokenizer=tokenizer,
        chat_template=_template(folder, said),
        template_tokens=spelled,
        bos=_before(folder, said, bos),
        opening=list if bos is None else lambda: [bos],
    )


def _before(folder: Path, said: Mapping[str, Any], bos: int | None) -> tuple[int, ...]:
    """Return the ids that stand before every text."""
    path = folder / "tokenizer.json"
    if path.is_file() and (ids := ids_before(read(path), path)):
        return ids
    return () if bos is None or said.get("add_bos_token") is not True else (bos,)


def _with_added(tokenizer: Tokenizer, folder: Path, said: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer with the special tokens that other files number behind its own."""
    added: dict[int, str] = {}
    for name, token in read_object(folder / "added_tokens.json", missing_ok=True).items():
        if isinstance(token, int):
            added[token] = name
    decoder = said.get("added_tokens_decoder")
    for token, described in decoder.items() if isinstance(decoder, dict) else ():
        if isinstance(described, dict) and described.get("special") and token.isdecimal():
            added[int(token)] = _spelling(described)
    behind = sorted((token, name) for token, name in added.items() if token >= tokenizer.vocab_size)
    if [token for token, _ in behind] != list(range(tokenizer.vocab_size, tokenizer.vocab_size + len(behind))):
        raise InputError(
            f"expected added tokens numbered from {tokenizer.vocab_size} in {folder}, found {behind[0][1]!r} as "
            f"{behind[0][0]}: save the tokenizer again with transformers' AutoTokenizer"
        )
    return with_special_tokens(tokenizer, [name for _, name in behind])


def _template(folder: Path, said: Mapping[str, Any]) -> str | None:
    """Return the chat template: a file of its own, or part of tokenizer_config.json; of several, the default one."""
    path = folder / "chat_template.jinja"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise InputError(f"expected a chat template in UTF-8 in {path}, found: {error}; copy it again") from None
    found = said.get("chat_template")
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _spelling(value: object) -> str:
    """Return the spelling of a special token, which may stand as an object with rules, or ""."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _ids(value: object) -> list[int]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)]
