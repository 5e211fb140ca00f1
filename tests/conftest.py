"""One thread a process: pytest-xdist keeps the cores busy, and threads that wait for each other are slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in the commands that tests run
