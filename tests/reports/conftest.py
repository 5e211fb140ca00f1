"""Runs by name, in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.reports.written_runs import write_run


@pytest.fixture
def a_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run called so; see `write_run`."""
    return lambda name, config, *args, **files: write_run(tmp_path / "runs" / name, config, *args, **files)
