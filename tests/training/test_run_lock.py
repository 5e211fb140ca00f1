"""One process trains a run: refused by name while it lives, free as soon as it is dead, however it died."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from groundup.errors import InputError
from groundup.training.run_lock import LOCK, locked

HOLDER = """
    import sys, time
    from pathlib import Path
    from groundup.training.run_lock import locked

    with locked(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(600)
"""


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught, locked(folder):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_process_is_refused_until_the_holder_is_dead(tmp_path: Path):
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            found = refusal(tmp_path)
            assert f"expected {tmp_path} to be free, found it being trained by process {holder.pid} on " in found
            assert f" on {socket.gethostname()} since 20" in found
        finally:
            holder.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            holder.wait()
    assert (tmp_path / LOCK).exists()  # and yet
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_one_process_excludes_itself_too(tmp_path: Path):
    with locked(tmp_path):
        assert f"process {os.getpid()}" in refusal(tmp_path)
    with locked(tmp_path):
        pass


def test_a_block_that_fails_gives_the_lock_back(tmp_path: Path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path: Path):
    with locked(tmp_path):
        (tmp_path / LOCK).write_text("{")
        assert "found it being trained by another process: wait" in refusal(tmp_path)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(tmp_path).startswith(f"expected to write in {tmp_path}, found: {error.strerror}; make it writable")


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX's")
def test_a_file_system_without_locks_is_named_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    told: list[str] = []
    with locked(tmp_path, report=told.append):
        pass
    assert told == [f"no lock on {tmp_path} (No locks available): take care that no other process trains it"]


def test_on_a_full_disk_the_lock_holds_unsigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", refuse)
    with locked(tmp_path):
        assert "by another process: wait" in refusal(tmp_path)
