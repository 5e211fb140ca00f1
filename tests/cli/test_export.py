"""`groundup export`: a folder that transformers loads, with the difference measured."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from groundup.cli.export import command
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization import CharacterTokenizer
from groundup.weights.huggingface_export import save_huggingface


@pytest.fixture
def source(tmp_path: Path) -> Path:
    model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2))
    save_huggingface(model, CharacterTokenizer("abc"), tmp_path / "source")
    return tmp_path / "source"


def test_it_writes_what_transformers_loads_and_says_what_is_next(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert command([str(source), "--to", "hf", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"wrote {out}: GPT2LMHeadModel, 3,488 parameters" in said
    assert "largest difference of a logit 0.0e+00" in said
    assert f'next: transformers.AutoModelForCausalLM.from_pretrained("{out}")' in said
    assert f"groundup generate {out} PROMPT" in said
    one, other = (AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (source, out))
    with torch.inference_mode():
        assert torch.equal(one(torch.tensor([[0, 1]])).logits, other(torch.tensor([[0, 1]])).logits)


def test_a_folder_in_use_is_refused(source: Path):
    with pytest.raises(InputError, match="expected a new or empty folder"):
        command([str(source), "--out", str(source)])


def test_a_folder_to_write_must_be_named(source: Path):
    with pytest.raises(InputError, match="--out"):
        command([str(source)])
