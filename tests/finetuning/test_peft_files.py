"""Adapters in PEFT's files: `peft` loads ours and we load `peft`'s with equal logits; what does not fit is named."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.finetuning.peft_models import TOKENS, V, adapted, apart, base

from groundup.configs.finetuning import LoRAConfig
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.finetuning.adapters import use_adapter
from groundup.finetuning.lora import apply_lora, lora_layers, merge, merge_and_remove
from groundup.finetuning.peft_files import base_fingerprint, load_adapter, save_adapter
from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.learned import rate_of
from groundup.weights.huggingface import load_huggingface
from groundup.weights.huggingface_export import save_huggingface

# Float32 logits of size 3 after two blocks, the same sums in another order: 4e-6 was seen.
BOUND = 1e-5
KINDS = {"plain": {}, "rank stabilized": {"rank_stabilized": True}, "dora": {"dora": True}}
CHOICES = {
    "all": ("all",),
    "query and value": ("query", "value"),
    "value and a layer": ("value", "blocks.1.feed_forward.down", "blocks.0.attention.output"),
}
OLD = GPTConfig(
    vocab_size=V, context_length=16, d_model=16, n_layers=2, n_heads=2, position="sinusoidal", norm_order="post",
    tie_embeddings=False,
)  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # transformers' own


def learned(model: GPT, config: LoRAConfig, name: str = "default") -> GPT:
    """`model` with an adapter off its initial values."""
    torch.manual_seed(1)
    apply_lora(model, config, name)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def tiny(seed: int = 0, **fields) -> GPT:
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size=V, context_length=16, d_model=16, n_layers=2, n_heads=2, **fields)).eval()


def change(folder: Path, **fields) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def refuse(folder: Path, said: str, model: GPT | None = None) -> None:
    model = tiny() if model is None else model
    names = model.state_dict().keys()
    with pytest.raises(InputError, match=said) as caught:
        load_adapter(model, folder)
    assert "\n" not in str(caught.value)
    assert model.state_dict().keys() == names


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("choice", CHOICES)
def test_peft_loads_ours(family, kind, choice, tmp_path):
    from peft import PeftModel

    theirs = base(family)
    ours = learned(gpt_from_gpt2(theirs), LoRAConfig(rank=3, alpha=5.0, targets=CHOICES[choice], **KINDS[kind]))
    assert apart(ours, theirs) > 0.1
    save_adapter(ours, tmp_path / "adapter", base="somewhere/tiny")
    loaded = PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    assert loaded.peft_config["default"].base_model_name_or_path == "somewhere/tiny"
    assert apart(ours, loaded) <= BOUND
    again = gpt_from_gpt2(base(family))
    load_adapter(again, tmp_path / "adapter")  # and we what we wrote: the stacked A's of GPT-2 cut again
    assert apart(again, loaded) <= BOUND


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"0.*(c_attn|q_proj)": 2}, "alpha_pattern": {"(c_fc|up_proj)": 1}},
        {"layers_to_transform": [1]},
    ],
    ids=["plain", "rank stabilized", "dora", "patterns", "one layer"],
)
def test_we_load_pefts_and_it_loads_it_back(family, fields, tmp_path):
    from peft import PeftModel

    ours, theirs = adapted(family, **fields)
    before = apart(ours, theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    loaded = load_adapter(ours, tmp_path / "theirs")
    assert apart(ours, theirs) <= BOUND < before
    assert loaded.base == ""
    save_adapter(ours, tmp_path / "back", base="tiny")
    back = PeftModel.from_pretrained(base(family), tmp_path / "back").eval()
    assert apart(ours, back) <= BOUND
    # All A's of GPT-2's joined layer are still the one that was loaded, so the files hold the same tensors.
    one, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("theirs", "back"))
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_classifiers_head_goes_with_it(tmp_path):
    from peft import PeftModel
    from transformers import GPT2ForSequenceClassification

    theirs = base("gpt2")
    theirs.config.num_labels, theirs.config.pad_token_id = 2, 0
    labels = GPT2ForSequenceClassification(theirs.config).eval()
    labels.transformer.load_state_dict(theirs.transformer.state_dict())
    ours, score = learned(gpt_from_gpt2(theirs), LoRAConfig(rank=2)), torch.randn(2, 24)
    save_adapter(ours, tmp_path / "adapter", base="tiny", extra={"score.weight": score})
    loaded = PeftModel.from_pretrained(labels, tmp_path / "adapter").eval()
    with torch.no_grad():
        expected = loaded(TOKENS[:, :-1]).logits  # it reads the last token that is not the pad, 0
        hidden = ours.hidden_states(TOKENS[:, :-1])[:, -1]
    assert (hidden @ score.T - expected).abs().max() <= BOUND
    found = load_adapter(gpt_from_gpt2(theirs), tmp_path / "adapter").extra
    assert found.keys() == {"score.weight"}
    assert torch.equal(found["score.weight"], score)


def test_save_load_merge_export_is_the_same_model(tmp_path):
    theirs = base("llama")
    ours = learned(gpt_from_gpt2(theirs), LoRAConfig(rank=4, targets=("all",)))
    save_adapter(ours, tmp_path / "adapter", base="tiny")
    again = gpt_from_gpt2(theirs)
    load_adapter(again, tmp_path / "adapter")
    assert torch.equal(again(TOKENS), ours(TOKENS))
    merge_and_remove(again)
    save_huggingface(again, CharacterTokenizer("abc"), tmp_path / "model")
    exported = load_huggingface(tmp_path / "model").model
    assert (exported(TOKENS) - ours(TOKENS)).abs().max() <= BOUND


def test_what_peft_has_no_field_for_comes_back(tmp_path):
    fields = {"dropout": 0.1, "b_rate": 16.0, "rank_stabilized": True, "dora": True}
    config = LoRAConfig(rank=2, alpha=3.7, targets=("query", "value", "up"), **fields)
    ours, again = learned(tiny(), config), tiny()
    save_adapter(ours, tmp_path / "adapter", base="tiny")
    assert load_adapter(again, tmp_path / "adapter").config == config
    # PEFT has query and value in one adapter of twice the rank: they are two again, to the bit.
    one, other = ours.state_dict(), again.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert {rate_of(layer.adapter.B) for layer in lora_layers(again).values()} == {16.0}


def test_a_model_of_no_published_family_keeps_its_own_names(tmp_path):
    from peft import PeftModel

    torch.manual_seed(0)
    plain = GPT(OLD).eval()
    ours = GPT(OLD).eval()
    ours.load_state_dict(plain.state_dict())
    learned(ours, LoRAConfig(rank=2))
    save_adapter(ours, tmp_path / "adapter", base="mine")
    again = GPT(OLD).eval()
    again.load_state_dict(plain.state_dict())
    load_adapter(again, tmp_path / "adapter")
    assert torch.equal(again(TOKENS), ours(TOKENS))
    loaded = PeftModel.from_pretrained(plain, tmp_path / "adapter", autocast_adapter_dtype=False)
    assert (loaded.base_model.model(TOKENS) - ours(TOKENS)).abs().max() <= BOUND


def test_one_of_several_is_saved_and_loaded_beside_others(tmp_path):
    model = learned(tiny(), LoRAConfig(rank=2), "french")
    expected = model(TOKENS)
    learned(model, LoRAConfig(rank=4, targets=("up",)), "german")
    save_adapter(model, tmp_path / "french", base="tiny", name="french")
    other = learned(tiny(), LoRAConfig(rank=1), "greek")
    load_adapter(other, tmp_path / "french", name="french")
    assert torch.equal(other(TOKENS), expected)
    use_adapter(other, "greek")
    assert not torch.equal(other(TOKENS), expected)
    with pytest.raises(InputError, match="expected one of the adapters french, german to save, found 'default'"):
        save_adapter(model, tmp_path / "default", base="tiny")


@torch.no_grad()
def test_the_fingerprint_is_the_bases_whatever_lies_on_it():
    model = tiny()
    plain = base_fingerprint(model)
    assert plain == base_fingerprint(tiny())
    learned(model, LoRAConfig(rank=2, dora=True, targets=("all",)))
    assert base_fingerprint(model) == plain
    merge(model)
    assert base_fingerprint(model) == plain
    merge_and_remove(model)
    assert base_fingerprint(model) != plain  # now it is another model
    others = [tiny(seed=1), tiny(norm_epsilon=1e-6), tiny(activation="gelu"), tiny(tie_embeddings=False)]
    one_step = tiny()
    for parameter in one_step.parameters():
        parameter.add_(1e-3)
    assert len({plain, *map(base_fingerprint, [*others, one_step])}) == 6
    assert base_fingerprint(tiny(dropout=0.5)) == plain


def test_another_base_is_refused_by_fingerprint_and_by_shapes(tmp_path):
    save_adapter(learned(tiny(), LoRAConfig(rank=2)), tmp_path / "adapter", base="smollm2")
    refuse(tmp_path / "adapter", r"made for \(smollm2\), found a model with other weights: open smollm2", tiny(seed=1))
    (tmp_path / "adapter" / "groundup.json").unlink()
    load_adapter(tiny(seed=1), tmp_path / "adapter")  # PEFT's own folders say nothing of the weights
    wider = GPT(GPTConfig(vocab_size=V, context_length=16, d_model=32, n_layers=2, n_heads=2))
    refuse(tmp_path / "adapter", r"expected A \(6, 32\) .* this adapter was made for another model", wider)
    shallow = GPT(GPTConfig(vocab_size=V, context_length=16, d_model=16, n_layers=1, n_heads=2))
    refuse(tmp_path / "adapter", r"found transformer\.h\.1\.attn\.c_attn", shallow)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"peft_type": "LOHA"}, "found peft_type='LOHA', not supported"),
        ({"bias": "all"}, "found bias='all', not supported"),
        ({"lora_bias": True}, "found lora_bias='True', not supported"),
        ({"use_qalora": True}, "found use_qalora='True', not supported"),
        ({"some_new_method": {"k": 1}}, "found some_new_method="),
        ({"init_lora_weights": "pissa_niter_4"}, "found init_lora_weights='pissa_niter_4', not supported"),
        ({"r": 3, "rank_pattern": {}}, "expected A and B of rank 3 for transformer.h.0.attn.c_attn"),
        ({"r": "many"}, "LoRAConfig.rank"),
        ({"lora_alpha": -1}, "LoRAConfig.alpha"),
        ({"rank_pattern": {"(": 3}}, "expected rank_pattern from names to numbers"),
        ({"alpha_pattern": [1]}, "expected alpha_pattern from names to numbers"),
        ({"use_dora": True}, "expected lora_A, lora_B, lora_magnitude_vector of transformer.h.0.attn.c_attn"),
    ],
)
def test_what_is_not_supported_is_named(fields, said, tmp_path):
    save_adapter(learned(tiny(), LoRAConfig(rank=2, targets=("query", "key", "value"))), tmp_path / "a", base="tiny")
    change(tmp_path / "a", **fields)
    refuse(tmp_path / "a", said)


def test_damaged_folders_are_named(tmp_path):
    refuse(tmp_path / "none", "expected adapter_config.json in")
    save_adapter(learned(tiny(), LoRAConfig(rank=2)), tmp_path / "a", base="tiny")
    tensors = tmp_path / "a" / "adapter_model.safetensors"
    whole, stored = tensors.read_bytes(), load_file(tensors)
    tensors.write_bytes(whole[:-1])
    refuse(tmp_path / "a", "expected a whole safetensors file")
    save_file(dict(list(stored.items())[1:]), tensors)
    refuse(tmp_path / "a", "found lora_B: copy it again")
    save_file(stored | {"base_model.model.lm_head.weight": torch.ones(1)}, tensors)
    refuse(tmp_path / "a", r"found base_model\.model\.lm_head\.weight: not supported")
    save_file({}, tensors)
    refuse(tmp_path / "a", "found no layer's")
    tensors.unlink()
    refuse(tmp_path / "a", "expected adapter_model.safetensors in")


def test_a_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    model = learned(tiny(), LoRAConfig(rank=2))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"expected a new or empty folder for an adapter, found .* in use"):
        save_adapter(model, tmp_path / "used", base="tiny")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine.txt"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("groundup.finetuning.adapter_folder.save_file", full)
    with pytest.raises(InputError, match="No space left on device; make room"):
        save_adapter(model, tmp_path / "new", base="tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
