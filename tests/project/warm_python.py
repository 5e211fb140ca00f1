"""Runs scripts as `python -W error SCRIPT` does, in processes that have torch and matplotlib already: by forking one.

Importing them takes longer than most demos run. What a script sees is a process of its own: its arguments, folder,
output and exit status, `__main__`, and an interpreter that ends as always. Where no fork is safe, it is begun anew.
"""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CAN_FORK = sys.platform == "linux"


class WarmPython:
    """An interpreter that waits for scripts; close it when there are no more."""

    def __init__(self) -> None:
        self.environment = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, script: Path, *arguments: str, folder: Path, output: Path, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run `script` in `folder`; what it prints goes through files in `output`. `fresh`: begin an interpreter."""
        command = [str(script), *arguments]
        if fresh or not CAN_FORK:
            return subprocess.run(
                [sys.executable, "-W", "error", *command],
                capture_output=True, text=True, check=False, cwd=folder, env=self.environment,
            )  # fmt: skip
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-W", "error", __file__],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment,
            )  # fmt: skip
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        said = [output / "stdout", output / "stderr"]
        order = {"command": command, "folder": str(folder), "said": [str(path) for path in said]}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        out, err = (path.read_text(encoding="utf-8") for path in said)
        return subprocess.CompletedProcess(command, status, out, err)

    def close(self) -> None:
        """End the interpreter."""
        if self._server is not None:
            self._server.communicate("")


def _serve() -> None:
    import matplotlib.pyplot  # noqa: F401 - what most scripts import
    import torch._dynamo  # noqa: F401 - what the first optimizer imports

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order["command"], order["folder"], order["said"])
            return  # ends as an interpreter ends
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(command: Sequence[str], folder: str, said: Sequence[str]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for descriptor, path in zip((1, 2), said, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    os.chdir(folder)
    sys.argv[:] = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    _serve()
