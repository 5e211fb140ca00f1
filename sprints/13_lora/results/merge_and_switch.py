"""Shows LoRA adapters that change nothing at first, are merged, taken out to the bit, and switched on one base."""

import sys
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import TextConfig
from groundup.configs.finetuning import LoRAConfig, TuningConfig
from groundup.configs.generation import GenerationConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.labelled_corpora import moods
from groundup.data.tokens import open_tokens
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.finetuning.adapters import adapter_names, use_adapter
from groundup.finetuning.launch import finetune
from groundup.finetuning.lora import apply_lora, merge, unmerge
from groundup.finetuning.peft_files import load_adapter
from groundup.generation.stream import generate_text
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start
from groundup.weights.huggingface_export import largest_logit_difference

OUT = Path("runs/sprints/13_lora")
QUIET, MOODS = Console(quiet=True), ("happy", "sad")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
DRAWING = GenerationConfig(max_new_tokens=100, temperature=0.4, seed=2)
PROMPT = "One windy day, a curious young fox named Felix took his red kite to the hill. But "
TUNING = TuningConfig(method="lora", lora=LoRAConfig(rank=4, targets=("all",)))


def pretrain(folder: Path) -> str:
    """Train a small GPT on tales, and return its folder as the name of a model."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    training = replace(config.training, steps=300, batch_size=8, schedule=schedule, **CPU)
    data, model = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    start(replace(config, data=data, model=model, training=training), folder, console=QUIET)
    return str(folder)


def main(out: Path = OUT) -> None:
    rows, unseen = moods(2_000), {}
    texts = {m: [text for text, mood in zip(rows.texts, rows.labels, strict=True) if mood == m] for m in MOODS}
    training = replace(finetune_training("lora", steps=60, batch_size=8, evaluations=1), learning_rate=5e-3, **CPU)
    with tempfile.TemporaryDirectory() as place:
        base = open_model(name := pretrain(Path(place) / "tales"))
        model, plain = base.model, deepcopy(base.model)
        apply_lora(model, TUNING.lora, "new")
        print(f"A new adapter: the logits differ from the base's by {largest_logit_difference(model, plain):g}.")
        for mood, tales in texts.items():
            (corpus := Path(place) / f"{mood} tales").mkdir()
            for n, text in enumerate(tales):  # a file a tale: documents do not see each other
                (corpus / f"{n:04}.txt").write_text(text, encoding="utf-8")
            data = DataConfig(corpus=str(corpus))
            config = TextConfig(base=name, data=data, context_length=128, tuning=TUNING, training=training)
            finetune(config, run := Path(place) / mood, open_base=open_model, console=QUIET)
            load_adapter(model, run / "adapter", name=mood)
            unseen[mood] = open_tokens(run / "tokens", "validation").ids[:4_000]
            size = sum(file.stat().st_size for file in (run / "adapter").iterdir())
            print(f"Learned from {len(tales)} {mood} tales: an adapter of {size:,} bytes, in PEFT's format.")
    merge(merged := deepcopy(model))
    print(f"Merged into the weights: the logits differ by {largest_logit_difference(merged, model):.0e}.")
    unmerge(merged)
    same = all(map(torch.equal, merged.state_dict().values(), model.state_dict().values()))
    print(f"Taken out again: every weight has the bits it had: {same}.")
    print(f"\nOn one base: {', '.join(adapter_names(model))}\nadapter   perplexity of happy, of sad tales   a tale")
    figures, end = {}, base.tokenizer.end_id
    reading = {"context_length": 128, "byte_lengths": byte_lengths_of(base.tokenizer), "end_id": end}
    for adapter in (None, *texts):
        use_adapter(model, adapter, learns=False)
        happy, sad = (evaluate_tokens(model, ids, **reading).perplexity for ids in unseen.values())
        figures[f"adapter {adapter}"] = happy, sad
        text = generate_text(model, base.tokenizer, [PROMPT], DRAWING)[0]
        print(f"{adapter!s:<9}{happy:>21.2f}{sad:>14.2f}   … {text[-90:]}")
    use_adapter(model, None)
    print(f"Without an adapter it is the base again: {largest_logit_difference(model, plain):g}.")
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(8, 4.2))
    for i, (adapter, values) in enumerate(figures.items()):
        places, colour = [k + 0.27 * (i - 1) for k in range(2)], ("#BBBBBB", "C4", "C0")[i]
        panel.bar_label(panel.bar(places, values, 0.25, color=colour, label=adapter), fmt="%.2f", padding=2)
    panel.set_xticks(range(2), [f"unseen {mood} tales" for mood in MOODS])
    panel.set(title="One base, two adapters: each knows its own tales best", ylabel="perplexity", ylim=(1, 2.6))
    panel.legend(ncols=3, loc="upper left")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "merge_and_switch.png")
    print(f"plot: {out / 'merge_and_switch.png'}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
