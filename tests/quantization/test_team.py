"""Threads that work together: all are there at each wait, and whoever is stopped lets the others go."""

import pytest

from groundup.quantization.kernels import has_kernels
from groundup.quantization.team import all_here, work

needs_numba = pytest.mark.skipif(not has_kernels(), reason="numba is not installed")


@needs_numba
def test_nobody_goes_on_before_all_are_there():
    seen: list[str] = []

    def share(thread: int, n: int, counter: int) -> None:
        seen.append("before")
        goal = all_here(counter, n, n)
        seen.append("between")
        all_here(counter, goal, n)
        seen.append("after")

    work(share, n=3)
    assert seen == ["before"] * 3 + ["between"] * 3 + ["after"] * 3


@needs_numba
@pytest.mark.parametrize("stopped", [KeyboardInterrupt, ValueError])
def test_a_calling_thread_that_is_stopped_leaves_none_waiting(stopped: type[BaseException]):
    def share(thread: int, n: int, counter: int) -> None:
        if thread == 0:
            raise stopped
        all_here(counter, n, n)

    with pytest.raises(stopped):
        work(share, n=3)
    work(lambda thread, n, counter: all_here(counter, n, n), n=3)  # and the crew works on
