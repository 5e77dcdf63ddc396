"""Threads of each process of a training: `python -m tests.threads PROCESSES THREADS` prints those that torch uses."""

from __future__ import annotations

import sys

import torch

from tvqsr.plan.preset import Runtime
from tvqsr.train.processes import launched

if __name__ == "__main__":
    processes, threads = map(int, sys.argv[1:])
    fabric = launched(Runtime(threads=threads, gpus=0, processes=processes), "32-true")
    sys.stdout.write(f"{torch.get_num_threads()}\n")
    sys.stdout.flush()
    # The first ends its helpers when it ends.
    fabric.barrier()
