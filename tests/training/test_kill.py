"""A run that is killed by SIGKILL, anywhere and often, ends in the same bits as one that is not."""

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import STEPS, config, killed_until_done, outcome, write_corpus

from groundup.training.launch import resume, start
from groundup.training.run_folder import Run
from groundup.training.run_lock import LOCK

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork and no SIGKILL")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whole")
    return start(config(write_corpus(folder)), folder / "run", console=Console(quiet=True)).run


def begun(whole: Run, folder: Path) -> Run:
    """Return a run of the same config of which nothing was done yet."""
    return Run.create(folder / "run", config(whole.path.parent / "text.txt"))


def test_killed_at_every_event_of_a_session(whole: Run, tmp_path: Path):
    run = begun(whole, tmp_path)
    # A session opens, renames and forces to disk some 30 files before its first step, and some 15 for each save: by
    # the time that one of them lives long enough to finish, the sessions have died at each of these places.
    assert killed_until_done(run.path, "events", 1) > 40
    assert outcome(run, STEPS) == outcome(whole, STEPS)


def test_killed_at_random_moments(whole: Run, tmp_path: Path):
    run = begun(whole, tmp_path)
    assert killed_until_done(run.path, "moments", 6) > 0
    assert outcome(run, STEPS) == outcome(whole, STEPS)


@pytest.mark.slow
def test_killed_two_dozen_times_as_commands(whole: Run, tmp_path: Path):
    """`groundup resume` as a person calls it, killed from outside while it imports, prepares, trains or saves."""
    run, chance = begun(whole, tmp_path), random.Random(1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    n_kills = 0
    while n_kills < 24:
        with subprocess.Popen(
            [sys.executable, "-m", "groundup", "resume", str(run.path)], stdout=subprocess.DEVNULL, env=environment
        ) as process:
            if n_kills % 4:  # wait until it has the lock, so that the kill falls into its work
                wait_for_lock(run, process)
                time.sleep(chance.uniform(0.0, 1.5))
            else:
                time.sleep(chance.uniform(0.0, 6.0))
            process.kill()
        n_kills += 1
    assert resume(run.path, console=Console(quiet=True)).step == STEPS
    assert outcome(run, STEPS) == outcome(whole, STEPS)


def wait_for_lock(run: Run, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if f'"pid": {process.pid},' in (run.path / LOCK).read_text():
                return
        time.sleep(0.005)
