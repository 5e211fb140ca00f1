"""A file of an installed package is found without running the package."""

import sys
from pathlib import Path

import pytest

from groundup.weights.installed import installed_gguf, installed_smollm2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a package "a-model" in it, whose code must not run."""
    package, about = tmp_path / "a_model", tmp_path / "a_model-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('the package was imported')\n")
    (package / "tiny.gguf").write_bytes(b"GGUF")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: a-model\nVersion: 1.0\n")
    (about / "RECORD").write_text("a_model/__init__.py,,\na_model/tiny.gguf,,\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_the_file_is_found_and_the_package_is_not_imported(folder: Path):
    assert installed_gguf("a-model") == folder / "a_model" / "tiny.gguf"
    assert "a_model" not in sys.modules


def test_a_file_that_is_listed_but_gone_is_not_there(folder: Path):
    (folder / "a_model" / "tiny.gguf").unlink()
    assert installed_gguf("a-model") is None


def test_smollm2_is_a_file_or_nothing():
    found = installed_smollm2()
    assert found is None or (found.suffix == ".gguf" and found.is_file())
