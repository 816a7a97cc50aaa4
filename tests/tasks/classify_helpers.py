"""Sequences of two or three classes made for tests, and small classifiers of them."""

import numpy as np
from transcribe_helpers import picture, recording, strokes

from recurra import Classifier

WORDS = {"good": ["fine", "great", "lovely"], "bad": ["awful", "poor", "sad"]}
FILLERS = ["the", "film", "was", "really", "and", "a", "story", "of"]


def examples(kind, count, seed=0):
    """Contents and labels."""
    generator = np.random.default_rng(seed)
    makers = {"series": _waves, "text": _sentences}
    if kind in makers:
        pairs = [makers[kind](generator, n) for n in range(count)]
    else:
        make = {"sound": recording, "ink": strokes, "image": picture}[kind]
        labels = [("ab", "ba", "c")[n % 3] for n in range(count)]
        pairs = [(make(label, generator), label) for label in labels]
    return [content for content, _ in pairs], [label for _, label in pairs]


def _waves(generator, number):
    """Slow, fast or mixed waves in two channels, (T, 2), of their own length."""
    steps = int(generator.integers(20, 41))
    label = ("slow", "fast", "mixed")[number % 3]
    paces = {"slow": (0.2, 0.2), "fast": (1.0, 1.0), "mixed": (0.2, 1.0)}[label]
    phases = generator.uniform(0, 6, 2)
    wave = np.sin(np.arange(steps)[:, None] * paces + phases)
    return wave + 0.1 * generator.normal(size=(steps, 2)), label


def _sentences(generator, number):
    label = ("good", "bad")[number % 2]
    words = list(generator.choice(FILLERS, size=generator.integers(2, 8)))
    words.insert(int(generator.integers(len(words) + 1)), str(generator.choice(WORDS[label])))
    return " ".join(words), label


def small(kind, **settings):
    """A classifier that learns them in some seconds."""
    sizes = {"hidden": 16, "channels": 8, "max_steps": 80, "batch_size": 16}
    if kind == "text":
        sizes |= {"embedding": 16}
    if kind in ("sound", "image"):
        sizes |= {"max_steps": 60}
    rates = {"learning_rate": 0.02, "validate_every": 20, "dropout": 0.1}
    return Classifier(**{"input": kind, **sizes, **rates, **settings})
