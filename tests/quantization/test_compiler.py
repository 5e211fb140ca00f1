"""The marks of compiled functions: what is kept where, when it is compiled anew, and what is left without numba."""

import ast
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.quantization import compiler
from groundup.quantization.kernels import has_kernels

HERE = Path(compiler.__file__).parent
needs_numba = pytest.mark.skipif(not has_kernels(), reason="numba is not installed")


def ratio(a: float, b: float) -> float:
    """Compiled below, once for all tests."""
    return a / b


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("numba")


@pytest.fixture(scope="module")
def fast_ratio(place: Path) -> Any:
    """Return `ratio`, compiled into `place`, which is asked for as a person would."""
    config, before = compiler.config, compiler.config.CACHE_DIR
    config.CACHE_DIR = str(place)
    try:
        yield compiler.compiled("float64(float64, float64)")(ratio)
    finally:
        config.CACHE_DIR = before


def marked(path: Path) -> bool:
    """Whether functions of a module are compiled: it takes `compiled` or `intrinsic` from the compiler."""
    imports = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    names = {name.name for one in imports if one.module == "groundup.quantization.compiler" for name in one.names}
    return bool(names & {"compiled", "intrinsic"})


def test_all_modules_whose_functions_are_compiled_decide_what_is_compiled_anew():
    assert {path.stem for path in HERE.glob("*.py") if marked(path)} | {"compiler"} == set(compiler.SOURCES)


@needs_numba
def test_a_signature_is_compiled_at_once_and_kept_in_the_folder_that_is_asked_for(fast_ratio: Any, place: Path):
    assert [str(signature) for signature in fast_ratio.signatures] == ["(float64, float64)"]
    assert list(place.rglob("*ratio*.nbi"))
    assert {path.relative_to(place).parts[0] for path in place.rglob("*")} == {Path(compiler._folder(str(place))).name}


@needs_numba
def test_what_is_not_finite_stays_so_and_division_by_zero_is_no_error(fast_ratio: Any):
    assert fast_ratio(3.0, 2.0) == 1.5
    assert fast_ratio(1.0, 0.0) == math.inf
    assert math.isnan(fast_ratio(0.0, 0.0))
    assert math.isnan(fast_ratio(math.nan, 1.0))


@needs_numba
def test_numbas_own_folder_is_as_before(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(place / "other"))
    compiler.compiled()(ratio)
    assert Path(compiler.config.CACHE_DIR) == place / "other"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the modules, so that one can be changed."""
    folder = tmp_path / "quantization"
    folder.mkdir()
    for name in compiler.SOURCES:
        shutil.copy(HERE / f"{name}.py", folder)
    monkeypatch.setattr(compiler, "__file__", str(folder / "compiler.py"))
    compiler._folder.cache_clear()
    yield folder
    compiler._folder.cache_clear()


@pytest.mark.parametrize("name", compiler.SOURCES)
def test_a_change_in_any_module_takes_another_folder(sources: Path, name: str):
    before = compiler._folder("")
    assert Path(before).parent == sources / "__pycache__"
    compiler._folder.cache_clear()
    assert compiler._folder("") == before
    with (sources / f"{name}.py").open("a") as file:
        file.write("# changed\n")
    compiler._folder.cache_clear()
    assert compiler._folder("") != before


def test_where_the_package_cannot_be_written_the_users_cache_is_taken(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiler.os, "access", lambda path, mode: False)
    monkeypatch.setattr(compiler, "cache_folder", lambda: tmp_path / "cache")
    assert Path(compiler._folder("")).parent == tmp_path / "cache"
    assert Path(compiler._folder(str(tmp_path / "named"))).parent == tmp_path / "named"


def test_without_numba_functions_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiler, "njit", None)
    monkeypatch.setattr(compiler, "numba_intrinsic", None)
    mark: Callable[[Any], Any] = compiler.compiled("float64(float64, float64)")
    assert mark(ratio) is ratio
    assert compiler.intrinsic(ratio) is ratio
