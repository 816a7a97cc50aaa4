"""Training steps of a task's own network beside the same with torch's recurrent layers.

    python benchmarks/throughput.py TASK FILE... [KEY=VALUE ...]

KEY=VALUE are settings of the task. The network, its batches and its loss are the task's, by default
settings; only recurrent and linear layers differ: torch.nn's get packed sequences, so that padding
costs them nothing, too. Each batch is stepped with either, in turn: forward, backward and
optimizer, on one thread. The ratio is of medians over batches; beside it the machine's peak, as
torch's float32 products of matrices reach it.
"""

import os
import statistics
import sys
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

from recurra.nn import Linear, Recurrent
from recurra.tasks.registry import task_named
from recurra.training.optim import make_optimizer

BATCHES, WARM_UP = 24, 2
KINDS = {"LSTM": nn.LSTM, "GRU": nn.GRU}


class Packed(nn.Module):
    """torch's layers of the same sizes, on packed sequences."""

    def __init__(self, recurrent):
        super().__init__()
        kind = KINDS[type(recurrent.cell).__name__]
        sizes = (recurrent.input_size, recurrent.hidden_size, recurrent.num_layers)
        self.layers = kind(*sizes, bidirectional=recurrent.bidirectional, dropout=recurrent.dropout)
        self.num_layers, self.bidirectional = recurrent.num_layers, recurrent.bidirectional

    def forward(self, steps, states=None, *, lengths=None):
        if lengths is None:
            return self.layers(steps, states)
        packed = nn.utils.rnn.pack_padded_sequence(steps, lengths.cpu(), enforce_sorted=False)
        outputs, states = self.layers(packed, states)
        return nn.utils.rnn.pad_packed_sequence(outputs, total_length=len(steps))[0], states


def with_torch(net):
    """Put torch's layers in place of every recurrent and linear layer."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Recurrent):
                setattr(module, name, Packed(child))
            elif isinstance(child, Linear):
                child.__class__ = nn.Linear
    return net


def begun(name, files, settings):
    """A task with its data, as its training begins."""
    kind = task_named(name)
    task = kind(kind.configuration.of({**settings, "data": files}))
    data = task.read()
    task.context = task.context_of(data)
    windows = task.windows(data)
    task.config = task.suited(windows)
    return task, windows


def seconds_of(task, net, optimizer, batch):
    """Seconds of one step."""
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    task.loss(net, batch, None)[0].backward()
    optimizer.step()
    return time.perf_counter() - start


def peak():
    """GFLOP/s of products of matrices."""
    a = torch.randn(1024, 1024)
    rates = []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        rates.append(2 * 1024**3 / (time.perf_counter() - start) / 1e9)
    return max(rates)


def main(name, *words):
    """Measure, and print a row of the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    files = [word for word in words if "=" not in word]
    task, windows = begun(name, files, dict(word.split("=", 1) for word in words if "=" in word))
    nets = {"recurra": task.build().train(), "torch.nn": with_torch(task.build()).train()}
    optimizers = {label: make_optimizer(net, task.config) for label, net in nets.items()}
    times = {label: [] for label in nets}
    for index in range(min(BATCHES + WARM_UP, len(windows))):
        batch = windows.window(0, index)
        for label, net in nets.items():
            times[label].append(seconds_of(task, net, optimizers[label], batch))
    medians = {label: statistics.median(each[WARM_UP:]) for label, each in times.items()}
    ratio = medians["torch.nn"] / medians["recurra"]
    ours, theirs = (1e3 * medians[label] for label in nets)
    print(f"| {name} | {ours:.1f} ms | {theirs:.1f} ms | {ratio:.2f} | {peak():.0f} GFLOP/s |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
