"""`groundup models`: a table for people."""

from pathlib import Path

import pytest

from groundup.cli.main import main
from groundup.weights.catalog import PUBLISHED


def test_every_published_model_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["models", str(tmp_path)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1 : 1 + len(PUBLISHED)]] == list(PUBLISHED)
    assert any(f"{PUBLISHED['gpt2'].n_parameters:,}" in row for row in rows)
