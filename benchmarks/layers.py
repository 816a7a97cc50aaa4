"""Training steps of Weft's layers against torch.nn's, with the peak of the machine beside.

    python benchmarks/layers.py

Each point is one layer's forward and backward pass, allocation included, the two libraries in turn;
the figures are medians. The peak is a loop of independent multiply-adds on all threads.
"""

import ctypes
import math
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

import weft.nn
from weft.backends.cpu.machine import addresses, host

GRID = [(batch, 64, size) for batch in (8, 32, 64) for size in (64, 128, 256, 512)]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
ROUNDS, PEAK_STEPS, PEAK_SUMS = 7, 20_000_000, 12


def peak() -> float:
    """Multiply-adds a second that the processor can do in float32, in GFLOP/s."""
    lanes = host().lanes(4)
    vector = f"<{lanes} x float>"
    half = f"{vector} <" + ", ".join(["float 0.5"] * lanes) + ">"
    phis, sums = [], []
    for n in range(PEAK_SUMS):
        phis.append(f"%s{n} = phi {vector} [zeroinitializer, %entry], [%n{n}, %loop]")
        sums.append(f"%n{n} = call {vector} @llvm.fma.v{lanes}f32({vector} %s{n}, {half}, {half})")
    stores = [f"store volatile {vector} %n{n}, ptr %out, align 4" for n in range(PEAK_SUMS)]
    text = f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define void @peak(ptr %out) "prefer-vector-width"="512" {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  {chr(10).join(phis)}
  {chr(10).join(sums)}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, {PEAK_STEPS}
  br i1 %more, label %loop, label %done
done:
  {chr(10).join(stores)}
  ret void
}}
"""
    (address,) = addresses(text, ("peak",), host())
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
    threads = torch.get_num_threads()
    rooms = [ctypes.create_string_buffer(256) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(lambda room: run(ctypes.addressof(room)), rooms))
        seconds = time.perf_counter() - began
    return threads * PEAK_STEPS * PEAK_SUMS * lanes * 2 / seconds / 1e9


def step(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> float:
    """Seconds of one forward and backward pass."""
    began = time.perf_counter()
    layer(x)[0].backward(gradient)
    seconds = time.perf_counter() - began
    layer.zero_grad(set_to_none=True)
    return seconds


def compare(name: str, batch: int, steps: int, size: int) -> tuple[float, float]:
    """Median seconds of a training step: torch.nn, Weft."""
    layers = [getattr(library, name)(size, size) for library in (nn, weft.nn)]
    x, gradient = torch.randn(2, steps, batch, size).unbind()
    times: list[list[float]] = [[], []]
    for turn in range(ROUNDS + 2):
        for place, layer in enumerate(layers):
            seconds = step(layer, x, gradient)
            if turn >= 2:
                times[place].append(seconds)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Print a table for each layer."""
    best = peak()
    print(
        f"peak {best:.0f} GFLOP/s on {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    print("\n| layer | B | T | I = H | torch.nn ms | Weft ms | faster | share of the peak |")
    print("|---|---|---|---|---|---|---|---|")
    for name, gates in GATES.items():
        ratios = []
        for batch, steps, size in GRID:
            theirs, ours = compare(name, batch, steps, size)
            products = 2 * steps * batch * gates * size * size
            share = (6 * products - products) / ours / 1e9 / best
            ratios.append(theirs / ours)
            print(
                f"| {name} | {batch} | {steps} | {size} | {theirs * 1e3:.2f} | {ours * 1e3:.2f} "
                f"| {theirs / ours:.2f} | {share:.0%} |",
                flush=True,
            )
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"| {name} | | | | | | **{mean:.2f}** (never below {min(ratios):.2f}) | |")


if __name__ == "__main__":
    main()
