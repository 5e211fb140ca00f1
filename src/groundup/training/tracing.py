"""Hooks on every module of a model that find where the first number that is not finite came from."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from groundup.tasks.task import Task
from groundup.training.going_back import counts, is_finite
from groundup.training.step_report import Cause, larger

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")

SMALLER_STEPS = "take smaller steps: a lower learning_rate, a longer warmup, or a lower clip_norm"
"""What helps where finite inputs and finite weights overflow."""


@dataclass
class _Call:
    """One call of a module."""

    name: str
    """Of the module."""
    inside: str | None
    """The module whose code called it. None: the task did."""
    gradient_is_bad: bool = False
    """Whether the gradient of its output is not finite."""


class Trace:
    """Follows one step of `model`: forward through every module, backward through the gradients of their outputs.

    Each input of a module is passed on as a view of itself. The numbers stay the same, and the gradient of the view is
    what this one module contributes, where that of the input would be the sum over everything that reads it.

    A module's own code is what it does besides calling its children: the module that is blamed is the innermost one
    whose own code, or whose kernel, turned finite numbers into others.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.cause: Cause | None = None
        self.outputs: dict[str, float] = {}
        self.micro_batch = 0
        self._names = {id(module): name for name, module in model.named_modules()}
        self._stack: list[_Call] = []
        self._last_bad: _Call | None = None  # the first call, going backward, whose output has a bad gradient
        self._newest: _Call | None = None  # of this micro-batch, among those that no module made

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Attach the hooks while the block runs."""
        handles: list[Any] = []
        for module in self.model.modules():
            handles += [
                module.register_forward_pre_hook(self._before, with_kwargs=True),
                module.register_forward_hook(self._after, with_kwargs=True),
            ]
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                handles.append(parameter.register_hook(self._parameter_hook(name)))  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def begin(self) -> None:
        """Note that the next micro-batch begins, the backward pass of the last one being over."""
        self.conclude()
        self.micro_batch += 1
        self._newest = None
        self._stack.clear()

    def check_loss(self, loss: Tensor) -> None:
        """Look at the loss of a micro-batch, which the task made from what the modules gave."""
        if self.cause is None and not is_finite(loss):
            self._blame(
                "loss",
                "",
                f"the loss is the first number that is not finite: {loss.item()}",
                "every module's output was finite: the logits, or the sum over them, are too large",
                SMALLER_STEPS,
            )

    def conclude(self) -> None:
        """After the backward pass: blame what follows the first output with a bad gradient, if nothing was blamed."""
        call = self._last_bad
        if self.cause is not None or call is None:
            return
        # A task may call methods of the model instead of the model, and then it is the last module that feeds the loss.
        by_loss = call.inside is None and call is self._newest
        where = "the loss" if by_loss else f"the code of {self._title(call.inside or '')}"
        self._blame(
            "backward",
            call.name if by_loss else call.inside or "",
            f"{where} gave the first gradient that is not finite, to the output of {self._title(call.name)}",
            "the loss is finite: a function used there has no finite slope at what it was given (a root or logarithm "
            "at 0, a division), or the slope overflows",
            "keep its argument away from that point (an epsilon inside the root), or take smaller steps",
        )

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        call = _Call(self._names[id(module)], self._stack[-1].name if self._stack else None)
        if self.cause is None:
            self._look_at_inputs(call, [*args, *kwargs.values()])
        self._newest = self._newest if self._stack else call
        self._stack.append(call)
        hook = self._input_hook(call)
        return tuple(_seen(x, hook) for x in args), {name: _seen(x, hook) for name, x in kwargs.items()}

    def _after(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> object:
        call, given = self._stack.pop(), [*args, *kwargs.values()]
        if isinstance(output, Tensor) and any(output is x for x in given):
            output = output.view_as(output)  # what passes through needs two tensors, to have a gradient on each side
        for tensor in _tensors(output):
            largest = float(tensor.detach().abs().max()) if tensor.numel() else 0.0  # NaN if there is any
            self.outputs[call.name] = larger(self.outputs.get(call.name, 0.0), largest)
            if self.cause is None and not math.isfinite(largest):
                self._blame_output(call.name, module, tensor, given)
            if tensor.requires_grad:
                tensor.register_hook(self._output_hook(call))  # type: ignore[no-untyped-call]
        return output

    def _look_at_inputs(self, call: _Call, inputs: Sequence[object]) -> None:
        # A mask may hold -inf by right; NaN or +inf never is one's intention.
        if not any(bool((torch.isnan(x) | torch.isposinf(x)).any()) for x in _tensors(inputs)):
            return
        if call.inside is None and self._newest is None:
            what, reason = "the batch itself is not finite", "no module had been called yet"
            self._blame("forward", "", what, reason, "mend the data: what the task gives for this step")
        else:
            self._blame(
                "forward",
                call.inside or "",
                f"the code of {self._title(call.inside or '')} gave the first numbers that are not finite, to "
                f"{call.name}",
                "the outputs of all modules called before were finite",
                SMALLER_STEPS,
            )

    def _blame_output(self, name: str, module: nn.Module, output: Tensor, inputs: Sequence[object]) -> None:
        bad_inputs = [x for x in _tensors(inputs) if not is_finite(x)]
        what = f"{self._title(name)} gave the first numbers that are not finite: {counts(output)}"
        rows = _rows(output)
        if bad_inputs:
            self._blame("forward", name, what, f"it was given {counts(bad_inputs[0])}", SMALLER_STEPS, rows)
        else:
            sizes = [float(x.detach().abs().max()) for x in _tensors(inputs) if x.numel()]
            given = f"its inputs (of a size up to {max(sizes):.3g})" if sizes else "its inputs"
            parts = ", and all that its parts gave" if next(module.children(), None) is not None else ""
            self._blame("forward", name, what, f"{given}, its weights{parts} were finite", SMALLER_STEPS, rows)

    def _input_hook(self, call: _Call) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            if self.cause is None and not call.gradient_is_bad and not is_finite(gradient):
                self._blame_backward(call.name, f"for its input: {counts(gradient)}", _rows(gradient))

        return look

    def _output_hook(self, call: _Call) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            if not is_finite(gradient):
                call.gradient_is_bad = True
                self._last_bad = self._last_bad or call

        return look

    def _parameter_hook(self, name: str) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            if self.cause is None and self._last_bad is None and not is_finite(gradient):
                owner, _, own = name.rpartition(".")
                self._blame_backward(owner, f"for its {own}: {counts(gradient)}")

        return look

    def _blame_backward(self, name: str, where: str, rows: tuple[int, ...] = ()) -> None:
        self._blame(
            "backward",
            name,
            f"{self._title(name)} gave the first gradient that is not finite, {where}",
            "the loss, and the gradient of its output, are finite: its slope overflows or does not exist (a root or "
            "logarithm at 0, a division)",
            "keep its argument away from that point (an epsilon inside the root), or take smaller steps",
            rows,
        )

    def _blame(self, phase: str, module: str, what: str, reason: str, advice: str, rows: tuple[int, ...] = ()) -> None:
        told = f", in row{'s' * (len(rows) > 1)} {_listed(rows)}" if rows else ""
        self.cause = Cause(
            phase=phase,
            module=module,
            what=what + told,
            reason=reason,
            advice=advice,
            micro_batch=self.micro_batch,
            rows=rows,
        )

    def _title(self, name: str) -> str:
        kind = type(self.model.get_submodule(name)).__name__
        return f"{name} ({kind})" if name else f"the model ({kind})"


class Watched(Generic[M, B]):
    """A task that tells a trace when a micro-batch begins and what its loss is."""

    def __init__(self, task: Task[M, B], trace: Trace) -> None:
        self._task, self._trace = task, trace

    def n_targets(self, batch: B) -> int:
        """Return what the task returns."""
        return self._task.n_targets(batch)

    def n_tokens(self, batch: B) -> int:
        """Count as the task does."""
        return self._task.n_tokens(batch)

    def loss(self, model: M, batch: B) -> Tensor:
        """Return what the task returns."""
        self._trace.begin()
        loss = self._task.loss(model, batch)
        self._trace.check_loss(loss)
        return loss


def _seen(value: object, hook: Callable[[Tensor], None]) -> object:
    if not isinstance(value, Tensor) or not value.requires_grad:
        return value
    view = value.view_as(value)
    view.register_hook(hook)  # type: ignore[no-untyped-call]
    return view


def _tensors(value: object) -> list[Tensor]:
    """Return the tensors of floats in an argument or output: itself, or those in it."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, dict):
        value = list(value.values())
    return [x for one in value for x in _tensors(one)] if isinstance(value, list | tuple) else []


def _rows(tensor: Tensor) -> tuple[int, ...]:
    """Return the rows of the batch, from 1, that are not finite; none where all of them are.

    Example:
        >>> _rows(torch.tensor([[0.0, 1.0], [torch.nan, 1.0], [0.0, 0.0]]))
        (2,)
    """
    if tensor.ndim < 2:
        return ()
    bad = (~torch.isfinite(tensor)).flatten(1).any(1).nonzero().flatten().tolist()
    return () if len(bad) == tensor.shape[0] else tuple(i + 1 for i in bad)


def _listed(rows: tuple[int, ...], most: int = 4) -> str:
    return ", ".join(map(str, rows[:most])) + (", …" if len(rows) > most else "")
