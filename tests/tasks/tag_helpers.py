"""Sentences with names, and series with events, made for tests; small taggers of them."""

import numpy as np

from recurra import Tagger

PEOPLE, SURNAMES = ["Ann", "Bob", "Cleo", "Dan"], ["Smith", "Jones", "Li"]
TOWNS = ["Paris", "York", "Rome", "Oslo"]
FILLERS = {"met": "VERB", "in": "ADP", "the": "DET", "and": "CCONJ", "saw": "VERB", "near": "ADP"}


def sentences(count, seed=0):
    """Lists of tokens, their BIO tags, and their parts of speech."""
    generator = np.random.default_rng(seed)
    made = [_sentence(generator) for _ in range(count)]
    return tuple([each[part] for each in made] for part in range(3))


def _sentence(generator):
    tokens, tags = [], []
    for _ in range(generator.integers(3, 8)):
        chance = generator.random()
        if chance < 0.2:
            name = [str(generator.choice(PEOPLE)), str(generator.choice(SURNAMES))]
            name = name[: generator.integers(1, 3)]
            tokens, tags = tokens + name, tags + ["B-PER", "I-PER"][: len(name)]
        elif chance < 0.4:
            name = ["New", str(generator.choice(TOWNS))][generator.integers(2) :]
            tokens, tags = tokens + name, tags + ["B-LOC", "I-LOC"][: len(name)]
        else:
            tokens.append(str(generator.choice(list(FILLERS))))
            tags.append("O")
    return tokens, tags, [FILLERS.get(token, "PROPN") for token in tokens]


def recordings(count, seed=0):
    """Series (T, 2) of their own length in which a channel rises or falls for some steps."""
    generator = np.random.default_rng(seed)
    series, labels = [], []
    for _ in range(count):
        steps = int(generator.integers(40, 80))
        values, tags = 0.2 * generator.normal(size=(steps, 2)), np.full(steps, "idle", object)
        for sign, tag in ((1, "up"), (-1, "down")):
            first = int(generator.integers(steps - 12))
            values[first : first + 10, 0] += sign
            tags[first : first + 10] = tag
        series.append(values)
        labels.append(tags.tolist())
    return series, labels


def small(**settings):
    """A tagger that learns them in some seconds."""
    sizes = {"hidden": 16, "channels": 8, "max_steps": 60, "batch_size": 16}
    if settings.get("input") != "series":
        sizes |= {"embedding": 16}
    rates = {"learning_rate": 0.02, "validate_every": 20, "dropout": 0.1}
    return Tagger(**{**sizes, **rates, **settings})
