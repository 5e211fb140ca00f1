"""Arrays that are written block by block: whole or not at all, and the same bytes however often it was interrupted."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from groundup.data import grown_arrays
from groundup.data.grown_arrays import Block, Column, open_arrays, write_arrays
from groundup.errors import InputError

COLUMNS = {"ids": Column("<u2", 2), "logs": Column("<f2", 3)}
N_BLOCKS = 5
TOLD = {"teacher": "t", "k": 2}


def blocks(first: int) -> Iterator[Block]:
    for number in range(first, N_BLOCKS):
        generator, rows = np.random.default_rng(number), number + 1
        yield {"ids": generator.integers(0, 9, (rows, 2)), "logs": generator.random((rows, 3), dtype=np.float32)}


def stopped_before(stop: int, first: int) -> Iterator[Block]:
    for number, block in enumerate(blocks(first), first):
        if number == stop:
            raise KeyboardInterrupt
        yield block


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written_is_read(tmp_path: Path):
    told: list[int] = []
    write_arrays(tmp_path / "a", COLUMNS, blocks, told=TOLD, report=told.append)
    found = open_arrays(tmp_path / "a")
    found.verify()
    whole = list(blocks(0))
    assert found.told == TOLD
    assert found.columns == COLUMNS
    assert told == [1, 3, 6, 10, 15]
    assert np.array_equal(found.column("ids"), np.concatenate([block["ids"] for block in whole]))
    assert np.array_equal(found.column("logs"), np.concatenate([block["logs"] for block in whole]).astype("<f2"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]  # nothing is left beside


@pytest.mark.parametrize("torn", [False, True])
def test_an_interrupted_writer_goes_on_to_the_same_bytes(tmp_path: Path, torn: bool):
    write_arrays(tmp_path / "whole", COLUMNS, blocks, told=TOLD)
    for stop in (0, 2, 2, 4):
        with pytest.raises(KeyboardInterrupt):
            write_arrays(tmp_path / "a", COLUMNS, lambda first, stop=stop: stopped_before(stop, first), told=TOLD)
        assert not (tmp_path / "a").exists()
        if torn:  # a process that was killed in the middle of a block
            with (tmp_path / ".a.partial" / "ids.bin").open("ab") as file:
                file.write(b"half")
    asked: list[int] = []

    def rest(first: int) -> Iterator[Block]:
        asked.append(first)
        return blocks(first)

    write_arrays(tmp_path / "a", COLUMNS, rest, told=TOLD)
    assert asked == [4]  # nothing is computed twice
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_what_was_begun_with_other_words_is_thrown_away(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_arrays(tmp_path / "a", COLUMNS, lambda first: stopped_before(3, first), told={"teacher": "other"})
    write_arrays(tmp_path / "a", COLUMNS, blocks, told=TOLD)
    write_arrays(tmp_path / "b", COLUMNS, blocks, told=TOLD)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_full_disk_is_one_line_and_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    n_synced, sync = [0], grown_arrays.os.fsync

    def full(descriptor: int) -> None:
        n_synced[0] += 1
        if n_synced[0] > 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(grown_arrays.os, "fsync", full)
        with pytest.raises(InputError, match=r"^expected room to write .*/a, found: No space left on device; .*kept"):
            write_arrays(tmp_path / "a", COLUMNS, blocks, told=TOLD)
    asked: list[int] = []
    write_arrays(tmp_path / "a", COLUMNS, lambda first: asked.append(first) or blocks(first), told=TOLD)
    assert asked[0] > 0
    write_arrays(tmp_path / "b", COLUMNS, blocks, told=TOLD)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_damage_is_named(tmp_path: Path):
    write_arrays(tmp_path / "a", COLUMNS, blocks, told=TOLD)
    raw = bytearray((tmp_path / "a" / "logs.bin").read_bytes())
    raw[5] ^= 1
    (tmp_path / "a" / "logs.bin").write_bytes(raw)
    with pytest.raises(InputError, match=r"expected .*logs\.bin as it was written, found SHA-256"):
        open_arrays(tmp_path / "a").verify()
    (tmp_path / "a" / "logs.bin").write_bytes(raw[:-1])
    with pytest.raises(InputError, match=r"logs\.bin as it was written, found 89 bytes instead of 90 bytes: remove"):
        open_arrays(tmp_path / "a")
    (tmp_path / "a" / "arrays.json").write_text("{}")
    with pytest.raises(InputError, match=r"arrays\.json as it was written, found something else"):
        open_arrays(tmp_path / "a")
    with pytest.raises(InputError, match="No such file"):
        open_arrays(tmp_path / "nothing")


def test_blocks_of_another_shape_are_a_mistake_of_ours(tmp_path: Path):
    with pytest.raises(ValueError, match="as many rows"):
        write_arrays(tmp_path / "a", COLUMNS, lambda first: iter([{"ids": np.zeros((1, 2))}]), told={})
    wrong = {"ids": np.zeros((1, 3)), "logs": np.zeros((1, 3))}
    with pytest.raises(ValueError, match="2 elements"):
        write_arrays(tmp_path / "b", COLUMNS, lambda first: iter([wrong]), told={})
