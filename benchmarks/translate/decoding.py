"""Sentences a second of a translator's search, beside the same network on torch.nn's layers.

    python benchmarks/translate/decoding.py RUN SOURCES [BEAM]

The first 200 lines of SOURCES are translated on one thread by either, in turn, three times. Only
recurrent and linear layers differ; torch's have random weights, so every result is made to have
exactly 15 tokens, and both do the same steps. The ratio is of medians; beside it the machine's
peak, as torch's float32 products of matrices reach it.
"""

import itertools
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from throughput import peak, with_torch

import recurra

LINES, TOKENS, REPEATS = 200, 15, 3


def seconds_of(model, texts, beam):
    """Seconds of one search of all texts."""
    start = time.perf_counter()
    model.translate(texts, beam=beam, least_length=TOKENS, most_length=TOKENS)
    return time.perf_counter() - start


def main(run, sources, beam=5):
    """Measure, and print a row of the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with open(sources, encoding="utf-8") as lines:
        texts = [line.strip() for line in itertools.islice(lines, LINES)]
    models = {"recurra": recurra.load(run), "torch.nn": recurra.load(run)}
    for net in models["torch.nn"]._ready().nets:
        with_torch(net)
    times = {label: [] for label in models}
    for _ in range(REPEATS + 1):
        for label, model in models.items():
            times[label].append(seconds_of(model, texts, int(beam)))
    rates = {label: len(texts) / statistics.median(each[1:]) for label, each in times.items()}
    ours, theirs = rates.values()
    print(
        f"| beam {beam} | {ours:.0f}/s | {theirs:.0f}/s | {ours / theirs:.2f} "
        f"| {peak():.0f} GFLOP/s |"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
