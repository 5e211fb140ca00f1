"""Shows what GPT-2's shape takes and how fast it is in 8 and 4 bits, beside PyTorch's own; and what a model loses."""

import copy
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console
from torch import nn

from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.tokens import open_tokens
from groundup.evaluation.degradation import compare_logits
from groundup.evaluation.layer_errors import bytes_of
from groundup.evaluation.perplexity import byte_lengths_of
from groundup.evaluation.throughput import measure_throughput
from groundup.generation.prepared import prepare_for_inference
from groundup.models.gpt import GPT
from groundup.quantization.convert import quantize_model
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start

OUT = Path("runs/sprints/14_quantization")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
STEPS, SCORED = 300, 8_000
GPT2 = GPTConfig(vocab_size=50_257, context_length=256)  # 124M parameters, with a quarter of its positions
INT8, INT4 = QuantizationConfig(to="int8"), QuantizationConfig(to="int4")
OURS = {
    "int8": INT8,
    "int8, dynamic": replace(INT8, activations="dynamic"),
    "int4, round": INT4,
    "int4, hqq": replace(INT4, method="hqq"),
    "int4, gptq": replace(INT4, method="gptq", calibration_tokens=8_192),
}
TIMED = ("int8", "int8, dynamic", "int4, round")  # methods give numbers of one form: they are equally fast
TORCH = "torch.ao, dynamic int8"


def by_torch(model: GPT) -> GPT:
    """Return a copy whose linear layers are PyTorch's: weights in 8 bits, inputs by the range of all at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it will move to torchao
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)


def torch_bytes(model: GPT) -> int:
    """Return the bytes of a model of `by_torch`: its packed weights are no parameters."""
    packed = [part for part in model.modules() if hasattr(part, "_packed_params")]
    return bytes_of(model) + sum(part.weight().numel() for part in packed)


def size_and_speed() -> dict[str, tuple[int, float, float]]:
    """Return bytes, and tokens a second read and drawn, of GPT-2's shape with weights drawn at random."""
    torch.manual_seed(0)
    plain = GPT(GPT2).eval()
    kept = {"float32": plain, **{name: quantize_model(copy.deepcopy(plain), OURS[name]) for name in TIMED}}
    fast = {name: prepare_for_inference(model) for name, model in kept.items()}
    kept[TORCH] = fast[TORCH] = by_torch(plain)
    speeds = measure_throughput(list(fast.values()), n_prompt=64, n_drawn=16, rounds=2)
    sizes = [torch_bytes(model) if name == TORCH else bytes_of(model) for name, model in kept.items()]
    return {name: (size, one.prefill, one.decode) for name, size, one in zip(kept, sizes, speeds, strict=True)}


def losses() -> dict[str, tuple[float, float]]:
    """Return by how much the loss of a small GPT rises that has learned tales, and KL(before ‖ after)."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    training = replace(config.training, steps=STEPS, batch_size=8, schedule=schedule, **CPU)
    data, shape = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        start(replace(config, data=data, model=shape, training=training), run, console=Console(quiet=True))
        found = open_model(str(run))
        seen = torch.from_numpy(open_tokens(run / "tokens", "train").ids[:20_000].astype("int64"))
        unseen = open_tokens(run / "tokens", "validation").ids[:SCORED].astype("int64")
    reading = {"byte_lengths": byte_lengths_of(found.tokenizer), "end_id": found.tokenizer.end_id}
    models = {name: quantize_model(copy.deepcopy(found.model), way, seen) for name, way in OURS.items()}
    models[TORCH] = by_torch(found.model)
    rows = {name: compare_logits(found.model, model, unseen, context_length=128, **reading)
            for name, model in models.items()}  # fmt: skip
    return {name: (row.after.loss - row.before.loss, row.kl) for name, row in rows.items()}


def main(out: Path = OUT) -> None:
    cost, lost = size_and_speed(), losses()
    whole = cost["float32"][0]
    print("                          GPT-2's shape, 124M                        a small model")
    print("                            MB   of float32   read/s   drawn/s   loss rises by   KL, nats")
    for name in dict.fromkeys([*cost, *lost]):
        size, reading, drawing = cost.get(name, (0, 0, 0))
        shown = f"{size / 1e6:>8.1f}{size / whole:>13.1%}{reading:>9.0f}{drawing:>10.1f}" if size else " " * 40
        rest = f"{lost[name][0]:>16.5f}{lost[name][1]:>11.6f}" if name in lost else ""
        print(f"{name:<22}{shown}{rest}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2))
    for panel, rows, title in (
        (panels[0], {name: row[0] / 1e6 for name, row in cost.items()}, "Megabytes"),
        (panels[1], {name: row[2] for name, row in cost.items()}, "Tokens drawn in a second"),
        (panels[2], {name: row[1] for name, row in lost.items()}, "KL(before ‖ after), nats a token"),
    ):
        panel.barh(range(len(rows)), list(rows.values()))
        panel.set(yticks=range(len(rows)), yticklabels=list(rows), title=title)
        panel.invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gpt2_in_bits.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
