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
STEPS, SCORED, PARTS = 300, 8_192, ("train", "validation")
GPT2 = GPTConfig(vocab_size=50_257, context_length=256)  # 124M parameters, with a quarter of its positions
INT8, INT4 = QuantizationConfig(to="int8"), QuantizationConfig(to="int4")
OURS = {
    "int8": INT8,
    "int4, round": INT4,
    "int4, fitted": replace(INT4, method="fitted"),
    "int4, gptq": replace(INT4, method="gptq", calibration_tokens=8_192, embeddings=False),
}
TORCH, TIMED = "torch.ao, dynamic int8", ("int8", "int4, round")
TITLES = ("Megabytes", "Tokens drawn in a second", "KL(before ‖ after), nats a token")


def by_torch(model: GPT) -> GPT:
    """Return a copy whose linear layers are PyTorch's: weights and inputs in 8 bits, each by the range of all."""
    with warnings.catch_warnings(action="ignore"):  # it says that it will move to torchao
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)


def size_and_speed() -> dict[str, tuple[int, float, float]]:
    """Return megabytes, and tokens a second read and drawn, of GPT-2's shape with weights drawn at random."""
    torch.manual_seed(0)
    plain = GPT(GPT2).eval()
    kept = {"float32": plain, **{name: quantize_model(copy.deepcopy(plain), OURS[name]) for name in TIMED}}
    fast = {name: prepare_for_inference(model) for name, model in kept.items()}
    fast[TORCH] = by_torch(plain)
    speeds = measure_throughput(list(fast.values()), n_prompt=64, n_drawn=16, rounds=2)
    sizes = {name: bytes_of(model) for name, model in kept.items()}
    sizes[TORCH] = bytes_of(plain.token_embedding) + plain.n_parameters(embeddings=False)  # a byte a weight
    return {name: (sizes[name] / 1e6, one.prefill, one.decode) for name, one in zip(fast, speeds, strict=True)}


def losses() -> dict[str, tuple[float, float]]:
    """Return by how much the loss of a small GPT rises that has learned tales, and KL(before ‖ after)."""
    config, schedule, rows = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01), {}
    training = replace(config.training, steps=STEPS, batch_size=8, schedule=schedule, **CPU)
    data, shape = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        start(replace(config, data=data, model=shape, training=training), run, console=Console(quiet=True))
        found = open_model(str(run))
        seen, unseen = (torch.tensor(open_tokens(run / "tokens", part).ids[:SCORED].astype("int64")) for part in PARTS)
    reading = {"byte_lengths": byte_lengths_of(found.tokenizer), "end_id": found.tokenizer.end_id}
    for name in (*OURS, TORCH):
        model = by_torch(found.model) if name == TORCH else quantize_model(copy.deepcopy(found.model), OURS[name], seen)
        row = compare_logits(found.model, model, unseen.numpy(), context_length=128, **reading)
        rows[name] = row.after.loss - row.before.loss, row.kl
    return rows


def main(out: Path = OUT) -> None:
    cost, lost = size_and_speed(), losses()
    print("                      GPT-2: MB   read/s   drawn/s   tales: loss rises by   KL, nats")
    for name in dict.fromkeys([*cost, *lost]):
        left = "{:>9.1f}{:>9.0f}{:>10.1f}".format(*cost[name]) if name in cost else " " * 28
        print(f"{name:<22}{left}" + ("{:>23.5f}{:>11.6f}".format(*lost[name]) if name in lost else ""))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2))
    for panel, rows, place, title in zip(panels, (cost, cost, lost), (0, 2, 1), TITLES, strict=True):
        panel.barh(list(rows), [row[place] for row in rows.values()])
        panel.locator_params(axis="x", nbins=4)
        panel.set(title=title, ylim=(len(rows) - 0.5, -0.5))
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(path := out / "gpt2_in_bits.png")
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
