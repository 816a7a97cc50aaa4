"""The processor that figures are measured on, and its peak: independent multiply-adds."""

import ctypes
import functools
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from recurra import __version__
from recurra.engines.cpu.jit.llvm import addresses, host
from recurra.nn import LSTM

__all__ = ["machine_facts", "peak", "use_threads"]


def machine_facts() -> dict[str, str | int]:
    """The processor, versions, torch's threads, and the engine that layers run on."""
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


# Enough sums to hide the latency of two units of 4 cycles, few enough for 16 registers.
STEPS, SUMS = 20_000_000, 12
ROUNDS = 5


def peak(steps: int = STEPS) -> float:
    """Measure operations a second in float32 (a multiply-add is two), on all of torch's threads.

    It is the best of a few rounds.
    """
    run, threads = _compiled(), torch.get_num_threads()
    seconds = _fewest_seconds(lambda room: run(room, steps), threads)
    return threads * steps * SUMS * host().lanes(4) * 2 / seconds


@functools.cache
def _compiled() -> Callable[[int, int], None]:
    (address,) = addresses(_text(host().lanes(4)), ("peak",), host())
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)


def _fewest_seconds(run: Callable[[int], None], threads: int) -> float:
    """Seconds of a call on all threads, each with a buffer; ctypes releases the global lock."""
    rooms = [ctypes.create_string_buffer(256) for _ in range(threads)]
    places = [ctypes.addressof(room) for room in rooms]
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            list(pool.map(run, places))
            times.append(time.perf_counter() - began)
    return min(times)


def _text(lanes: int) -> str:
    """The loop for LLVM.

    loop:
      %s0 = phi [0, %entry], [%n0, %loop]        one of these a sum
      %n0 = fma(%s0, 0.5, 0.5)                   one of these a sum
    done:
      store volatile %n0, ptr %out               or the loop would be optimised away
    """
    vector = f"<{lanes} x float>"
    half = f"{vector} <" + ", ".join(["float 0.5"] * lanes) + ">"
    fma = f"{vector} @llvm.fma.v{lanes}f32"
    phis = [f"%s{n} = phi {vector} [zeroinitializer, %entry], [%n{n}, %loop]" for n in range(SUMS)]
    sums = [f"%n{n} = call {fma}({vector} %s{n}, {half}, {half})" for n in range(SUMS)]
    stores = [f"store volatile {vector} %n{n}, ptr %out, align 4" for n in range(SUMS)]
    lines = [
        f"declare {fma}({vector}, {vector}, {vector})",
        'define void @peak(ptr %out, i64 %steps) "prefer-vector-width"="512" {',
        "entry:",
        "br label %loop",
        "loop:",
        "%i = phi i64 [0, %entry], [%next, %loop]",
        *phis,
        *sums,
        "%next = add i64 %i, 1",
        "%more = icmp slt i64 %next, %steps",
        "br i1 %more, label %loop, label %done",
        "done:",
        *stores,
        "ret void",
        "}",
    ]
    return "\n".join(lines)
