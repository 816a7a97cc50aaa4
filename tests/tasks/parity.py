"""A task in one file: the parity of bits, read one after the other."""

import hashlib
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from recurra.config.options import option
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.reports import Section
from recurra.tasks.network import initialise, recurrent_layers
from recurra.tasks.task import Evaluation, Probe, Source, Task
from recurra.training import Metric


@dataclass(frozen=True, kw_only=True)
class ParityConfig(TaskConfig):
    """Bits whose parity is told after each."""

    bits: int = option(12, "bits of a sequence", minimum=2)
    sequences: int = option(64, "sequences to train on", minimum=1)
    hidden: int = new_default("hidden", 8)
    epochs: int = new_default("epochs", 5)
    batch_size: int = new_default("batch_size", 16)
    window: int = new_default("window", 0)


class Net(nn.Module):
    """Logits (T, B, 2) of the parity after each bit of (T, B)."""

    def __init__(self, config):
        super().__init__()
        self.recurrent = recurrent_layers(config, 1)
        self.head = nn.Linear(self.recurrent.output_size, 2)
        initialise(self, config, steps=config.bits)

    def forward(self, bits):
        return self.head(self.recurrent(bits.unsqueeze(-1).float())[0])


class Windows:
    """Batches of sequences, the same in every epoch."""

    def __init__(self, bits, size):
        self.bits, self.size = bits, size

    def __len__(self):
        return self.bits.shape[1] // self.size

    def window(self, epoch, index):
        return self.bits[:, index * self.size : (index + 1) * self.size]


class Parity(Task):
    """Tell whether an odd number of ones has come so far."""

    configuration = ParityConfig
    metric = Metric("accuracy", lower_is_better=False)
    unit = "bits"

    def read(self, data=None, **others):
        """Bits (T, B), given or drawn."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.config.bits, self.config.sequences)
        return torch.randint(2, shape, generator=generator) if data is None else data

    def sources(self, data):
        return [Source("bits", "drawn", hashlib.sha256(data.numpy().tobytes()).hexdigest())]

    def build(self):
        return Net(self.config)

    def windows(self, data):
        return Windows(data, self.config.batch_size)

    def loss(self, model, batch, state):
        logits = model(batch)
        targets = batch.cumsum(0) % 2
        return (
            functional.cross_entropy(logits.flatten(0, 1), targets.flatten()),
            batch.numel(),
            None,
        )

    def validation(self, data):
        return lambda model: dict(self.evaluate(model, data))

    def held_out(self, product, data):
        return self.evaluate(product, data)

    def evaluate(self, product, data, **options):
        """Share of parities that are right."""
        with torch.inference_mode():
            logits, targets = product(data), data.cumsum(0) % 2
            loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).item()
        accuracy = (logits.argmax(-1) == targets).float().mean().item()
        shown = Section("Parity", {"accuracy": f"{accuracy:.1%}"})
        return Evaluation({"loss": loss, "accuracy": accuracy}, [shown])

    def probe(self, data, *, rows, steps):
        bits = data[:steps, :rows]
        targets = bits.cumsum(0) % 2
        return Probe(
            bits, lambda y: functional.cross_entropy(y.mT, targets, reduction="none").sum(1)
        )
