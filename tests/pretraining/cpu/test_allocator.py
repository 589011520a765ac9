from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Blocks above 32 MB, allocated and freed: how many pages did the last ten fault in?
PROGRAM = """
import resource, sys, torch
from sweep.pretraining.cpu.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.set_num_threads(1)
for _ in range(10):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc has the option")
def test_freed_memory_is_used_again() -> None:
    assert faults("keep") < faults("return") / 10
