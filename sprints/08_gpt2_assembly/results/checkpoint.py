"""Shows a checkpoint that rebuilds the model from the config saved in it, and notices a single damaged byte."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.codec import from_dict, to_dict
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.weights.checkpoint import load_checkpoint, save_checkpoint

OUT = Path("runs/sprints/08_gpt2_assembly")
CONFIG = GPTConfig(vocab_size=32, context_length=16, d_model=48, n_layers=2, n_heads=4, position="rotary", norm="rms")


def rebuild(folder: Path) -> GPT:
    """Return the model of a checkpoint, knowing nothing but the folder."""
    checkpoint = load_checkpoint(folder)
    model = GPT(from_dict(GPTConfig, checkpoint.documents["model_config"]))
    model.load_state_dict(checkpoint.tensors["model"])
    return model


def refusal(folder: Path, model: GPT | None) -> str:
    """Return the error of saving `model` into the folder, or of loading from it if None, without its place."""
    try:
        if model is None:
            load_checkpoint(folder)
        else:
            save_checkpoint(folder, tensors={"model": model.state_dict()}, documents={})
    except InputError as error:
        return str(error).replace(str(folder), folder.name)
    return "no error"


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    tokens = torch.arange(17).repeat(16, 1) + torch.arange(16)[:, None]  # counting, from 0 … 15
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()

    logits: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "step-40"
        documents = {"model_config": to_dict(model.config), "state": {"step": 40}}
        save_checkpoint(folder, tensors={"model": model.state_dict()}, documents=documents)
        print(f"{folder.name}: {len(model.state_dict())} tensors, {model.n_parameters():,} parameters")
        for path in sorted(folder.iterdir()):
            print(f"  {path.name:<22}{path.stat().st_size:>9,} bytes")
        with torch.no_grad():
            logits["saved"] = model(tokens[:, :-1])
            logits["rebuilt"] = rebuild(folder)(tokens[:, :-1])
            logits["new, not loaded"] = GPT(CONFIG)(tokens[:, :-1])
        print(f"rebuilt config equals the saved one: {rebuild(folder).config == CONFIG}")
        for name in ("rebuilt", "new, not loaded"):
            print(f"largest difference of logits to the saved model, {name}: ", end="")
            print(f"{(logits[name] - logits['saved']).abs().max():.2f}")
        print("\nsaving again:      ", refusal(folder, model))
        weights = folder / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        print("one bit changed:   ", refusal(folder, None))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(5.5, 5))
    for name, colour in (("new, not loaded", "C1"), ("rebuilt", "C0")):
        panel.scatter(
            logits["saved"].flatten()[::7].tolist(), logits[name].flatten()[::7].tolist(), 6, colour, label=name
        )
    panel.set(title="The same inputs through three models", xlabel="logits of the saved model", ylabel="logits")
    panel.legend(markerscale=3)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "checkpoint.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
