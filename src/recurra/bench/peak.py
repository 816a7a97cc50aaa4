"""The peak of the processor: multiply-adds that wait for nothing, on all of torch's threads."""

import ctypes
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from recurra.engines.cpu.jit.llvm import addresses, host

__all__ = ["peak"]

# Enough sums to hide the latency of two units of 4 cycles, few enough for 16 registers.
STEPS, SUMS = 20_000_000, 12
ROUNDS = 5


def peak(steps: int = STEPS) -> float:
    """Operations a second in float32 (a multiply-add is two), the best of a few rounds."""
    run, threads = _compiled(), torch.get_num_threads()
    seconds = _fewest_seconds(lambda room: run(room, steps), threads)
    return threads * steps * SUMS * host().lanes(4) * 2 / seconds


@functools.cache
def _compiled() -> Callable[[int, int], None]:
    (address,) = addresses(_text(host().lanes(4)), ("peak",), host())
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)


def _fewest_seconds(run: Callable[[int], None], threads: int) -> float:
    """Of a call on every thread at once, each with a buffer of its own; ctypes frees the lock."""
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
      store volatile %n0, ptr %out               lest the loop be seen to do nothing
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
