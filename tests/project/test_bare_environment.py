"""Every module imports with the core dependencies alone, and the command line starts without torch."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from groundup.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"


def core_closure() -> set[str]:
    """The distributions that `pip install groundup` brings, without any extra."""
    found: set[str] = set()
    waiting = ["groundup"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name.lower())
    return found - {"groundup"}


def bare_site(folder: Path) -> Path:
    """A folder that holds the core dependencies and nothing else, by links into this environment."""
    for name in core_closure():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a dependency of a dependency for another platform
        tops = {path.parts[0] for path in distribution.files or [] if path.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            target = Path(str(distribution.locate_file(top)))
            link = folder / top
            if target.exists() and not link.exists():
                link.symlink_to(target)
    return folder


def run_bare(site: Path, code: str) -> str:
    # -S: no site-packages; -E: no PYTHONPATH of the caller.
    program = f"import sys; sys.path[:0] = [{str(SOURCES)!r}, {str(site)!r}]\n{code}"
    done = subprocess.run([sys.executable, "-S", "-E", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_site(tmp_path_factory.mktemp("site"))


def test_the_bare_environment_is_bare(site: Path):
    seen = run_bare(
        site, "import importlib.util as u; print([n for n in ('transformers', 'pytest', 'torch') if u.find_spec(n)])"
    )
    assert seen.strip() == "['torch']"


def test_every_module_imports_with_the_core_alone(site: Path):
    names = [
        ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(SOURCES.rglob("*.py"))
    ]
    code = f"import importlib, json\nfor n in {names!r}: importlib.import_module(n)\nprint(json.dumps(len({names!r})))"
    assert json.loads(run_bare(site, code)) == len(names) > 20


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train"], ["train", "shakespeare-char", "--help"], *([name, "--help"] for name in COMMANDS)],
    ids=" ".join,
)
def test_help_does_not_import_torch(arguments: list[str]):
    code = (
        f"import sys\nfrom groundup.cli.main import main\ntry: main({arguments!r})\n"
        "except SystemExit as s: assert s.code == 0\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules, 'slow import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout
