"""Writing, sounds and strokes made for tests: each character has a shape of its own."""

import numpy as np

from recurra import Transcriber
from recurra.data.audio.sound import Sound
from recurra.data.ink.ink import Ink

ALPHABET = "abc "
RATE = 8000


def texts(count, generator, longest=5):
    """Random words of a, b and c, with a space now and then, never at an end."""
    made = []
    for _ in range(count):
        letters = generator.choice(list("abc"), size=generator.integers(1, longest + 1))
        text = "".join(letters)
        if len(text) > 2 and generator.random() < 0.5:
            text = f"{text[:1]} {text[1:]}"
        made.append(text)
    return made


def picture(text, generator):
    """A grey picture of a line (rows, columns): bars upright, level, or both."""
    glyphs = np.zeros((4, 20, 12))
    glyphs[0, 3:17, 4:8] = 1
    glyphs[1, 3:6], glyphs[1, 14:17] = 1, 1
    glyphs[2, 3:17, :3], glyphs[2, 9:12] = 1, 1
    columns = [np.zeros((20, 6))]
    for each in text:
        columns += [glyphs[ALPHABET.index(each)], np.zeros((20, 6))]
    ink = np.concatenate(columns, axis=1)
    return 1 - ink * generator.uniform(0.7, 1)


def recording(text, generator):
    """A tone of its own for each letter, silence for a space."""
    pitches = {"a": 500, "b": 1100, "c": 2200, " ": 0}
    pieces = [np.zeros(400)]
    for each in text:
        time = np.arange(int(RATE * 0.09)) / RATE
        pieces += [0.4 * np.sin(2 * np.pi * pitches[each] * time), np.zeros(240)]
    samples = np.concatenate(pieces) + 1e-3 * generator.normal(size=sum(map(len, pieces)))
    return Sound(samples.astype(np.float32), RATE)


def strokes(text, generator):
    """An upright line, a slanting one or a hook for each letter."""
    shapes = {
        "a": [(0, 0), (0, 10)],
        "b": [(0, 10), (6, 0)],
        "c": [(6, 0), (0, 5), (6, 10)],
    }
    found, left = [], 0.0
    for each in text:
        if each in shapes:
            points = np.array(shapes[each], float) + 0.2 * generator.normal(size=(1, 2))
            found.append(points + np.array([left, 0]))
        left += 10
    return Ink(tuple(found))


MAKE = {"image": picture, "sound": recording, "ink": strokes}


def items(kind, count, seed=0):
    """Pairs (content, text)."""
    generator = np.random.default_rng(seed)
    return [(MAKE[kind](text, generator), text) for text in texts(count, generator)]


SMALL = {
    "hidden": 24,
    "channels": 8,
    "layers": 1,
    "batch_size": 16,
    "cell": "gru",
    "height": 16,
    "dropout": 0.0,
}
OFF = {
    "image": ("masks", "slant", "scale", "elastic"),
    "sound": ("masks", "speed", "pitch", "noise", "room", "microphone"),
    "ink": ("masks", "slant", "scale", "elastic", "jitter"),
}


def small(kind, **settings):
    """A small transcriber of a kind, without distortions."""
    own = {name: value for name, value in SMALL.items() if name != "height" or kind == "image"}
    off = dict.fromkeys(OFF[kind], 0.0)
    return Transcriber(input=kind, **{**own, **off, **settings})
