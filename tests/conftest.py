"""One thread a process, for xdist keeps the cores busy and threads that wait are slower; a cache of their own; and no
picture of every small run, which takes longer than its training.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in the commands that tests run
if "GROUNDUP_CACHE" not in os.environ:  # what tests measure or download is not what the user's runs should find
    cache = tempfile.mkdtemp(prefix="groundup-tests-")
    os.environ["GROUNDUP_CACHE"] = cache
    atexit.register(shutil.rmtree, cache, ignore_errors=True)

# A busy machine makes any example slow; what a test asserts does not depend on it.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def no_loss_curves() -> Iterator[None]:
    """Let the runs of tests leave an empty loss.png; whoever asserts something about the picture draws it."""

    def draw_nothing(metrics: Path, picture: Path, **_: object) -> None:
        picture.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groundup.training.tracking.draw_loss_curve", draw_nothing)
        yield
