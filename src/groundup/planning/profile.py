"""Where the time of a training step goes: by kind of work, by module, by operation; and a trace to look at."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path

from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from groundup.configs.run import RunConfig
from groundup.errors import InputError
from groundup.planning.attribution import DATA, MODULE, OPTIMIZER, Share, Spans, by_kind, by_module, by_operation
from groundup.planning.workbench import Workbench
from groundup.training.compute import cpu_threads


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where the time went."""

    step: float
    """Seconds of a step without the profiler: the median."""
    profiled: float
    """Seconds of a step with it; the shares are of this."""
    n_steps: int
    """Steps that were profiled."""
    kinds: list[Share]
    """By kind of work, in the order of KINDS."""
    modules: list[Share]
    """By module, layers added up, the most expensive first."""
    operations: list[Share]
    """By torch operation, itself without what it calls, the most expensive first."""
    trace: Path
    """A file for chrome://tracing or ui.perfetto.dev."""


def profile_run(config: RunConfig, folder: Path, trace: Path, *, steps: int = 5) -> Profile:
    """Take a few steps of a run, first without and then with torch's profiler.

    Args:
        config: the run; its corpus is prepared in `folder`.
        folder: for what the run writes; a temporary one will do.
        trace: the file to write; must not exist.
        steps: steps to profile.

    Raises:
        InputError: a run that cannot begin, or a trace that cannot be written.
    """
    if trace.exists():
        raise InputError(f"expected a new file for the trace, found {trace} in use: give another with --trace")
    if not trace.parent.is_dir():
        raise InputError(f"expected a folder for the trace, found nothing at {trace.parent}: make it first")
    try:
        trace.touch(exist_ok=False)  # torch's profiler says nothing about a place that it cannot write
        trace.unlink()
    except OSError as error:
        raise InputError(f"expected to write the trace to {trace}, found: {error.strerror}; see --trace") from None
    bench = Workbench(config, folder)
    with cpu_threads(bench.config.training.compute.threads):
        plain, profiled, recorder = _record(bench, steps)
    try:
        recorder.export_chrome_trace(str(trace))
    except (OSError, RuntimeError) as error:
        raise InputError(f"expected to write the trace to {trace}, found: {error}") from None
    events = recorder.events()  # type: ignore[no-untyped-call]
    spans = Spans(events or [], steps, on_device=bench.device.type == "cuda")
    return Profile(
        step=plain,
        profiled=profiled,
        n_steps=steps,
        kinds=by_kind(spans, profiled),
        modules=by_module(spans),
        operations=by_operation(spans),
        trace=trace,
    )


def _record(bench: Workbench, steps: int) -> tuple[float, float, profile]:
    """Return seconds of a step without and with the profiler, and what it recorded."""
    bench.step(0)
    bench.step(1)
    plain = statistics.median(bench.seconds(partial(bench.step, number)) for number in range(2, 2 + steps))
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if bench.device.type == "cuda" else [])
    with ranges(bench.model), profile(activities=activities) as recorder:
        began = time.perf_counter()
        for number in range(2 + steps, 2 + 2 * steps):
            _recorded_step(bench, number)
        bench.wait()
        profiled = (time.perf_counter() - began) / steps
    return plain, profiled, recorder


def _recorded_step(bench: Workbench, number: int) -> None:
    original = bench.task.train_batch
    with record_function(DATA):
        batches = original(number)
    bench.task.train_batch = lambda step: batches  # type: ignore[method-assign]
    try:
        bench.stepper.gradient(number)
    finally:
        bench.task.train_batch = original  # type: ignore[method-assign]
    with record_function(OPTIMIZER):
        bench.stepper.update(number)


@contextmanager
def ranges(model: nn.Module) -> Iterator[None]:
    """Name, in the profile, the module that each operation of a forward pass belongs to."""
    open_ranges: list[record_function] = []
    handles = []

    def enter(name: str) -> Callable[[nn.Module, object], None]:
        def hook(module: nn.Module, arguments: object) -> None:
            entered = record_function(f"{MODULE}{name}")
            entered.__enter__()  # type: ignore[no-untyped-call]
            open_ranges.append(entered)

        return hook

    def leave(module: nn.Module, arguments: object, output: object) -> None:
        open_ranges.pop().__exit__(None, None, None)

    for path, module in model.named_modules():
        if path and not isinstance(module, nn.ModuleList):
            handles.append(module.register_forward_pre_hook(enter(_without_numbers(path))))
            handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _without_numbers(path: str) -> str:
    """Return the path of a module with all layers under one name.

    Example:
        >>> _without_numbers("blocks.11.attention.query")
        'blocks.attention.query'
    """
    return ".".join(part for part in path.split(".") if not part.isdigit())


def free_name(stem: str) -> Path:
    """Return stem.json in the current folder, or the first of stem-2.json, stem-3.json, … that is free."""
    names = chain([f"{stem}.json"], (f"{stem}-{i}.json" for i in count(2)))
    return next(path for path in map(Path, names) if not path.exists())
