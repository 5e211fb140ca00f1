"""Proofs of finetuning/: low-rank adapters against the base, against themselves merged, and against `peft`."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groundup.configs.finetuning import LoRAConfig
from groundup.finetuning.lora import apply_lora, lora_layers, merge, unmerge
from groundup.finetuning.peft_files import load_adapter, save_adapter
from groundup.models.gpt import GPT
from groundup.proofs.compare import apart, largest
from groundup.proofs.hf_weights import gpt_from_gpt2
from groundup.proofs.models import tiny_gpt2, tiny_llama
from groundup.proofs.table import Proof
from groundup.weights.peft_names import peft_modules

TOKENS = torch.randint(97, (2, 32), generator=torch.Generator().manual_seed(0))
EVERY = "all-linear"
"""What `peft` calls all linear layers of the blocks."""


def _adapted(build: Callable[[], Any], *, learned: bool, dora: bool = False) -> tuple[GPT, Any]:
    """Return our copy of a small model with an adapter on all layers, and the model itself, without one."""
    theirs = build()
    ours = gpt_from_gpt2(theirs)
    torch.manual_seed(1)
    apply_lora(ours, LoRAConfig(rank=4, alpha=6.0, targets=("all",), dora=dora))
    if learned:
        with torch.no_grad():
            for parameter in ours.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return ours, theirs


def _before_it_learns(build: Callable[[], Any], *, dora: bool = False) -> Callable[[], float]:
    def difference() -> float:
        ours, theirs = _adapted(build, learned=False, dora=dora)
        with torch.inference_mode():
            return apart(ours.train()(TOKENS), gpt_from_gpt2(theirs)(TOKENS))

    return difference


def _merged(*, dora: bool = False) -> Callable[[], float]:
    """Return a function that compares logits relative to the largest, for those of the small models are of size 10."""

    def difference() -> float:
        ours, _ = _adapted(tiny_llama, learned=True, dora=dora)
        with torch.inference_mode():
            expected = ours(TOKENS)
        merge(ours)
        with torch.inference_mode():
            return apart(ours(TOKENS), expected) / float(expected.abs().max())

    return difference


def _unmerged() -> float:
    """Return how many numbers of the base differ in any bit after an adapter was merged and taken out."""
    ours, _ = _adapted(tiny_llama, learned=True)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    merge(ours)
    unmerge(ours)
    return float(sum(_differing(before[name], tensor) for name, tensor in ours.state_dict().items()))


def _differing(one: Tensor, other: Tensor) -> int:
    return int((one.view(torch.int32) != other.view(torch.int32)).sum())


def _frozen() -> float:
    """Return how many parameters of the base have a gradient, or of the adapter have none."""
    ours, _ = _adapted(tiny_gpt2, learned=True)
    ours(TOKENS).square().mean().backward()
    return float(sum((p.grad is None) == (".adapters." in name) for name, p in ours.named_parameters()))


def _gradients(build: Callable[[], Any], **fields: bool) -> Callable[[], float]:
    """Return a function that compares logits, and the gradients of all A, B and magnitudes relative to the largest."""

    def difference() -> float:
        with _theirs(build, **fields) as (ours, theirs):
            out, expected = ours(TOKENS), theirs(TOKENS).logits
            direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0))
            out.backward(direction)
            expected.backward(direction)
            layers, differences = lora_layers(ours), [apart(out.detach(), expected.detach())]
            for module, names in peft_modules(ours.config).items():
                mine = [layers[name].adapters["default"] for name in names]
                other = theirs.base_model.model.get_submodule(module)
                # Where three of our layers are one of theirs, all three read its A.
                pairs = [
                    (_gradient(mine, "A").sum(0), other.lora_A),
                    (_gradient(mine, "B").flatten(0, 1), other.lora_B),
                ]
                if "use_dora" in fields:
                    pairs.append((_gradient(mine, "magnitude").flatten(), other.lora_magnitude_vector))
                for gradient, part in pairs:
                    expected_gradient = part["default"].weight.grad
                    differences.append(apart(gradient, expected_gradient) / float(expected_gradient.abs().max()))
            return largest(differences)

    return difference


def _gradient(adapters: list[nn.Module], name: str) -> Tensor:
    """Return the gradients of one parameter of several adapters, one above the other."""
    gradients = [adapter.get_parameter(name).grad for adapter in adapters]
    return torch.stack([gradient for gradient in gradients if gradient is not None])


@contextmanager
def _theirs(build: Callable[[], Any], **fields: bool) -> Iterator[tuple[GPT, Any]]:
    """Yield a model of ours with an adapter that `peft` saved, and the one that it was saved from."""
    from peft import LoraConfig, get_peft_model

    theirs = build()
    ours = gpt_from_gpt2(theirs)
    torch.manual_seed(1)
    is_gpt2 = theirs.config.model_type == "gpt2"
    config = LoraConfig(
        r=4, lora_alpha=6, target_modules=EVERY, init_lora_weights=False, fan_in_fan_out=is_gpt2, **fields
    )
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # transformers warns of itself
        model = get_peft_model(theirs, config).eval()
        model.save_pretrained(folder)
        load_adapter(ours, Path(folder))
        yield ours, model


def _loaded_by_peft(build: Callable[[], Any], *, dora: bool = False) -> Callable[[], float]:
    def difference() -> float:
        from peft import PeftModel

        ours, theirs = _adapted(build, learned=True, dora=dora)
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # transformers warns of itself
            save_adapter(ours, Path(folder) / "adapter", base="tiny")
            loaded = PeftModel.from_pretrained(theirs, Path(folder) / "adapter").eval()
            with torch.inference_mode():
                return apart(ours(TOKENS), loaded(TOKENS).logits)

    return difference


def _proof(part: str, reference: str, bound: float, why: str, difference: Callable[[], float]) -> Proof:
    needs = ("transformers", "peft") if reference == "peft" else ("transformers",)
    return Proof(
        room="finetuning", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs
    )


_BITS = "an update by B = 0 is 0"
_SUMS = "float32: the same sums in another order, through every layer"
PROOFS = (
    _proof("LoRA before it learns: logits", "the base", 0.0, _BITS, _before_it_learns(tiny_gpt2)),
    _proof("DoRA before it learns: logits", "the base", 0.0, _BITS, _before_it_learns(tiny_llama, dora=True)),
    _proof("LoRA merged: logits, relative", "not merged", 1e-5, _SUMS, _merged()),
    _proof("DoRA merged: logits, relative", "not merged", 1e-5, _SUMS, _merged(dora=True)),
    _proof("LoRA merged and taken out: bits", "the base", 0.0, "numbers that differ are counted", _unmerged),
    _proof("LoRA: who has a gradient", "adapters alone", 0.0, "parameters are counted", _frozen),
    _proof("LoRA on GPT-2: logits, gradients", "peft", 1e-4, _SUMS, _gradients(tiny_gpt2)),
    _proof("LoRA on Llama: logits, gradients", "peft", 1e-4, _SUMS, _gradients(tiny_llama)),
    _proof("rsLoRA on Llama: logits, gradients", "peft", 1e-4, _SUMS, _gradients(tiny_llama, use_rslora=True)),
    _proof("DoRA on GPT-2: logits, gradients", "peft", 1e-4, _SUMS, _gradients(tiny_gpt2, use_dora=True)),
    _proof("our LoRA file on GPT-2: logits", "peft", 1e-4, _SUMS, _loaded_by_peft(tiny_gpt2)),
    _proof("our DoRA file on Llama: logits", "peft", 1e-4, _SUMS, _loaded_by_peft(tiny_llama, dora=True)),
)
