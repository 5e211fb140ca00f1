"""Conversations and preferences through the one loop, on a base with a chat template."""

import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tests.finetuning.small_runs import TUNINGS, resources, training

from groundup.configs import GPTConfig
from groundup.configs.finetune_runs import ChatConfig, ChatDataConfig, PreferConfig
from groundup.errors import InputError
from groundup.finetuning.launch import finetune, resume_finetune
from groundup.models.gpt import GPT
from groundup.resolve import open_model
from groundup.tokenization import ByteBPE
from groundup.training.metrics import read_metrics
from groundup.training.step import Stepper
from groundup.weights.huggingface_export import save_huggingface

QUIET = Console(quiet=True)
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKS = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "model"
    config = GPTConfig(
        vocab_size=256 + len(MARKS), context_length=64, d_model=16, n_layers=2, n_heads=2, d_ff=32,
        position="rotary", norm="rms", activation="swiglu", bias=False,
    )  # fmt: skip
    tokenizer = ByteBPE([], special_tokens=MARKS)
    save_huggingface(GPT(config).eval(), tokenizer, folder, chat_template=TEMPLATE)
    return folder


def write(path: Path, lines: list[object]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def chats(folder: Path) -> ChatDataConfig:
    lines = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "yes"}]} for n in range(30)
    ]
    return ChatDataConfig(file=write(folder / "chats.jsonl", list(lines)), max_tokens=32)


def pairs(folder: Path) -> ChatDataConfig:
    lines = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no"} for n in range(30)]
    return ChatDataConfig(file=write(folder / "pairs.jsonl", list(lines)), max_tokens=32)


def validation_losses(run: Path) -> list[float]:
    return [one["loss"] for one in read_metrics(run / "metrics.jsonl") if one["kind"] == "validation"]


@pytest.mark.parametrize("tuning", ["full", "lora", "prefix"])
def test_replies_are_learned_and_the_model_is_one_to_chat_with(tuning: str, base: Path, tmp_path: Path):
    config = ChatConfig(
        base=str(base), data=chats(tmp_path), context_length=48, tuning=TUNINGS[tuning], training=training()
    )
    outcome = finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    first, *_, last = validation_losses(tmp_path / "run")
    assert last < first
    assert open_model(str(tmp_path / "run")).chat_template == TEMPLATE
    assert resources(tmp_path / "run")["tokens"] > 0  # type: ignore[operator]
    assert resume_finetune(tmp_path / "run", open_base=open_model, console=QUIET).was_over
    assert outcome.step == 8


def test_preferences_are_learned(base: Path, tmp_path: Path):
    config = PreferConfig(base=str(base), data=pairs(tmp_path), tuning=TUNINGS["lora"], training=training())
    finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    found = [one for one in read_metrics(tmp_path / "run" / "metrics.jsonl") if one["kind"] == "validation"]
    assert found[-1]["loss"] < 0.6931  # log 2: where it began
    assert found[-1]["accuracy"] == 1.0


def test_a_base_without_a_template_is_named(base: Path, tmp_path: Path):
    plain = tmp_path / "plain"
    found = open_model(str(base))
    save_huggingface(found.model, found.tokenizer, plain)
    config = ChatConfig(base=str(plain), data=chats(tmp_path), context_length=48, training=training())
    with pytest.raises(InputError, match="chat template"):
        finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["", "nowhere.jsonl"])
def test_a_missing_file_is_named_and_leaves_no_folder(file: str, base: Path, tmp_path: Path):
    config = ChatConfig(base=str(base), data=ChatDataConfig(file=file), context_length=48, training=training())
    with pytest.raises(InputError, match="found"):
        finetune(config, tmp_path / "run", open_base=open_model, console=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("task", ["chat", "prefer"])
def test_a_stopped_run_goes_on_with_the_same_bits(
    task: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if task == "chat":
        config = ChatConfig(
            base=str(base), data=chats(tmp_path), context_length=48, tuning=TUNINGS["lora"], training=training()
        )
    else:
        config = PreferConfig(base=str(base), data=pairs(tmp_path), tuning=TUNINGS["lora"], training=training())
    finetune(config, tmp_path / "whole", open_base=open_model, console=QUIET)
    update = Stepper.update

    def stopping(self: Stepper, step: int) -> float:
        if step == 5:
            raise KeyboardInterrupt
        return update(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "update", stopping)
        assert finetune(config, tmp_path / "parts", open_base=open_model, console=QUIET).interrupted
    resume_finetune(tmp_path / "parts", open_base=open_model, console=QUIET)
    whole, parts = (
        load_file(tmp_path / name / "checkpoints" / "step-8" / "model.safetensors") for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
