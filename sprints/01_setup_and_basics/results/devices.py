"""Shows moving tensors between CPU and GPU, with torch, since the engine has no devices; without a GPU it says so."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup import engine as eg
from groundup.training.devices import choose_device

OUT = Path("runs/sprints/01_setup_and_basics")
SIZES = [64, 128, 256, 512]


def finish(device: torch.device) -> None:
    """Wait until the device has done its work: a GPU takes orders and computes later."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(multiply: Callable[[], object], device: torch.device | None = None, times: int = 5) -> float:
    """Return the best of some runs, after one to warm up."""
    multiply()
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        multiply()
        if device is not None:
            finish(device)
        best = min(best, time.perf_counter() - start)
    return best


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    best = choose_device()
    devices = [torch.device("cpu")] + ([best] if best.type != "cpu" else [])
    print(f"Devices here: {', '.join(device.type for device in devices)}.", end=" ")
    print(
        "The engine is NumPy and computes on the CPU only." if len(devices) > 1 else "There is no GPU on this machine:"
    )
    if len(devices) == 1:
        print("what follows is the CPU alone. With a GPU the same lines of torch show it too.")

    x = torch.randn(3, 4)
    moved = x.to(best)
    print(f"\nx.to({best.type!r}): device {moved.device}, equal numbers {torch.equal(moved.cpu(), x)}, ", end="")
    print(f"the same memory {moved.data_ptr() == x.data_ptr()} (a move to where it is already copies nothing)")
    elsewhere = x.to("meta")
    print(
        f"x.to('meta'): device {elsewhere.device}, shape {list(elsewhere.shape)}: a device with shapes and no numbers"
    )
    try:
        x @ elsewhere.T
    except (RuntimeError, NotImplementedError) as error:
        print(f"x @ x.to('meta').T: {str(error).splitlines()[0][:104]}")
    shared = eg.from_numpy(x.numpy())
    print(f"to the engine and back without a copy: {torch.equal(torch.from_numpy(shared.numpy()), x)}")

    print("\nProduct of two matrices, milliseconds")
    columns = {f"torch, {device.type}": [] for device in devices} | {"engine, cpu": []}
    for n in SIZES:
        a = torch.randn(n, n)
        for device in devices:
            there = a.to(device)
            columns[f"torch, {device.type}"].append(1e3 * seconds(lambda m=there: m @ m, device))
        ours = eg.from_numpy(a.numpy())
        columns["engine, cpu"].append(1e3 * seconds(lambda m=ours: m @ m))
    print("size       " + "".join(f"{name:>14}" for name in columns))
    for i, n in enumerate(SIZES):
        print(f"{n:>5}²     " + "".join(f"{values[i]:>14.3f}" for values in columns.values()))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(6.5, 4.2))
    for (name, values), line in zip(columns.items(), ("o-", "s--", "^:"), strict=False):
        panel.plot(SIZES, values, line, label=name)
    panel.set(title="Product of two square matrices", xlabel="rows and columns", ylabel="milliseconds")
    panel.set(xscale="log", yscale="log")
    panel.set_xticks(SIZES, SIZES)
    panel.set_xticks([], minor=True)
    panel.grid(axis="y")
    panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "devices.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
