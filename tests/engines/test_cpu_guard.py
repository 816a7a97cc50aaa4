"""Nothing outside the tensors is touched: each ends where memory that may not be read begins."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import ctypes, mmap, sys
sys.path[:0] = {folders!r}
import torch
from contract import draw, everything, distance
from recurra.cells import CELLS

torch.set_num_threads(1)
LIBRARY, KEPT = ctypes.CDLL(None), []

def at_the_edge(tensor):
    page = mmap.PAGESIZE
    size = tensor.numel() * tensor.element_size()
    room = -(-size // page) * page
    memory = mmap.mmap(-1, room + page)
    KEPT.append(memory)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert LIBRARY.mprotect(ctypes.c_void_p(base + room), ctypes.c_size_t(page), 0) == 0
    found = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=room - size)
    return found.view(tensor.shape).copy_(tensor.detach()).requires_grad_()

for name, hidden, inputs, steps in {cases!r}:
    params, x, states = draw(CELLS[name], hidden=hidden, inputs=inputs, steps=steps, batch=7)
    wanted = everything(CELLS[name], "interp", (params, x, states))
    edged = {{k: at_the_edge(v) for k, v in params.items()}}
    given = edged, at_the_edge(x), [at_the_edge(s) for s in states]
    assert distance(everything(CELLS[name], "cpu", given), wanted) < 1e-12
print("whole")
"""
CASES = [("lstm", 5, 3, 6), ("gru", 33, 17, 2), ("gru_original", 9, 7, 5), ("lstm", 17, 9, 1)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
def test_nothing_is_read_past_the_end():
    here = Path(__file__).parent
    folders = [str(here), str(here.parent / "cells"), *sys.path]
    code = CODE.format(folders=folders, cases=CASES)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "whole\n", done.stderr[-2000:] + str(done.returncode)
