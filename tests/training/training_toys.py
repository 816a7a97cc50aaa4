"""A small task for the training loop: a recurrent model on windows of noise, its state carried."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import torch
from torch import nn

from recurra.training import Run, TrainingConfig, fit

QUICK = {"batch_size": 2, "checkpoint_every": 4, "log_every": 3, "validate_every": 5}
TIMES = ("seconds", "tokens_per_second", "steps_per_second")


class Toy(nn.Module):
    """LSTM, batch normalisation (buffers), dropout (random numbers) and an output layer."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 1)

    def forward(self, x, state):
        y, state = self.rnn(x, state)
        return self.head(self.drop(self.norm(y.flatten(0, 1)))), state


class Noise:
    """`count` windows (T=5, B=2, I=3) an epoch, drawn from (epoch, index) alone."""

    def __init__(self, count=7):
        self.count = count

    def __len__(self):
        return self.count

    def window(self, epoch, index):
        return torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(1000 * epoch + index))


def square_loss(model, batch, state):
    y, state = model(batch, state)
    return (y - batch.mean()).square().mean(), y.numel(), state


def validation(model):
    torch.rand(3)  # draws random numbers, which training must not notice
    with torch.no_grad():
        return {"loss": square_loss(model, Noise().window(99, 0), None)[0].item()}


def new_toy():
    torch.manual_seed(5)
    return Toy()


def train(
    path, *, resume=False, model=None, windows=None, loss=square_loss, check=None, how=(), **options
):
    """Fit a toy in the run at `path`, made if it isn't there; `how` are more arguments of `fit`."""
    run = Run.open(path) if resume else Run.create(path, {"task": "toy"})
    return fit(
        model or new_toy(),
        Noise() if windows is None else windows,
        loss,
        config=TrainingConfig(**{**QUICK, "epochs": 3, **options}),
        run=run,
        validate=check,
        resume=resume,
        **dict(how),
    )


def last_checkpoint(path):
    return sorted((Path(path) / "checkpoints").glob("step-*"))[-1]


def contents(path):
    """Everything that must have the same bits however often training stopped: weights, ..."""
    saved = last_checkpoint(path)
    names = ("model.safetensors", "training.safetensors", "best.safetensors")
    bits = {name: (saved / name).read_bytes() for name in names if (saved / name).exists()}
    state = json.loads((saved / "state.json").read_text())
    for part in (state, state["meter"]):
        part.pop("seconds")
    state.pop("lines_bytes")  # the digits of the times differ
    state.pop("first_budget")  # a run that was made longer began with another
    return saved.name, bits, (Path(path) / "model.safetensors").read_bytes(), state


def lines(path):
    """metrics.jsonl without the times."""
    found = Run.open(path).metrics()
    return [{name: line[name] for name in line if name not in TIMES} for line in found]


def train_in_child(path, *, resume=False, kill=None, at=0):
    """Train in another process, which gets SIGKILL at its `at`-th call of `kill`; its exit code.

    `kill` is "loss" (in the middle of a step), "disk" (in the middle of a save) or None.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["recurra.training.training_loop", "torch._dynamo"]
    )  # what optimisers load
    child = context.Process(target=_train_or_die, args=(path, resume, kill, at))
    child.start()
    child.join()
    return child.exitcode


def _train_or_die(path, resume, kill, at):
    torch.set_num_threads(1)
    calls = iter(range(10**6))

    def dying(function):
        def wrapped(*arguments, **named):
            if next(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return wrapped

    if kill == "disk":
        for name in ("fsync", "replace", "rename", "open"):
            setattr(os, name, dying(getattr(os, name)))
    loss = dying(square_loss) if kill == "loss" else square_loss
    # Resumed from other initial weights: those of the run are in its checkpoint, if it has one.
    torch.manual_seed(6 if resume and list(Path(path).glob("checkpoints/step-*")) else 5)
    train(path, resume=resume, model=Toy(), loss=loss, check=validation)
