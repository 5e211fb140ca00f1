"""Each part of the engine can be the first one that a program imports: none depends on another having come before."""

import subprocess
import sys

from groundup.engine import _ROOMS

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [one for one in sys.modules if one.startswith("groundup")]:
        del sys.modules[loaded]
    importlib.import_module(f"groundup.engine.{name}")
"""


def test_each_part_can_come_first():
    names = [*_ROOMS, "nn.losses", "autograd"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
