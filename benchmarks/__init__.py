"""Benchmarks: ours and peers in one run. A module here with `run(tiny)` is a benchmark; `python -m benchmarks` runs it.

`run(tiny: bool) -> {"what": str, "rows": [{column: value}, …]}`, tiny being a smoke test of a few seconds.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from threadpoolctl import threadpool_limits


@dataclass
class Times:
    """What one contender took, run by run."""

    wall: list[float] = field(default_factory=list)
    """Seconds by the clock."""
    cpu: list[float] = field(default_factory=list)
    """Seconds of work, summed over all threads: what other programs on the machine hardly change."""

    @property
    def median(self) -> float:
        """Median seconds by the clock."""
        return statistics.median(self.wall)

    def columns(self) -> dict[str, str]:
        """Return the columns of a table that every benchmark shows."""
        spread = f"{min(self.wall):.3f} – {max(self.wall):.3f}"
        return {"median s": f"{self.median:.3f}", "fastest – slowest s": spread,
                "CPU s": f"{statistics.median(self.cpu):.3f}"}  # fmt: skip


def alternate(contenders: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Time each contender `repeats` times. They take turns, so that a busy machine slows all of them alike."""
    times = {name: Times() for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[name].wall.append(time.perf_counter() - wall)
            times[name].cpu.append(time.process_time() - cpu)
    return times


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16; else its kernels are a hundred times slower."""
    asks = (getattr(torch.cpu, f"_is_{kind}_supported", None) for kind in ("avx512_bf16", "amx_tile"))
    return any(ask is not None and ask() for ask in asks)


def steps_with(step: Callable[[], object], threads: int, n_steps: int) -> Callable[[], None]:
    """Return a function that takes `n_steps` steps with so many threads, of NumPy's products and of torch's."""

    def run() -> None:
        torch.set_num_threads(threads)
        with threadpool_limits(threads, user_api="blas"):
            for _ in range(n_steps):
                step()

    return run
