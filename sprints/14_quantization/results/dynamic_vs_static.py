"""Shows 8 bits for what is multiplied, too: a range for each token as it comes, or one for all, seen on a text."""

import copy
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.quantization import QuantizationConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.tokens import open_tokens
from groundup.evaluation.degradation import compare_logits
from groundup.evaluation.layer_errors import layer_errors
from groundup.evaluation.perplexity import byte_lengths_of
from groundup.quantization.convert import quantize_model, quantized_layers
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start

OUT = Path("runs/sprints/14_quantization")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
STEPS, SCORED = 300, 8_000
WEIGHTS = QuantizationConfig(to="int8")
STATIC = replace(WEIGHTS, activations="static", calibration_tokens=8_192)
WAYS = {
    "weights only": WEIGHTS,
    "dynamic": replace(WEIGHTS, activations="dynamic"),
    "static, all that was seen": STATIC,
    "static, 99.9 % of it": replace(STATIC, observer="percentile", percentile=99.9),
    "static, 99 % of it": replace(STATIC, observer="percentile", percentile=99.0),
    "static, by entropy": replace(STATIC, observer="entropy"),
    "static, seen on 128 tokens": replace(STATIC, calibration_tokens=128),
}


def main(out: Path = OUT) -> None:
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    training = replace(config.training, steps=STEPS, batch_size=8, schedule=schedule, **CPU)
    data, shape = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        start(replace(config, data=data, model=shape, training=training), run, console=Console(quiet=True))
        found = open_model(str(run))
        seen, unseen = (torch.from_numpy(open_tokens(run / "tokens", part).ids[:20_000].astype("int64"))
                        for part in ("train", "validation"))  # fmt: skip
    reading = {
        "context_length": 128,
        "byte_lengths": byte_lengths_of(found.tokenizer),
        "end_id": found.tokenizer.end_id,
    }
    losses, errors = {}, {}
    print("weights in 8 bits, inputs         loss rises by   KL, nats   same first choice   seconds")
    for name, way in WAYS.items():
        model = quantize_model(copy.deepcopy(found.model), way, seen)
        began = time.perf_counter()
        apart = compare_logits(found.model, model, unseen[:SCORED].numpy(), **reading)
        seconds = time.perf_counter() - began
        losses[name] = apart.after.loss - apart.before.loss
        errors[name] = layer_errors(found.model, model, unseen[:512].view(4, 128))
        print(f"{name:<32}{losses[name]:>15.5f}{apart.kl:>11.6f}{apart.agreement:>20.2%}{seconds:>10.1f}")
    layers = quantized_layers(quantize_model(copy.deepcopy(found.model), STATIC, seen))
    ranges = {path: layer.activations for path, layer in layers.items() if hasattr(layer, "activations")}
    widest, narrowest = (pick(ranges, key=lambda path: ranges[path].scale) for pick in (max, min))
    print(f"Steps between numbers, static: from {ranges[narrowest].scale:.4f} ({narrowest}) to "
          f"{ranges[widest].scale:.4f} ({widest})")  # fmt: skip

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11.5, 4.4))
    for name in ("weights only", "dynamic", "static, all that was seen"):
        panels[0].plot([100 * one.error for one in errors[name]], "o-", label=name)
    panels[0].set(title="What each layer's output loses", xlabel="layer", ylabel="%", ylim=(0, None))
    panels[0].legend()
    panels[1].barh(range(len(losses)), list(losses.values()))
    panels[1].set(yticks=range(len(losses)), yticklabels=list(losses), title="What the model loses")
    panels[1].set(xlabel="nats a token")
    panels[1].invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "dynamic_vs_static.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
