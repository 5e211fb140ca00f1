"""A classifier's adapter with its head: transformers and peft label with it as the run does; we read both back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tests.finetuning.peft_models import base
from tests.finetuning.small_runs import classify_config

from groundup.configs.finetune_runs import HeadConfig
from groundup.configs.finetuning import LoRAConfig, PromptConfig
from groundup.data.padding import pad_rows
from groundup.errors import InputError
from groundup.finetuning import results
from groundup.finetuning.classifier_files import load_classifier, save_classifier
from groundup.finetuning.launch import finetune
from groundup.finetuning.lora import apply_lora
from groundup.finetuning.prompt_tuning import apply_prompt
from groundup.finetuning.tuned import open_tuned
from groundup.models.classifier import Classifier
from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2
from groundup.resolve import open_model

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # transformers' own
# Float32 logits of size 1 after two blocks, the same sums in another order: 5e-7 was seen.
BOUND = 1e-5
METHODS = ("lora", "prompt", "prefix")
TOKENS, IS_TOKEN = (torch.from_numpy(array) for array in pad_rows([[3, 4, 5, 6], [7, 8], [9, 1, 2]], 0))


def tuned(method: str, pooling: Any = "last") -> tuple[GPT, Classifier]:
    """The same model plain, and as a classifier whose every new number is off its initial value."""
    plain, gpt = (gpt_from_gpt2(base("llama")) for _ in range(2))
    if method == "lora":
        apply_lora(gpt, LoRAConfig(rank=2))
    else:
        apply_prompt(gpt, PromptConfig(n_vectors=3), kind=method, ids=[], seed=0)  # type: ignore[arg-type]
    torch.manual_seed(0)
    classifier = Classifier(gpt, 3, HeadConfig(pooling=pooling)).eval()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return plain, classifier


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
@pytest.mark.parametrize("method", METHODS)
def test_what_was_saved_is_what_is_loaded_to_the_bit(method: str, pooling: str, tmp_path: Path):
    plain, classifier = tuned(method, pooling)
    save_classifier(classifier, tmp_path / "a", base="tiny", labels=("no", "maybe", "yes"))
    again, labels = load_classifier(plain, tmp_path / "a")
    assert labels == ("no", "maybe", "yes")
    assert torch.equal(again(TOKENS, IS_TOKEN), classifier(TOKENS, IS_TOKEN))


@torch.no_grad()
@pytest.mark.parametrize("method", METHODS)
def test_peft_reads_it_as_a_classifier_and_we_what_peft_writes(method: str, tmp_path: Path):
    from peft import PeftModel
    from transformers import LlamaForSequenceClassification

    plain, classifier = tuned(method)
    save_classifier(classifier, tmp_path / "ours", base="tiny", labels=("no", "maybe", "yes"))
    body = base("llama")
    body.config.num_labels, body.config.pad_token_id = 3, 0
    theirs = LlamaForSequenceClassification(body.config)
    theirs.model.load_state_dict(body.model.state_dict())
    loaded = PeftModel.from_pretrained(theirs, tmp_path / "ours").eval()
    for row in ([3, 4, 5, 6], [7, 8]):  # behind vectors, theirs does not see which tokens are padding
        tokens = torch.tensor([row])
        expected = loaded(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
        assert (classifier(tokens, torch.ones_like(tokens).bool()) - expected).abs().max() <= BOUND
    loaded.save_pretrained(tmp_path / "theirs", save_embedding_layers=False)  # else it asks the hub about them
    again, labels = load_classifier(plain, tmp_path / "theirs")
    assert labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert torch.equal(again(TOKENS, IS_TOKEN), classifier(TOKENS, IS_TOKEN))


def test_a_runs_adapter_is_a_classifier_of_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    monkeypatch.setattr(results, "draw_classification", lambda *args, **named: None)
    finetune(classify_config(tmp_path), tmp_path / "run", open_base=open_model, console=Console(quiet=True))
    run = open_tuned(tmp_path / "run", open_base=open_model)
    adapter = tmp_path / "run" / "adapter"
    assert json.loads((adapter / "groundup.json").read_text())["head"] == {"labels": ["no", "yes"], "pooling": "last"}
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", num_labels=2, pad_token_id=0)
    loaded = PeftModel.from_pretrained(theirs, adapter).eval()
    with torch.no_grad():
        expected = loaded(input_ids=TOKENS, attention_mask=IS_TOKEN.long()).logits
        assert (run.model(TOKENS, IS_TOKEN) - expected).abs().max() <= BOUND


@torch.no_grad()
def test_a_head_that_transformers_has_not_is_left_to_us(tmp_path: Path):
    from peft import PeftModel

    _, classifier = tuned("lora", "mean")
    save_classifier(classifier, tmp_path / "a", base="tiny", labels=("no", "maybe", "yes"))
    loaded = PeftModel.from_pretrained(base("llama"), tmp_path / "a").eval()  # a writer with the adapter, nothing else
    assert (loaded(TOKENS[:1]).logits - classifier.gpt(TOKENS[:1])).abs().max() <= BOUND


def test_a_head_that_is_lost_or_damaged_is_named(tmp_path: Path):
    for method in METHODS:
        plain, classifier = tuned(method)
        folder = tmp_path / method
        save_classifier(classifier, folder, base="tiny", labels=("no", "maybe", "yes"))
        file, ours = folder / "adapter_model.safetensors", folder / "groundup.json"
        whole, told = load_file(file), ours.read_text()
        save_file({name: tensor for name, tensor in whole.items() if "score" not in name}, file)
        with pytest.raises(InputError, match=r"expected a head of .*score\.weight.*, found none"):
            load_classifier(plain, folder)
        save_file(whole, file)
        ours.write_text(json.dumps(json.loads(told) | {"head": {"pooling": "first", "labels": ["a", "b", "c"]}}))
        with pytest.raises(InputError, match=r"expected pooling last, mean, attention in .*, found 'first'"):
            load_classifier(gpt_from_gpt2(base("llama")), folder)
