"""Trainings by the ranks that torchrun starts; each writes what it saw to rank0.json, ...

`torchrun --nproc-per-node 2 training_ranks.py FOLDER` runs them all; alone, it is the one process
to hold them against.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from training_toys import Noise, train

from recurra.nn import GRU
from recurra.runs import ranks


class Pair(nn.Module):
    """A recurrent layer whose state is carried, dropout, and a parameter that few rows reach."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.rnn = GRU(3, 4)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(4, 1)
        self.extra = nn.Parameter(torch.ones(()))


class Rows(Noise):
    """Windows of four rows; a rank has its part of them."""

    rows = slice(0, 4)

    def window(self, epoch, index):
        generator = torch.Generator().manual_seed(1000 * epoch + index)
        return torch.randn(5, 4, 3, generator=generator)[:, self.rows]

    def shard(self, rank, world):
        part = Rows(self.count)
        part.rows = slice(rank * 4 // world, (rank + 1) * 4 // world)
        return part


class Spoilt(Rows):
    """The last row of the third window isn't finite."""

    def window(self, epoch, index):
        batch = super().window(epoch, index)
        if index == 2 and self.rows.stop == 4:
            batch[0, -1] = float("nan")
        return batch

    def shard(self, rank, world):
        part = Spoilt(self.count)
        part.rows = super().shard(rank, world).rows
        return part


def token_loss(model, batch, state):
    """The mean over tokens, of which ranks have different numbers."""
    y, state = model.rnn(batch, state)
    is_token = batch[..., 0] > -0.5
    losses = (model.head(model.drop(y)).squeeze(-1) - batch.sum(-1)).square()
    total = losses[is_token].sum()
    reached = batch[0, :, 1] > 0.5
    if reached.any():
        total = total + model.extra.square() * reached.sum()
    return total / is_token.sum(), int(is_token.sum()), state


def new_pair(dropout=0.0):
    torch.manual_seed(7 if ranks.rank() == 0 else 8)  # rank 0's weights are everybody's
    return Pair(dropout)


def validation(model):
    loss, _, _ = token_loss(model, Rows().window(99, 0), None)
    return {"loss": loss.item(), "rank": ranks.rank()}


class Calls:
    """A loss or validation that does something more at its call number `at` on one rank."""

    def __init__(self, function, at, rank, act):
        self.function, self.at, self.rank, self.act, self.count = function, at, rank, act, 0

    def __call__(self, *arguments):
        self.count += 1
        if self.count == self.at and ranks.rank() == self.rank:
            self.act()
        return self.function(*arguments)


def kill(number):
    return lambda: os.kill(os.getpid(), number)


def fail():
    raise ZeroDivisionError("in the validation")


def outcome(path, *, dropout=0.0, **how):
    """The result of a training as JSON, or its error."""
    options = {"windows": Rows(), "loss": token_loss, "check": validation, "log_every": 2}
    try:
        result = train(path, model=new_pair(dropout), **{**options, **how})
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {
        "stopped": result.stopped,
        "steps": result.steps,
        "best": result.best,
        "signal": result.signal,
    }


def main(folder):
    """Every training, in an order that is the same on every rank."""
    found = {"alone": outcome(folder / "alone")}
    wet = {"dropout": 0.5}
    found["whole"] = outcome(folder / "whole", **wet)
    stopped = Calls(token_loss, 6, rank=1, act=kill(signal.SIGTERM))
    found["stopped"] = outcome(folder / "run", loss=stopped, **wet)
    judged = Calls(validation, 1, rank=0, act=kill(signal.SIGINT))
    found["judged"] = outcome(folder / "run", check=judged, resume=True, **wet)
    found["resumed"] = outcome(folder / "run", resume=True, **wet)
    broken = Calls(validation, 2, rank=0, act=fail)
    found["broken"] = outcome(folder / "broken", check=broken)
    found["spoilt"] = outcome(folder / "spoilt", windows=Spoilt())
    found["undivided"] = outcome(folder / "undivided", windows=Noise())
    found["again"] = outcome(folder / "alone")
    (folder / f"rank{ranks.rank()}.json").write_text(json.dumps(found))
    ranks.leave()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
