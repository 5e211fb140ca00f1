"""Prompts and prefixes against peft: logits and gradients from the same numbers, and each reads the other's files."""

import json

import pytest
import torch

from groundup.configs.finetuning import PromptConfig
from groundup.configs.model import GPTConfig
from groundup.engine.safetensors import save_file
from groundup.errors import InputError
from groundup.finetuning.prompt_files import load_prompt, save_prompt
from groundup.finetuning.prompt_tuning import apply_prompt
from groundup.models.gpt import GPT

# peft 0.21 asks transformers 5.23 by a name that it will drop
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

P, T = 5, 9
# In float64, two orders of the same sums, through two blocks. But transformers' Llama computes norms and rotations in
# float32 whatever the model's format: 6e-8 of logits of size 5, enlarged by two blocks; a mistake moves them by 1e-3.
BOUNDS = {"gpt2": 1e-12, "llama": 5e-6}
both = pytest.mark.parametrize("kind", ["prompt", "prefix"])


def their_gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 50, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 4, "initializer_range": 0.2}
    return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None))


def their_llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
             "max_position_embeddings": 32, "initializer_range": 0.2}  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2))


@pytest.fixture(params=[their_gpt2, their_llama], ids=list(BOUNDS))
def theirs(request):
    """Return a tiny model of transformers in float64, without dropout."""
    torch.manual_seed(0)
    return request.param().double().eval()


def bound_for(theirs):
    return BOUNDS[theirs.config.model_type]


def ours_of(theirs):
    from groundup.proofs.hf_weights import gpt_from_gpt2

    return gpt_from_gpt2(theirs).double()


def their_peft(theirs, kind):
    from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

    config = PromptTuningConfig if kind == "prompt" else PrefixTuningConfig
    torch.manual_seed(1)
    model = get_peft_model(theirs, config(num_virtual_tokens=P, task_type="CAUSAL_LM"))
    return model.double().eval()


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(50, (3, T), generator=torch.Generator().manual_seed(2))


@both
def test_logits_gradients_and_files_of_peft_are_ours(theirs, kind, tokens, tmp_path):
    ours, peft_model = ours_of(theirs), their_peft(theirs, kind)
    peft_model.save_pretrained(tmp_path)
    load_prompt(ours, tmp_path)
    with torch.no_grad():  # files hold float32
        weight = peft_model.prompt_encoder["default"].embedding.weight
        weight.copy_(weight.float())
    found, expected = ours(tokens), peft_model(tokens, attention_mask=torch.ones(3, T)).logits[:, -T:]
    assert (found - expected).abs().max() <= bound_for(theirs)
    direction = torch.randn(3, T, 50, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (found * direction).sum().backward()
    (expected * direction).sum().backward()
    largest = weight.grad.abs().max()
    assert largest > 1e-3
    assert (gradient_rows(ours) - weight.grad).abs().max() <= bound_for(theirs) * max(1, largest)


def gradient_rows(ours):
    if hasattr(ours.prefix, "embeddings"):
        return ours.prefix.embeddings.grad
    keys, values = (x.grad.permute(2, 0, 1, 3) for x in (ours.prefix.keys, ours.prefix.values))  # [P, L, G, K]
    return torch.stack((keys, values), dim=2).flatten(1)


@both
def test_peft_reads_our_files(theirs, kind, tokens, tmp_path):
    from peft import PeftModel

    ours = ours_of(theirs)
    apply_prompt(ours, PromptConfig(n_vectors=P), kind=kind, ids=[3, 1, 4], seed=0)
    with torch.no_grad():
        for parameter in ours.prefix.parameters():
            parameter.copy_((parameter + torch.randn_like(parameter)).float())  # no words, and what the file can hold
    save_prompt(ours, tmp_path / "adapter", base="tiny")
    peft_model = PeftModel.from_pretrained(theirs, tmp_path / "adapter").double().eval()
    with torch.no_grad():
        expected = peft_model(tokens, attention_mask=torch.ones(3, T)).logits[:, -T:]
        assert (ours(tokens) - expected).abs().max() <= bound_for(theirs)


GPT2 = GPTConfig(vocab_size=50, context_length=16, d_model=16, n_layers=2, n_heads=2)


def tuned(kind, config=GPT2, seed=0):
    torch.manual_seed(seed)
    model = GPT(config).eval()
    apply_prompt(model, PromptConfig(n_vectors=P), kind=kind, ids=[], seed=seed)
    return model


@torch.no_grad()
@both
def test_what_was_saved_is_what_is_loaded_to_the_bit(kind, tokens, tmp_path):
    model = tuned(kind)
    expected = model(tokens)
    save_prompt(model, tmp_path / "a", base="tiny")
    assert sum(path.stat().st_size for path in (tmp_path / "a").iterdir()) < 5_000  # the vectors alone
    model.prefix = None
    model.requires_grad_(True)
    assert not torch.equal(model(tokens), expected)
    load_prompt(model, tmp_path / "a")
    assert torch.equal(model(tokens), expected)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {
        name for name, _ in model.named_parameters() if name.startswith("prefix.")
    }
    save_prompt(model, tmp_path / "b", base="tiny")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@both
def test_another_base_is_refused_and_nothing_is_changed(kind, tmp_path):
    save_prompt(tuned(kind), tmp_path / "a", base="tiny")
    other = GPT(GPT2)
    with pytest.raises(InputError, match=r"made for \(tiny\)"):
        load_prompt(other, tmp_path / "a")
    for change in ({"d_model": 32}, {"n_layers": 3} if kind == "prefix" else {"d_model": 8}):
        with pytest.raises(InputError, match=r"expected 5 vectors of \d+ numbers in .*a, .*found 5 x \d+.*, tiny"):
            load_prompt(GPT(GPTConfig(**{**vars(GPT2), **change})), tmp_path / "a")
    with pytest.raises(InputError, match="fewer vectors than"):
        load_prompt(GPT(GPTConfig(**{**vars(GPT2), "context_length": 5})), tmp_path / "a")
    assert other.prefix is None
    assert all(parameter.requires_grad for parameter in other.parameters())


def test_a_model_without_vectors_is_not_saved(tmp_path):
    with pytest.raises(InputError, match="expected a model with a prompt or prefix"):
        save_prompt(GPT(GPT2), tmp_path / "a", base="tiny")
    assert not list(tmp_path.iterdir())


def test_what_is_no_prompt_is_refused(tmp_path):
    model = tuned("prompt")
    save_prompt(model, tmp_path / "a", base="tiny")
    config = tmp_path / "a" / "adapter_config.json"
    good = config.read_text()
    for kind in ("LORA", None):
        config.write_text(json.dumps(json.loads(good) | {"peft_type": kind}))
        with pytest.raises(InputError, match=rf"expected peft_type PROMPT_TUNING or PREFIX_TUNING .* found {kind!r}"):
            load_prompt(model, tmp_path / "a")
    config.write_text(json.dumps(json.loads(good) | {"num_virtual_tokens": 7}))
    with pytest.raises(InputError, match="expected 7 vectors of 16 numbers"):
        load_prompt(model, tmp_path / "a")
    config.write_text(good)
    save_file({"other": torch.ones(5, 16).numpy()}, tmp_path / "a" / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"expected the one tensor prompt_embeddings .* found other"):
        load_prompt(model, tmp_path / "a")
    with pytest.raises(InputError, match=r"adapter_config\.json"):
        load_prompt(model, tmp_path / "nowhere")
