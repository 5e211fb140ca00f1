"""Shows what nn.Module does: parameters found by assignment, __init__ and forward, state, modes and hooks."""

import inspect
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup import engine as eg
from groundup.engine import nn

OUT = Path("runs/sprints/03_models_and_training_loops")


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    print("A module is __init__, which says what it has, and forward, which says what it does. This is Linear:\n")
    for method in (nn.Linear.__init__, nn.Linear.forward):
        print(inspect.getsource(method))

    module = nn.Module()
    module.scale = nn.Parameter(eg.ones(3))  # Module.__setattr__ sorts what is assigned by its kind
    module.layer = nn.Linear(3, 2)
    module.register_buffer("mean", eg.zeros(3))
    module.note = "an ordinary attribute"
    print("After assigning a Parameter, a Linear, a buffer and a string:")
    print(f"  named_parameters  {[name for name, _ in module.named_parameters()]}")
    print(f"  named_buffers     {[name for name, _ in module.named_buffers()]}")
    print(f"  named_children    {[name for name, _ in module.named_children()]}")
    print(f"  state_dict        {list(module.state_dict())}")

    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
    print(f"\n{model}")
    model.eval()
    print(f"after eval(): {[part.training for part in model]} are training", end="; ")
    model.train()
    print(f"after train(): {[part.training for part in model]}")

    theirs = torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(128, 10)
    ).eval()
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()})
    x = eg.randn(32, 784)
    with torch.no_grad(), eg.no_grad():
        apart = (theirs(torch.tensor(x.numpy())) - torch.tensor(model.eval()(x).numpy())).abs().max()
    print(f"torch's own modules take this state_dict; the outputs differ by {apart:.0e}.")
    try:
        model.load_state_dict({"0.weight": eg.zeros(3, 3)})
    except nn.StateDictError as error:
        print(f"load_state_dict of something else: {error}")

    outputs = {}
    for name, part in model.named_children():
        label = f"{name}: {type(part).__name__}"
        part.register_forward_hook(lambda _module, _inputs, y, label=label: outputs.__setitem__(label, y.detach()))
    model.train()(x)

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, len(outputs), figsize=(12, 3.2))
    figure.suptitle("Forward hooks see what every module gives out")
    for i, (panel, (label, y)) in enumerate(zip(panels, outputs.items(), strict=True)):
        panel.hist(y.numpy().ravel(), bins=40, color=f"C{i}")
        panel.set(title=f"{label}  {list(y.shape)}", yticks=[])
        panel.title.set_fontsize(10)
        panel.spines["left"].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "modules.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
