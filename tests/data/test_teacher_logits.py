"""What a teacher said is found by all that decides it, and by nothing else."""

import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from groundup.data import teacher_logits
from groundup.data.grown_arrays import Block
from groundup.data.teacher_logits import (
    IDS,
    LOGPROBS,
    TeacherLogitsKey,
    open_teacher_logits,
    write_teacher_logits,
)
from groundup.errors import InputError

KEY = TeacherLogitsKey(
    teacher="t", tokens="x", n_tokens=6, vocab_size=9, end_id=None, context_length=4, top_k=2, temperature=1.0,
    precision="float16",
)  # fmt: skip
OTHER = {
    "teacher": "u", "tokens": "y", "n_tokens": 7, "vocab_size": 10, "end_id": 0, "context_length": 5, "top_k": 3,
    "temperature": 2.0, "precision": "float32",
}  # fmt: skip


def blocks(first: int) -> Iterator[Block]:
    ids, logs = np.arange(10).reshape(5, 2), -np.arange(15.0).reshape(5, 3)
    yield from [{IDS: ids[:3], LOGPROBS: logs[:3]}, {IDS: ids[3:], LOGPROBS: logs[3:]}][first:]


def test_what_is_kept_is_found_by_position(tmp_path: Path):
    lines: list[str] = []
    assert open_teacher_logits(tmp_path, KEY) is None
    write_teacher_logits(tmp_path, KEY, blocks, report=lines.append)
    said = open_teacher_logits(tmp_path, KEY)
    assert said is not None
    ids, logprobs = said.at(np.array([4, 0]))
    assert (ids.dtype, logprobs.dtype) == (np.int64, np.float32)
    assert ids.tolist() == [[8, 9], [0, 1]]
    assert logprobs.tolist() == [[-12, -13, -14], [0, -1, -2]]
    assert lines == [f"the teacher reads the text: 5 tokens, 0.1 kB in {tmp_path / KEY.name}"]  # told beforehand
    assert sum(path.stat().st_size for path in (tmp_path / KEY.name).glob("*.bin")) == KEY.n_bytes == 50


def test_every_field_of_the_key_is_in_the_name():
    assert OTHER.keys() == {field.name for field in fields(KEY)}
    names = {KEY.name, *(replace(KEY, **{name: value}).name for name, value in OTHER.items())}
    assert len(names) == 1 + len(OTHER)


def test_sizes_follow_vocabulary_and_precision():
    assert KEY.token_bytes == 2 * 2 + 3 * 2
    assert replace(KEY, vocab_size=65_537).token_bytes == 2 * 4 + 3 * 2
    assert replace(KEY, precision="float32").token_bytes == 2 * 2 + 3 * 4


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path):
    write_teacher_logits(tmp_path, KEY, blocks)
    other = replace(KEY, teacher="another")
    shutil.copytree(tmp_path / KEY.name, tmp_path / other.name)
    with pytest.raises(InputError, match=r"what this teacher says of this text in .*, found something else: remove"):
        open_teacher_logits(tmp_path, other)


def test_no_room_is_said_before_anything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(teacher_logits.shutil, "disk_usage", lambda path: usage(100, 0, 12_300))

    def never(first: int) -> Iterator[Block]:
        raise AssertionError("computed")

    with pytest.raises(InputError, match=r"^expected 1\.1 GB free at .* of 8,000,000 tokens \(130 bytes each\), found "
                                         r"12\.3 kB: make room, lower top_k, .*$"):  # fmt: skip
        write_teacher_logits(tmp_path, replace(KEY, n_tokens=8_000_000, top_k=32), never)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^expected to write in .*file/x, found: Not a directory$"):
        write_teacher_logits(tmp_path / "file" / "x", KEY, blocks)
