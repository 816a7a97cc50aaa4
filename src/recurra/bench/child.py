"""The process of one measurement: `python -m recurra.bench.child ORDER`, both ways in JSON."""

import ctypes
import json
import mmap
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import recurra.nn
from recurra.bench.catalogue import TORCH
from recurra.bench.machine import use_threads

__all__ = ["compile_seconds", "peak_bytes"]

STEPS = 3
"""Training steps whose highest peak counts: the first makes workspaces, the next re-use them."""

Order = Mapping[str, Any]


def peak_bytes(order: Order) -> dict[str, float]:
    """How far memory in use rises in training steps, above what it is before the first.

    By then the layer and its input are there, and two steps of the whole batch were run, so that
    libraries are loaded and kernels compiled.
    """
    module, x = _made(order)
    _training_step(module, x[:2])
    _give_back_free_memory()
    # The kernel's way to set the highest amount back to what is in use now.
    Path("/proc/self/clear_refs").write_text("5")
    base = _status("VmRSS")
    for _ in range(STEPS):
        _training_step(module, x)
    # Never below what the kernel counts in, lest a ratio be of nothing.
    return {"bytes": max(_status("VmHWM") - base, mmap.PAGESIZE)}


def compile_seconds(order: Order) -> dict[str, float]:
    """Seconds of the first training step of another layer, which loads LLVM and parts of torch;
    then of the first and of the second one of the layer ordered.
    """
    other = {**order, "layer": "RNN", "shape": [1, 1, 3]}
    start = _seconds(*_made(other))
    module, x = _made(order)
    return {"start": start, "first": _seconds(module, x), "second": _seconds(module, x)}


def _made(order: Order) -> tuple[nn.Module, Tensor]:
    library = nn if order["library"] == TORCH else recurra.nn
    steps, batch, size = order["shape"]
    x = torch.randn(steps, batch, size, requires_grad=order["input_gradient"])
    return getattr(library, order["layer"])(size, size), x


def _training_step(module: nn.Module, x: Tensor) -> None:
    y, _ = module(x)
    torch.autograd.backward(y, torch.ones_like(y))
    module.zero_grad(set_to_none=True)
    x.grad = None


def _seconds(module: nn.Module, x: Tensor) -> float:
    began = time.perf_counter()
    _training_step(module, x)
    return time.perf_counter() - began


def _give_back_free_memory() -> None:
    """Lest what the allocator holds free already hides what a step takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status(field: str) -> int:
    """Bytes of this process, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


JOBS: dict[str, Callable[[Order], dict[str, float]]] = {
    "memory": peak_bytes,
    "compile": compile_seconds,
}


def main() -> None:
    """Do what the first argument orders."""
    order = json.loads(sys.argv[1])
    use_threads(order["threads"])
    sys.stdout.write(json.dumps(JOBS[order["job"]](order)))


if __name__ == "__main__":
    main()
