"""Rows from memory and rows from a file are the same rows; a large file leaves nothing in memory."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from groundup.data import rows
from groundup.data.rows import rows_of
from groundup.data.windows import Windows
from groundup.errors import InputError

needs_pread = pytest.mark.skipif(not hasattr(os, "pread"), reason="this system has no pread: files are mapped")


def token_file(folder: Path, dtype: str, n: int = 5_000) -> Path:
    np.random.default_rng(0).integers(0, 60_000, n).astype(dtype).tofile(folder / "tokens.bin")
    return folder / "tokens.bin"


@needs_pread
@pytest.mark.parametrize("dtype", ["<u2", "<u4", ">u2", "<i8"])
@pytest.mark.parametrize("offset", [0, 48])
def test_a_file_gives_the_rows_that_memory_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, offset: int
):
    ids = np.memmap(token_file(tmp_path, dtype), dtype=dtype, mode="r", offset=offset)
    starts = np.array([0, len(ids) - 9, 17, 17, 1])
    in_memory = np.array(ids)
    mapped = rows_of(ids, 9)(starts)
    monkeypatch.setattr(rows, "RESIDENT_BYTES", 0)
    from_file = rows_of(ids, 9)(starts)
    assert from_file.dtype == mapped.dtype == np.int64
    np.testing.assert_array_equal(from_file, [in_memory[start : start + 9] for start in starts])
    np.testing.assert_array_equal(from_file, mapped)


@needs_pread
def test_batches_are_the_same_from_a_file_and_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ids = np.memmap(token_file(tmp_path, "<u2"), dtype="<u2", mode="r")
    in_memory = Windows(np.array(ids), 16, seed=3)
    monkeypatch.setattr(rows, "RESIDENT_BYTES", 0)
    from_file = Windows(ids, 16, seed=3)
    for step in (0, 7, 400):
        for one, other in zip(from_file.batch(step, 5), in_memory.batch(step, 5), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.flags.writeable  # torch.from_numpy warns of memory that it may not write to


@needs_pread
def test_a_part_of_a_map_and_a_map_with_changes_are_not_taken_for_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rows, "RESIDENT_BYTES", 0)
    path = token_file(tmp_path, "<u2")
    part = np.memmap(path, dtype="<u2", mode="r")[100:]
    np.testing.assert_array_equal(rows_of(part, 4)(np.array([0])), [part[:4]])
    changed = np.memmap(path, dtype="<u2", mode="c")  # copy on write: the file never sees it
    changed[0] = 7
    assert rows_of(changed, 4)(np.array([0]))[0, 0] == 7


@needs_pread
def test_a_file_that_is_gone_or_cut_short_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "RESIDENT_BYTES", 0)
    path = token_file(tmp_path, "<u2")
    ids = np.memmap(path, dtype="<u2", mode="r")
    reader = rows_of(ids, 9)
    os.truncate(path, 1_000)
    with pytest.raises(InputError, match=r"expected .*tokens.bin as it was opened, found it cut short") as caught:
        reader(np.array([0, 496]))
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(InputError, match=r"expected the token file .*tokens.bin, found: No such file"):
        rows_of(ids, 9)


@needs_pread
def test_the_file_is_closed_with_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows, "RESIDENT_BYTES", 0)
    reader = rows_of(np.memmap(token_file(tmp_path, "<u2"), dtype="<u2", mode="r"), 9)
    descriptor = reader._descriptor
    os.fstat(descriptor)
    del reader
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


_READ = """
import sys
from pathlib import Path
from groundup.data.tokens import open_tokens
from groundup.data.windows import Windows

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) * 1024

tokens = open_tokens(Path(sys.argv[1]), "train")
before = resident()
tokens.verify()
windows = Windows(tokens.ids, context_length=256, seed=0)
for step in range(1_000):
    windows.batch(step, 16)
print(resident() - before)
"""


@needs_pread
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a process's memory is read from /proc")
def test_what_was_read_of_a_large_file_does_not_stay_in_memory(tmp_path: Path):
    n_tokens = 100_000_000  # 200 MB of zeros that take no disk; mapped, 16,000 random rows leave most of them resident
    with (tmp_path / "train.bin").open("wb") as file:
        file.truncate(2 * n_tokens)
    (tmp_path / "tokens.json").write_text(
        '{"format_version": 1, "tokenizer": "", "vocab_size": 9, "dtype": "uint16", "splits": {"train": {"n_tokens": '
        f'{n_tokens}, "n_bytes": {n_tokens}, "sha256": "{ZEROS}"}}}}}}'
    )
    command = [sys.executable, "-c", _READ, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60e6  # measured: 1 MB, and 197 MB through the map


ZEROS = "d162f6594b643795442d4c7bba3a1711962b9e63717625d9f1f9696df315c86b"
"""SHA-256 of 200,000,000 zero bytes."""
