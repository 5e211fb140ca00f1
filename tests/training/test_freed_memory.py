"""Freed memory goes back to the system."""

import platform
import re
from pathlib import Path

import pytest

from groundup.training.freed_memory import give_back_freed_memory

PIECE = 1_000
PIECES = 100_000


def resident() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim")
def test_small_pieces_that_were_freed_are_given_back():
    pieces = [bytes([i % 256]) * PIECE for i in range(PIECES)]
    full = resident()
    last = pieces[-1]  # a piece at the top of the heap that stays keeps all below it from going back by itself
    del pieces
    assert give_back_freed_memory()
    assert full - resident() > PIECE * PIECES / 2  # half, for other pieces may lie between
    assert len(last) == PIECE


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch, system: str):
    monkeypatch.setattr(platform, "system", lambda: system)
    assert give_back_freed_memory() is False
