"""What the figures were measured on."""

import os
import platform
from pathlib import Path

import torch

from recurra import __version__
from recurra.engines.cpu.jit.llvm import host
from recurra.nn import LSTM

__all__ = ["describe", "use_threads"]


def describe() -> dict[str, str | int]:
    """Processor, versions, torch's threads, and the engine that layers run on."""
    return {
        "processor": _processor(),
        "llvm_name": host().cpu,
        "cores": os.cpu_count() or 1,
        "vector_bits": host().register_bytes * 8,
        "threads": torch.get_num_threads(),
        "engine": LSTM(1, 1).engine,
        "recurra": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


def use_threads(threads: int) -> None:
    """Set torch's threads in this process, as a benchmark may; Recurra's are the same."""
    torch.set_num_threads(threads)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
