"""A tiny base as a folder on disk, labelled texts, and configs of runs that tune it in a second."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from groundup.configs import CheckpointConfig, DataConfig, EvaluationConfig, GPTConfig, ScheduleConfig, TrainConfig
from groundup.configs.finetune_runs import ClassifyConfig, HeadConfig, LabelledConfig, TextConfig
from groundup.configs.finetuning import FreezingConfig, LoRAConfig, PromptConfig, TuningConfig
from groundup.models.gpt import GPT
from groundup.tokenization import ByteBPE
from groundup.weights.huggingface_export import save_huggingface

STEPS = 8
TUNINGS = {
    "full": TuningConfig(method="full", freezing=FreezingConfig(unfreeze_every=2, layer_decay=0.5)),
    "last": TuningConfig(method="last"),
    "lora": TuningConfig(method="lora", lora=LoRAConfig(rank=2, dropout=0.1)),
    "dora": TuningConfig(method="lora", lora=LoRAConfig(rank=2, dora=True, b_rate=4.0, targets=("all",))),
    "prompt": TuningConfig(method="prompt", prompt=PromptConfig(n_vectors=3)),
    "prefix": TuningConfig(method="prefix", prompt=PromptConfig(n_vectors=3)),
}


def save_base(folder: Path, *, seed: int = 0) -> Path:
    """Write a Llama-like base of random weights, as transformers would."""
    torch.manual_seed(seed)
    config = GPTConfig(
        vocab_size=257, context_length=64, d_model=16, n_layers=2, n_heads=2, n_kv_heads=1, d_ff=32,
        position="rotary", norm="rms", activation="swiglu", bias=False,
    )  # fmt: skip
    save_huggingface(GPT(config).eval(), ByteBPE(merges=[]), folder)
    return folder


def write_labelled(path: Path, n: int = 80) -> Path:
    """Write texts of which one label likes, the other does not; every text another."""
    lines = ["text\tlabel"]
    for i in range(n):
        word, label = ("good", "yes") if i % 2 else ("bad", "no")
        lines.append(f"a {word} thing {i}\t{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


def training(**changes: object) -> TrainConfig:
    """Evaluation, a checkpoint at every second step, accumulation."""
    config = TrainConfig(
        steps=STEPS,
        batch_size=2,
        accumulation_steps=2,
        learning_rate=1e-2,
        device="cpu",
        log_every=1,
        schedule=ScheduleConfig(warmup_steps=2),
        evaluation=EvaluationConfig(every_steps=4, max_tokens=200, sample_tokens=4),
        checkpoints=CheckpointConfig(every_steps=2),
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def classify_config(folder: Path, tuning: str = "lora", **changes: object) -> ClassifyConfig:
    """Label the texts of `write_labelled`, on the base of `save_base`; both are made if they are not there."""
    base, texts = folder / "base", folder / "texts.tsv"
    return ClassifyConfig(
        base=str(base if base.exists() else save_base(base)),
        data=LabelledConfig(file=str(texts if texts.exists() else write_labelled(texts)), max_tokens=24),
        head=HeadConfig(dropout=0.1),
        tuning=TUNINGS[tuning],
        training=training(**changes),
    )


def text_config(folder: Path, tuning: str = "lora", **changes: object) -> TextConfig:
    """Write as a small text, on the base of `save_base`; both are made if they are not there."""
    base, text = folder / "base", folder / "text.txt"
    if not text.exists():
        text.write_text("".join(f"{n} green bottles on the wall, {n * n % 97} fell.\n" for n in range(60)))
    return TextConfig(
        base=str(base if base.exists() else save_base(base)),
        data=DataConfig(corpus=str(text)),
        context_length=16,
        tuning=TUNINGS[tuning],
        training=training(**changes),
    )


def resources(run: Path) -> dict[str, object]:
    """Return resources.json."""
    told: dict[str, object] = json.loads((run / "resources.json").read_text())
    return told
