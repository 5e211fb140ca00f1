"""A folder is there whole or not at all."""

import os
from pathlib import Path

import pytest

from groundup.errors import InputError
from groundup.weights.new_folder import new_folder, refuse_in_use


def write(folder: Path, text: str) -> None:
    with new_folder(folder) as beside:
        (beside / "a.txt").write_text(text)
        assert not (folder / "a.txt").exists()


@pytest.mark.parametrize("there", [False, True])
def test_it_is_there_at_the_end_with_nothing_beside(tmp_path: Path, there: bool):
    folder = tmp_path / "deep" / "model"
    if there:
        folder.mkdir(parents=True)
    write(folder, "1")
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert (folder / "a.txt").read_text() == "1"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), InputError("no")])
def test_whatever_goes_wrong_leaves_nothing(tmp_path: Path, error: BaseException):
    expected = InputError if isinstance(error, OSError) else type(error)

    def write_half() -> None:
        with new_folder(tmp_path / "model") as beside:
            (beside / "a.txt").write_text("half")
            raise error

    with pytest.raises(expected) as caught:
        write_half()
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, OSError):
        assert "No space left on device; make room or name another place" in str(caught.value)


@pytest.mark.parametrize("process", [os.getpid(), 0], ids=["our number", "nobody's"])
def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path, process: int):
    (tmp_path / f".model.{process}.unfinished").mkdir()
    (tmp_path / f".model.{process}.unfinished" / "old.txt").touch()
    write(tmp_path / "model", "1")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["a.txt"]


def test_of_two_processes_that_write_at_once_the_first_to_end_has_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "model"

    def write_while_another_does() -> None:
        with new_folder(folder) as ours:
            (ours / "a.txt").write_text("ours")
            monkeypatch.setattr(os, "getpid", lambda: 1)
            write(folder, "theirs")
            assert (ours / "a.txt").read_text() == "ours"

    with pytest.raises(InputError, match="in use: name another"):
        write_while_another_does()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (folder / "a.txt").read_text() == "theirs"


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match="in use: name another"):
            refuse_in_use(place)
        with pytest.raises(InputError, match="in use: name another"):
            write(place, "1")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
