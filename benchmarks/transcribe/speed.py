"""Speed of a transcriber of sound: streams on one core, and training beside torch's layers.

    python benchmarks/transcribe/speed.py RUN FOLDER

RUN is of one direction; FOLDER holds recordings (.wav). A stream is fed chunks of 100 ms: the
real-time factor is the time of all of them by the time of the sound, and the latency of a chunk is
the time until its partial text is there. Training is a step of the run's network on 16 recordings,
with Recurra's recurrent layers and with torch.nn's, taken in turn, medians.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from recurra import Transcriber
from recurra.data.audio.sound import Sound, read_sound
from recurra.tasks.transcribe.model import TextBatch

CHUNK, ROUNDS = 0.1, 9


class Packed(nn.Module):
    """torch's layers in place of Recurra's, on packed sequences: padding costs nothing."""

    def __init__(self, recurrent, cell):
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        sizes = (recurrent.input_size, recurrent.hidden_size, recurrent.num_layers)
        self.layers = kind(*sizes, bidirectional=recurrent.bidirectional, dropout=recurrent.dropout)

    def forward(self, steps, states=None, *, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(steps, lengths, enforce_sorted=False)
        outputs, states = self.layers(packed, states)
        return nn.utils.rnn.pad_packed_sequence(outputs, total_length=len(steps))[0], states


def stream(model, sound):
    """Seconds of the whole stream, and of each chunk until its partial text."""
    session, latencies = model.session(), []
    size = round(CHUNK * sound.rate)
    begin = time.perf_counter()
    for place in range(0, len(sound.samples), size):
        start = time.perf_counter()
        session.feed(sound.samples[place : place + size])
        session.partial  # noqa: B018
        latencies.append(time.perf_counter() - start)
    session.finish()
    return time.perf_counter() - begin, latencies


def step(net, batch):
    """Seconds of a forward and a backward pass."""
    start = time.perf_counter()
    net.zero_grad(set_to_none=True)
    net.loss(batch).backward()
    return time.perf_counter() - start


def main(run, folder):
    """Measure, and print."""
    torch.set_num_threads(1)
    model = Transcriber.load(run)
    rate = model._ready().input.log_mel.rate
    sounds = [read_sound(path, rate) for path in sorted(Path(folder).glob("*.wav"))[:60]]
    whole = Sound(np.concatenate([sound.samples for sound in sounds]), rate)
    stream(model, sounds[0])
    seconds, latencies = stream(model, whole)
    print(
        f"stream of {whole.seconds:.0f} s on one core: real-time factor "
        f"{seconds / whole.seconds:.4f}; a chunk of 100 ms: median "
        f"{1e3 * statistics.median(latencies):.1f} ms, longest {1e3 * max(latencies):.1f} ms"
    )
    net, how = model._ready().nets[0].train(), model._ready().input
    features = [torch.from_numpy(how.features(sound)) for sound in sounds[:16]]
    lengths = torch.tensor([len(each) for each in features])
    targets = torch.ones(len(features), 3, dtype=torch.long)
    ends = torch.full((len(features),), 3)
    batch = TextBatch(nn.utils.rnn.pad_sequence(features), lengths, targets, ends)
    ours, theirs, times = net.recurrent, Packed(net.recurrent, model.config.cell), {}
    for _ in range(ROUNDS):
        for name, layers in (("recurra", ours), ("torch.nn", theirs)):
            net.recurrent = layers
            times.setdefault(name, []).append(step(net, batch))
    sound = sum(each.seconds for each in sounds[:16])
    medians = {name: statistics.median(each[1:]) for name, each in times.items()}
    for name, median in medians.items():
        print(f"training with {name}'s layers: {sound / median:,.0f} s of sound a second")
    print(f"ratio {medians['torch.nn'] / medians['recurra']:.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
