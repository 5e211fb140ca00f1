"""Tuning SmolLM2-135M to tell spam from ham: ours and `transformers` with `peft`, tokens a second and peak memory.

Every turn is a process of its own, which loads the model, takes a few steps unwatched, then the timed ones. Both read
the same weights (the GGUF file that `make model` installs; theirs from the float32 folder that `groundup export`
writes), the same texts, 16 of them a step, float32, AdamW. Theirs is the Trainer: by its defaults, which mix texts of
any length, and given the very batches that ours deals. Tokens are those of the texts: padding is work that nobody
asked for. The timed steps have 577 tokens each on average, an epoch's 589: a step costs something however short it is.
Settings of LoRA: rank 8 on queries, keys, values and attention outputs, in both. Memory is the process' peak.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS, BATCH = 3, 16
WARM, TIMED = 2, 8
CONTENDERS = ("groundup", "transformers", "transformers, our batches")
METHODS = ("lora", "full", "last")


def run(tiny):
    from groundup.weights.installed import installed_smollm2

    if installed_smollm2() is None:
        return {"what": "SmolLM2 is not here: make model", "rows": [{"who": "-"}]}
    warm, timed = (1, 1) if tiny else (WARM, TIMED)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder) / "model")
        for method in METHODS[:1] if tiny else METHODS:
            found = {who: [] for who in CONTENDERS}
            for _ in range(1 if tiny else ROUNDS):
                for who in CONTENDERS:
                    found[who].append(turn(who, method, Path(folder) / "model", warm, timed))
            best = max(statistics.median(t["tokens"] / t["seconds"] for t in found[who]) for who in CONTENDERS[1:])
            plain = statistics.median(t["tokens"] / t["seconds"] for t in found["transformers"])
            rows += [row(who, method, turns, plain, best) for who, turns in found.items()]
    text = (
        f"{timed} steps of {BATCH} SMS after {warm} others, {os.cpu_count()} cores, float32; medians of "
        f"{1 if tiny else ROUNDS} processes each, in turn. Ratios are of tokens a second."
    )
    return {"what": text, "rows": rows}


def row(who, method, turns, plain, best):
    """Return one line of the table."""
    rates = [one["tokens"] / one["seconds"] for one in turns]
    rate = statistics.median(rates)
    return {
        "method": method,
        "who": who,
        "tokens/s": f"{rate:.0f}",
        "slowest – fastest": f"{min(rates):.0f} – {max(rates):.0f}",
        "padding": f"{1 - sum(t['tokens'] for t in turns) / sum(t['read'] for t in turns):.0%}",
        "/ transformers": f"{rate / plain:.2f}",
        "/ its faster one": f"{rate / best:.2f}",
        "peak MB": f"{statistics.median(t['peak'] for t in turns) / 1e6:,.0f}",
        "learn": f"{turns[0]['learned']:,}",
    }


def export(folder):
    """Write the model for transformers."""
    from groundup.resolve import open_model
    from groundup.weights.huggingface_export import save_huggingface

    found = open_model("smollm2")
    save_huggingface(found.model, found.tokenizer, folder)


def turn(who, method, folder, warm, timed):
    """Return what a process of its own measured."""
    command = [sys.executable, "-m", "benchmarks.finetune_speed", who, method, str(folder), str(warm), str(timed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def texts():
    """Return (texts, labels) to learn from, as `groundup finetune classify --data sms-spam --balanced` does."""
    from groundup.configs.finetune_runs import LabelledConfig
    from groundup.data.labelled import load_labelled

    return load_labelled(LabelledConfig(file="sms-spam", balanced=True))


def ours(method, warm, timed):
    """Take steps as `groundup finetune` does."""
    import torch

    from groundup.configs.finetune_defaults import finetune_training
    from groundup.configs.finetune_runs import ClassifyConfig, LabelledConfig
    from groundup.configs.finetuning import TuningConfig
    from groundup.finetuning.preparation import build_classifier, pad_id
    from groundup.resolve import open_model
    from groundup.tasks.classification import Classification
    from groundup.training.compute import cpu_threads, settle
    from groundup.training.learned import n_learned
    from groundup.training.step import Stepper

    training = finetune_training(method, steps=200, batch_size=BATCH)
    config = ClassifyConfig(data=LabelledConfig(file="sms-spam", balanced=True), tuning=TuningConfig(method=method),
                            training=training)  # fmt: skip
    splits, base = texts(), open_model("smollm2")
    model = build_classifier(config, base, 2).train()
    task = Classification(train=splits.train, validation=splits.validation, encode=base.encode, head=config.head,
                          training=training, max_tokens=256, pad_id=pad_id(base))  # fmt: skip
    device = torch.device("cpu")
    training = settle(training, model, task, device=device)
    stepper, tokens, read = Stepper(model, task, training, device), 0, 0
    with cpu_threads(training.compute.threads):
        for step in range(warm + timed):
            if step == warm:
                began = time.perf_counter()
            found = stepper.gradient(step)
            found.loss.item()
            stepper.update(step)
            if step >= warm:
                tokens += found.n_tokens
                read += task.train_batch(step)[0].tokens.numel()
        seconds = time.perf_counter() - began
    return {"tokens": tokens, "read": read, "seconds": seconds, "learned": n_learned(model)}


def theirs(method, folder, warm, timed, *, our_batches):
    """Take steps with transformers' Trainer, and peft."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from groundup.configs.training import TrainConfig
    from groundup.data.length_batches import LengthBatches

    splits = texts()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, dtype=torch.float32)
    model.config.pad_token_id = tokenizer.pad_token_id
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0,
                               target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))  # fmt: skip
    if method == "last":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(("model.layers.29.", "model.norm.", "score.")))
    rows = [{**tokenizer(text, truncation=True, max_length=256), "labels": label}
            for text, label in zip(splits.train.texts, splits.train.labels, strict=True)]  # fmt: skip
    if our_batches:
        dealt = LengthBatches([len(one["input_ids"]) for one in rows], BATCH, TrainConfig().seed)
        rows = [rows[i] for step in range(warm + timed) for i in dealt.batch(step)]
    seen = {"tokens": 0, "read": 0}
    pad = DataCollatorWithPadding(tokenizer)

    def count(_model, _args, named):  # where a step reads them: the loader is one or two batches ahead
        seen["tokens"] += int(named["attention_mask"].sum())
        seen["read"] += named["attention_mask"].numel()

    model.register_forward_pre_hook(count, with_kwargs=True)

    class Clock(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == warm:
                seen.update(tokens=0, read=0, began=time.perf_counter())

        def on_step_end(self, args, state, control, **_):
            if state.global_step == warm + timed:
                seen["seconds"] = time.perf_counter() - seen["began"]

    extra = {"train_sampling_strategy": "sequential"} if our_batches else {}
    told = TrainingArguments(output_dir=str(folder.parent / "out"), max_steps=warm + timed, use_cpu=True,
                             per_device_train_batch_size=BATCH, report_to="none", save_strategy="no",
                             logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
                             **extra)  # fmt: skip
    Trainer(model=model, args=told, train_dataset=rows, data_collator=pad, callbacks=[Clock()]).train()
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"tokens": seen["tokens"], "read": seen["read"], "seconds": seen["seconds"], "learned": learned}


def main(who, method, folder, warm, timed):
    """Measure one turn and print it."""
    import torch

    from groundup.training.peak_memory import peak_memory

    if who == "groundup":
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        found = ours(method, warm, timed)
    else:
        found = theirs(method, folder, warm, timed, our_batches="our" in who)
    print(json.dumps({**found, "peak": peak_memory(torch.device("cpu"))}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
