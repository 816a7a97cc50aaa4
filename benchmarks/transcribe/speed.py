"""Speed of a stream of a transcriber of sound, on one core.

    python benchmarks/transcribe/speed.py RUN FOLDER

RUN is of one direction; FOLDER holds recordings (.wav). A stream is fed chunks of 100 ms: the
real-time factor is the time of all of them by the time of the sound, and the latency of a chunk is
the time until its partial text is there.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from recurra import Transcriber
from recurra.data.audio.sound import Sound, read_sound

CHUNK = 0.1


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


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
