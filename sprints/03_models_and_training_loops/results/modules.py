"""Shows what nn.Module does: __init__ and forward, parameters found by assignment, state, modes and hooks."""

import inspect
import sys
from collections import OrderedDict
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup import engine as eg
from groundup.engine import nn

OUT = Path("runs/sprints/03_models_and_training_loops")


class Net(nn.Module):
    """One hidden layer: images [B, 784] in, logits [B, 10] out."""

    def __init__(self, width: int = 128, p: float = 0.5) -> None:
        super().__init__()  # first: it makes the places where the next lines are kept
        self.hidden = nn.Linear(784, width)
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(p)
        self.output = nn.Linear(width, 10)
        self.scale = nn.Parameter(eg.ones(1))  # learned
        self.register_buffer("mean", eg.zeros(784))  # saved with the rest, and not learned
        self.note = "an ordinary attribute"  # neither

    def forward(self, x: eg.Tensor) -> eg.Tensor:
        """Return the logits; calling net(x) comes here, hooks included."""
        h = self.activation(self.hidden(x - self.mean))  # [B, width]
        return self.scale * self.output(self.dropout(h))


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    print("A module is __init__, which says what it has, and forward, which says what it does:\n")
    print(inspect.getsource(Net))
    model = Net()
    print("What assigning made of it:")
    print(f"  named_parameters  {[name for name, _ in model.named_parameters()]}")
    print(f"  named_buffers     {[name for name, _ in model.named_buffers()]}")
    print(f"  named_children    {[name for name, _ in model.named_children()]}")
    print(f"  state_dict        {list(model.state_dict())}")
    print(f"\n{model}")
    for mode in (model.eval, model.train):
        mode()
        print(f"after {mode.__name__}(): training is", {name: part.training for name, part in model.named_children()})

    parts = OrderedDict(
        hidden=torch.nn.Linear(784, 128),
        activation=torch.nn.ReLU(),
        dropout=torch.nn.Dropout(0.5),
        output=torch.nn.Linear(128, 10),
    )
    theirs = torch.nn.Sequential(parts).eval()
    state = {name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()}
    left_out = theirs.load_state_dict(state, strict=False).unexpected_keys
    x = eg.randn(32, 784)
    with torch.no_grad(), eg.no_grad():
        apart = (theirs(torch.tensor(x.numpy())) - torch.tensor(model.eval()(x).numpy())).abs().max()
    print(f"\ntorch's modules of the same names take this state_dict but for {left_out}, which are")
    print(f"1 and 0 before training: the outputs differ by {apart:.0e}.")
    try:
        model.load_state_dict({"hidden.weight": eg.zeros(3, 3)})
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
        panel.set(title=f"{label}  {list(y.shape)}", yticks=[], xlabel="value")
        panel.title.set_fontsize(10)
        panel.spines["left"].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "modules.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
