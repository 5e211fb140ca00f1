"""Takes one step apart: computes it again with a look into every module, and writes down what was found."""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from groundup.errors import InputError
from groundup.training.going_back import broken_weights, way_back
from groundup.training.run_folder import Run, write_atomically
from groundup.training.schedules import learning_rate
from groundup.training.seeds import seed_step
from groundup.training.step import Gradient, Stepper
from groundup.training.step_report import ARROW, Cause, Layer, StepReport, larger, layer_of
from groundup.training.tracing import SMALLER_STEPS, Trace, Watched

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")

Tell = Callable[[str, str | None], object]
"""Prints a line in a style of rich's, or None."""


def diagnose(stepper: Stepper[M, B], index: int, *, seen: Gradient | None = None, run: Run | None = None) -> StepReport:
    """Compute the gradient of a step again and report on it; weights, moments and torch's generators stay as they are.

    It takes the same batches and the same dropout, so what broke breaks again, where the machine computes alike. The
    second time every module is looked into; without torch.compile, whose fused code has no modules.

    Args:
        stepper: holds the weights from before the step.
        index: the step's number for `Stepper.gradient`, from 0; the report calls it step `index` + 1, as metrics.jsonl.
        seen: what `stepper.gradient(index)` found. None: computed here.
        run: whose checkpoints to look into for a good one, where the weights were broken before. None: none.
    """
    device = stepper.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        found = stepper.gradient(index) if seen is None else seen
        loss, norm = found.loss.item(), found.norm.item()
        trace = Trace(stepper.model)
        batches = stepper.task.train_batch(index)
        again = _accumulate(stepper, batches, index, trace)
    layers = _layers(stepper.model, trace.outputs)
    stepper.optimizer.zero_grad(set_to_none=True)
    is_healthy = math.isfinite(loss) and math.isfinite(norm)
    cause = None if is_healthy else trace.cause or _cause_without_module(layers, again)
    if cause is not None and (weights := broken_weights(stepper.model)):
        cause = replace(
            cause,
            weights=weights,
            reason=f"the weights were already not finite before this step: {weights}",
            advice=way_back(run, index + 1),
        )
    which = 1 if cause is None else max(1, cause.micro_batch)
    return StepReport(
        step=index + 1,
        loss=loss,
        gradient_norm=norm,
        learning_rate=learning_rate(index, stepper.config),
        layers=layers,
        cause=cause,
        n_micro_batches=len(batches),
        outputs=trace.outputs,
        text=stepper.task.describe(batches[which - 1]),
    )


def report_fault(run: Run, report: StepReport, tell: Tell, *, width: int = 100) -> str:
    """Show a report, write it to faults/step-N in the run's folder, and return the one line that the run stops with.

    Args:
        run: where to write.
        report: what `diagnose` returned.
        tell: prints one line in a style of rich's, or None.
        width: columns to print in.

    Raises:
        InputError: the folder cannot be written.
    """
    show(report, tell, width=width)
    path = write_report(run.path / "faults", report)
    name, value = ("loss", report.loss) if not math.isfinite(report.loss) else ("gradient_norm", report.gradient_norm)
    cause = report.cause
    why = "" if cause is None else f": {cause.what}"
    if cause is not None and cause.weights:
        why = f": the weights were already not finite before this step ({cause.weights}); {cause.advice}"
    return (
        f"expected finite numbers, found {name} {value} at step {report.step}{why}; "
        f"report in {path}; see it again with groundup replay {run.path} --step {report.step}"
    )


def show(report: StepReport, tell: Tell, *, width: int = 100) -> None:
    """Print a report: what stands out in bold, what broke in red."""
    for i, line in enumerate(report.lines(width=width)):
        broke = report.cause is not None and (i == 0 or line.endswith(ARROW))
        tell(line, "bold red" if broke else "bold" if i == 0 else None)


def write_report(folder: Path, report: StepReport) -> Path:
    """Write step-N.json and, for people, step-N.txt into `folder`; return the path of the latter.

    Raises:
        InputError: the folder cannot be written; what broke is in the message.
    """
    path = folder / f"step-{report.step}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path.with_suffix(".json"), json.dumps(report.document(), allow_nan=False, indent=1) + "\n")
        write_atomically(path, "\n".join(report.lines(full=True)) + "\n")
    except OSError as error:
        why = "" if report.cause is None else f": {report.cause.what}"
        raise InputError(
            f"expected to write {path}, found: {error.strerror or error}; {report.headline()}{why}"
        ) from None
    return path


def _accumulate(stepper: Stepper[M, B], batches: Any, index: int, trace: Trace) -> float:  # noqa: ANN401
    """Fill the gradients of a step, not clipped, with `trace` listening; return its loss."""
    watched = copy.copy(stepper)
    watched.task = Watched(stepper.task, trace)  # type: ignore[assignment]  # all that accumulate asks of a task
    stepper.optimizer.zero_grad(set_to_none=True)
    seed_step(stepper.config.seed, index, stepper.device)
    with trace.listening():  # a task that was exchanged is not compiled, so its modules are called one by one
        loss = watched.accumulate(batches)
    trace.conclude()
    return loss.item()


def _layers(model: nn.Module, outputs: dict[str, float]) -> tuple[Layer, ...]:
    """Return what is known of each layer that has parameters or was called, in the order of the forward pass."""
    parameters: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            parameters.setdefault(layer_of(name.rpartition(".")[0]), []).append(parameter.grad.detach())
    largest: dict[str, float] = {}
    for name, size in outputs.items():
        if name:
            largest[layer_of(name)] = larger(largest.get(layer_of(name), 0.0), size)
    called = [name for name in largest if name in parameters]
    names = [*called, *(name for name in parameters if name not in largest)]
    return tuple(_layer(name, parameters[name], largest.get(name)) for name in names)


def _layer(name: str, gradients: list[Tensor], largest: float | None) -> Layer:
    squares, n_values, n_nan, n_infinite = 0.0, 0, 0, 0
    for gradient in gradients:
        finite = gradient[torch.isfinite(gradient)].double()  # squares of 1e20 leave the range of float32
        squares += float(finite.square().sum())
        n_values += gradient.numel()
        n_nan += int(torch.isnan(gradient).sum())
        n_infinite += int(torch.isinf(gradient).sum())
    return Layer(
        name=name or "the model",
        gradient_norm=math.sqrt(squares),
        n_values=n_values,
        n_nan=n_nan,
        n_infinite=n_infinite,
        largest_output=largest,
    )


def _cause_without_module(layers: tuple[Layer, ...], loss: float) -> Cause:
    """Say why a step that was not finite has no module to blame."""
    if math.isfinite(loss) and not any(layer.n_nan or layer.n_infinite for layer in layers):
        largest = max(layers, key=lambda layer: layer.gradient_norm, default=None)
        if largest is not None and largest.gradient_norm > 1e18:  # its square is near the end of float32
            return Cause(
                phase="norm",
                module=largest.name,
                what=f"every gradient is finite, and their norm overflows: that of {largest.name} is "
                f"{largest.gradient_norm:.3g}",
                reason="the loss and all gradients are finite; a sum of squares above 3.4e38 is not",
                advice=SMALLER_STEPS,
            )
        return Cause(
            phase="none",
            module="",
            what="computed again, with a look into every module, the loss and all gradients are finite",
            reason="so neither the batch nor the weights alone decide it: compiled code, kernels that differ from call "
            "to call, or a fault of the machine's memory",
            advice="resume; if it comes back, try --training.compute.no-compile, or another machine",
        )
    return Cause(
        phase="loss",
        module="",
        what="the sum over the micro-batches is the first number that is not finite",
        reason="the loss of each of them is finite",
        advice=SMALLER_STEPS,
    )
