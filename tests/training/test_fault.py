"""Taking a step apart: whatever breaks, wherever it breaks, the module is named; and nothing is changed by looking."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from groundup.configs import ComputeConfig, GPTConfig, TrainConfig
from groundup.data.corpora import find_corpus
from groundup.data.tokens import open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import LanguageModeling, TokenBatch
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.fault import diagnose, report_fault, write_report
from groundup.training.run_folder import Run
from groundup.training.schedules import learning_rate
from groundup.training.step import Stepper

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 30
TOKENIZER = CharacterTokenizer.from_text([TEXT])
CONFIG = TrainConfig(steps=12, batch_size=3, accumulation_steps=2, device="cpu")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "text.txt").write_text(TEXT)
    prepare_tokens(find_corpus(str(folder / "text.txt")), TOKENIZER, folder / "tokens", validation_fraction=0.1)
    return folder / "tokens"


@pytest.fixture
def stepper(tokens: Path) -> Stepper[GPT, TokenBatch]:
    torch.manual_seed(0)
    sizes = GPTConfig(vocab_size=TOKENIZER.vocab_size, context_length=8, d_model=16, n_layers=3, n_heads=2, dropout=0.2)
    task = LanguageModeling(
        train=open_tokens(tokens, "train"),
        validation=open_tokens(tokens, "validation"),
        tokenizer=TOKENIZER,
        context_length=8,
        training=CONFIG,
    )
    return Stepper(GPT(sizes).train(), task, CONFIG, torch.device("cpu"))


class Broken(nn.Module):
    """A module with a function of its own on its inner module's output, in the training step where `when` says so."""

    def __init__(self, inner: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.function = inner, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.inner(x))


def break_(stepper: Stepper[GPT, TokenBatch], function: Callable[[Tensor], Tensor]) -> None:
    block = stepper.model.blocks[1]
    block.feed_forward = Broken(block.feed_forward, function)


def test_a_healthy_step_is_described_and_nothing_changes(stepper: Stepper[GPT, TokenBatch]):
    expected = stepper.gradient(4)
    weights = {name: tensor.clone() for name, tensor in stepper.model.state_dict().items()}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    report = diagnose(stepper, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in stepper.model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in stepper.model.modules())
    assert all(parameter.grad is None and not parameter._backward_hooks for parameter in stepper.model.parameters())

    assert (report.step, report.cause) == (5, None)
    assert (report.loss, report.gradient_norm) == (expected.loss.item(), expected.norm.item())  # the same dropout
    assert report.learning_rate == learning_rate(4, CONFIG)
    names = ["token_embedding", "position_embedding", "blocks.0", "blocks.1", "blocks.2", "final_norm"]
    assert [layer.name for layer in report.layers] == names
    # The layers' norms are those of the whole gradient, before clipping; summed in another order.
    assert math.hypot(*(layer.gradient_norm for layer in report.layers)) == pytest.approx(
        report.gradient_norm, rel=1e-5
    )
    assert report.text == stepper.task.describe(stepper.task.train_batch(4)[0])
    assert stepper.gradient(4).norm.item() == expected.norm.item()


def test_largest_outputs_are_those_of_the_modules(stepper: Stepper[GPT, TokenBatch]):
    seen: list[float] = []
    handle = stepper.model.blocks[2].attention.output.register_forward_hook(
        lambda module, args, output: seen.append(output.abs().max().item())
    )
    stepper.gradient(0)
    handle.remove()
    report = diagnose(stepper, 0)
    assert len(seen) == 2  # two micro-batches
    assert report.outputs["blocks.2.attention.output"] == max(seen)
    assert report.layers[4].largest_output == max(
        size for name, size in report.outputs.items() if name.startswith("blocks.2")
    )


def test_a_weight_that_is_infinite(stepper: Stepper[GPT, TokenBatch]):
    stepper.model.blocks[2].feed_forward.down.weight.data[3, 4] = math.inf
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert (cause.phase, cause.module, cause.micro_batch) == ("forward", "blocks.2.feed_forward.down", 1)
    assert cause.weights == "blocks.2.feed_forward.down.weight holds 1 infinite of 1,024"
    assert cause.reason == f"the weights were already not finite before this step: {cause.weights}"
    assert cause.advice.startswith("go back to an earlier checkpoint, or start a new run")


def test_finite_weights_that_overflow(stepper: Stepper[GPT, TokenBatch]):
    for layer in (stepper.model.blocks[1].feed_forward.up, stepper.model.blocks[1].feed_forward.down):
        layer.weight.data.mul_(1e25)
    report = diagnose(stepper, 0)
    assert report.cause is not None
    assert report.cause.module == "blocks.1.feed_forward.down"
    assert re.fullmatch(r"its inputs \(of a size up to \S+e\+2\d\), its weights were finite", report.cause.reason)
    assert "lower learning_rate" in report.cause.advice
    assert next(layer.name for layer in report.layers if math.isnan(layer.largest_output or 0.0)) == "blocks.1"


def test_a_function_between_modules_is_put_down_to_the_module_that_calls_it(stepper: Stepper[GPT, TokenBatch]):
    break_(stepper, lambda y: y / (y - y))
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert (cause.phase, cause.module) == ("forward", "blocks.1.feed_forward")
    assert "and all that its parts gave were finite" in cause.reason


def test_a_function_before_a_module_too(stepper: Stepper[GPT, TokenBatch]):
    class Before(Broken):
        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.function(x))

    block = stepper.model.blocks[1]
    block.feed_forward = Before(block.feed_forward, lambda y: y / 0)
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert cause.module == "blocks.1.feed_forward"
    assert cause.what.endswith("gave the first numbers that are not finite, to blocks.1.feed_forward.inner")


def test_one_row_of_one_micro_batch(stepper: Stepper[GPT, TokenBatch]):
    calls = []

    def overflow_in_the_second_micro_batch(y: Tensor) -> Tensor:
        calls.append(y)
        spoiled = torch.zeros_like(y)
        spoiled[2] = 1e38 if len(calls) % 2 == 0 else 0.0
        return y + spoiled * 1e38

    break_(stepper, overflow_in_the_second_micro_batch)
    report = diagnose(stepper, 7)
    assert report.cause is not None
    assert (report.cause.micro_batch, report.cause.rows) == (2, (3,))
    assert report.cause.what.endswith("in row 3")
    batch = stepper.task.train_batch(7)[1]
    text = TOKENIZER.decode([*batch.inputs[2].tolist(), int(batch.targets[2, -1])])
    assert f"row 3  {json.dumps(text)}" in report.text.splitlines()
    assert [line for line in report.lines() if line.startswith("  row ")] == [f"  row 3  {json.dumps(text)}"]


def test_a_slope_that_does_not_exist(stepper: Stepper[GPT, TokenBatch]):
    break_(stepper, lambda y: y + (y - y).abs().sqrt())
    report = diagnose(stepper, 0)
    assert math.isfinite(report.loss)
    assert math.isnan(report.gradient_norm)
    assert report.cause is not None
    assert (report.cause.phase, report.cause.module) == ("backward", "blocks.1.feed_forward")
    broken = {layer.name: layer.n_nan > 0 for layer in report.layers}
    assert broken == {
        "token_embedding": True,
        "position_embedding": True,
        "blocks.0": True,
        "blocks.1": True,
        "blocks.2": False,
        "final_norm": False,
    }


def test_a_slope_of_a_branch_that_shares_its_input(stepper: Stepper[GPT, TokenBatch]):
    """The sum of gradients is bad for both readers of the input; the one that broke is named, the other is not."""

    class Two(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.first, self.second = Broken(nn.Identity(), lambda y: (y - y).abs().sqrt()), inner

        def forward(self, x: Tensor) -> Tensor:
            return self.second(x) + self.first(x)

    stepper.model.blocks[1].feed_forward = Two(stepper.model.blocks[1].feed_forward)
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert cause.module == "blocks.1.feed_forward.first"


def test_a_gradient_of_a_weight_alone(stepper: Stepper[GPT, TokenBatch]):
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.weight.sqrt()

    stepper.model.blocks[0].dropout = Scale()
    stepper.parameters.append(stepper.model.blocks[0].dropout.weight)
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert (cause.phase, cause.module) == ("backward", "blocks.0.dropout")
    assert "for its weight" in cause.what


def test_the_slope_of_the_loss(stepper: Stepper[GPT, TokenBatch], monkeypatch: pytest.MonkeyPatch):
    loss = stepper.task.loss
    monkeypatch.setattr(stepper.task, "loss", lambda m, b: (x := loss(m, b)) + (x - x).sqrt())
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert (cause.phase, cause.module, cause.micro_batch) == ("backward", "", 1)
    assert cause.what.startswith(
        "the loss gave the first gradient that is not finite, to the output of the model (GPT)"
    )


@pytest.mark.parametrize("where", ["loss", "between", "before"])
def test_a_task_that_calls_a_method_of_the_model(
    stepper: Stepper[GPT, TokenBatch], monkeypatch: pytest.MonkeyPatch, where: str
):
    """As the loss in blocks does: `forward` of the model is never called, so no hook stands around its own code."""

    def loss(model: GPT, batch: TokenBatch) -> Tensor:
        hidden = model.hidden_states(batch.inputs)
        return (hidden.sum() if where != "loss" else hidden + (hidden - hidden).abs().sqrt()).sum()

    monkeypatch.setattr(stepper.task, "loss", loss)
    if where != "loss":  # a function in place of a module, between the embedding and the first block
        del stepper.model.dropout
        stepper.model.dropout = (  # type: ignore[assignment]
            (lambda x: x + (x - x).abs().sqrt()) if where == "between" else (lambda x: x / (x - x))
        )
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert (cause.phase, cause.module) == {
        "loss": ("backward", "final_norm"),
        "between": ("backward", ""),
        "before": ("forward", ""),
    }[where]
    said = {"loss": "the loss gave", "between": "the code of the model (GPT)", "before": "the code of the model (GPT)"}
    assert cause.what.startswith(said[where])


def test_a_batch_that_is_not_finite():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))

    class Points:
        def train_batch(self, step: int) -> list[Tensor]:
            return [torch.ones(3, 2), torch.tensor([[0.0, 1.0], [math.inf, 0.0]])]

        def n_targets(self, batch: Tensor) -> int:
            return len(batch)

        def n_tokens(self, batch: Tensor) -> int:
            return self.n_targets(batch)

        def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
            return model(batch).square().sum()

        def describe(self, batch: Tensor) -> str:
            return str(batch.tolist())

    report = diagnose(Stepper(model, Points(), CONFIG, torch.device("cpu")), 0)
    assert report.cause is not None
    assert (report.cause.what, report.cause.micro_batch) == ("the batch itself is not finite", 2)
    assert report.text == "[[0.0, 1.0], [inf, 0.0]]"


def test_a_loss_that_overflows_by_itself(stepper: Stepper[GPT, TokenBatch], monkeypatch: pytest.MonkeyPatch):
    loss = stepper.task.loss
    monkeypatch.setattr(stepper.task, "loss", lambda model, batch: loss(model, batch) * 1e38)
    report = diagnose(stepper, 0)
    assert report.loss == math.inf
    assert report.cause is not None
    assert (report.cause.phase, report.cause.micro_batch) == ("loss", 1)


def test_a_norm_that_overflows(stepper: Stepper[GPT, TokenBatch], monkeypatch: pytest.MonkeyPatch):
    loss = stepper.task.loss
    monkeypatch.setattr(stepper.task, "loss", lambda model, batch: loss(model, batch) * 1e25)
    report = diagnose(stepper, 0)
    assert (math.isfinite(report.loss), report.gradient_norm) == (True, math.inf)
    assert report.cause is not None
    assert report.cause.phase == "norm"
    assert all(math.isfinite(layer.gradient_norm) for layer in report.layers)


def test_what_does_not_come_again_is_said_to_be_so(stepper: Stepper[GPT, TokenBatch]):
    seen = stepper.gradient(0)
    report = diagnose(stepper, 0, seen=type(seen)(seen.loss * math.nan, seen.norm, seen.n_tokens))
    assert report.cause is not None
    assert report.cause.phase == "none"
    assert report.lines()[0] == "step 1 was not finite, and is when computed again"


def test_modules_that_change_their_input_in_place(stepper: Stepper[GPT, TokenBatch]):
    block = stepper.model.blocks[1]
    block.feed_forward = nn.Sequential(block.feed_forward, nn.ReLU(inplace=True), nn.Linear(16, 16))
    assert diagnose(stepper, 0).cause is None


def test_a_mask_of_minus_infinity_is_no_fault(stepper: Stepper[GPT, TokenBatch]):
    class Masked(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.inner(x) + mask.softmax(-1).sum()

    class Outer(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = Masked(inner)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x, mask=torch.tensor([0.0, -math.inf]))

    block = stepper.model.blocks[1]
    block.feed_forward = Outer(block.feed_forward)
    stepper.model.blocks[2].feed_forward.down.weight.data[0, 0] = math.nan
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert cause.module == "blocks.2.feed_forward.down"


def test_a_compiled_step_is_looked_into_without_compiling(stepper: Stepper[GPT, TokenBatch]):
    stepper.config = TrainConfig(batch_size=3, accumulation_steps=2, compute=ComputeConfig(compile=True))
    stepper.model.blocks[2].feed_forward.down.weight.data[0, 0] = math.nan
    cause = diagnose(stepper, 0).cause
    assert cause is not None
    assert cause.module == "blocks.2.feed_forward.down"


def test_a_report_is_shown_and_written(tmp_path: Path, stepper: Stepper[GPT, TokenBatch]):
    stepper.model.blocks[2].feed_forward.down.weight.data[3, 4] = math.inf
    run, shown = Run.create(tmp_path / "run", CONFIG), []
    line = report_fault(run, diagnose(stepper, 6), lambda text, style: shown.append((text, style)))
    assert "\n" not in line
    text = tmp_path / "run/faults/step-7.txt"
    assert line.startswith(
        "expected finite numbers, found loss nan at step 7: the weights were already not finite before this step "
        "(blocks.2.feed_forward.down.weight holds 1 infinite of 1,024); go back to an earlier checkpoint"
    )
    assert line.endswith(f"report in {text}; see it again with groundup replay {run.path} --step 7")
    assert shown[0] == ("step 7: the loss is not finite", "bold red")
    assert [text for text, style in shown if style == "bold red" and text.startswith("blocks.2")]
    assert "blocks.2.feed_forward.down" in text.read_text()
    held = json.loads(text.with_suffix(".json").read_text(), parse_constant=pytest.fail)
    assert (held["step"], held["loss"], held["cause"]["module"]) == (7, "nan", "blocks.2.feed_forward.down")


def test_a_report_that_cannot_be_written_is_not_lost(tmp_path: Path, stepper: Stepper[GPT, TokenBatch]):
    stepper.model.blocks[2].feed_forward.down.weight.data[3, 4] = math.inf
    (tmp_path / "faults").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"expected to write .*step-1.txt, found: .*blocks.2.feed_forward.down"):
        write_report(tmp_path / "faults", diagnose(stepper, 0))
