"""A trained model of each task, in a second or two, each made once in a process."""

import functools
import math
import warnings

import numpy as np
import pandas as pd

import recurra
from recurra.data.audio.sound import Sound
from recurra.data.ink.ink import Ink
from recurra.errors import RecurraWarning

FILMS = [f"a {w} film about {t}" for w in ("fine", "good", "sad", "bad") for t in ("love", "war")]
WAVES = [np.sin(np.arange(40 + n % 5) * (0.2 + n / 50)) for n in range(20)]
WORDS = ["ab", "ba", "abb", "bab", "a", "b", "aab", "bba"] * 4
BRIEF = {"hidden": 8, "max_steps": 4}


def _language(**options):
    # Trained until what it writes depends on what it has read.
    how = {"hidden": 16, "max_steps": 150, "learning_rate": 0.02, "window": 16, "batch_size": 8}
    return recurra.LanguageModel(valid_fraction=0.01, **how, **options).fit(
        "The rain went on. A cell keeps what it needs, and lets go of the rest.\n" * 40
    )


def _classifier(**options):
    labels = ["good" if "fine" in film or "good" in film else "bad" for film in FILMS]
    return recurra.Classifier(channels=4, **BRIEF, **options).fit(FILMS * 3, labels * 3)


def _sales(model):
    hours = pd.date_range("2024-01-01", periods=150, freq="h")
    parts = [pd.DataFrame({"unique_id": k, "ds": hours, "y": np.arange(150) % 24}) for k in "ab"]
    return recurra.Forecaster(horizon=6, freq="h", model=model, lookback=24, **BRIEF).fit(
        pd.concat(parts)
    )


def _pen(**options):
    draw = np.random.default_rng(0).normal
    inks = [
        Ink(tuple(np.cumsum(draw(size=(n, 2)), 0) * 5 + 50 for n in (20, 9))) for _ in range(12)
    ]
    texts = ["ab"[n % 2 :] for n in range(12)]
    model = recurra.Transcriber(channels=4, input="ink", **BRIEF, **options)
    return model.fit(list(zip(inks, texts, strict=True)))


def _speech():
    noise = np.random.default_rng(0).normal(size=(12, 8000)).astype("f4") / 10
    pairs = [(Sound(each, 8000), "ab"[n % 2 :]) for n, each in enumerate(noise)]
    model = recurra.Transcriber(channels=4, input="sound", bidirectional=False, **BRIEF)
    return model.fit(pairs)


def _sensor():
    x = np.random.default_rng(0).normal(size=(300, 2))
    return recurra.Regressor(answers="step", **BRIEF).fit(x, x[:, 0].cumsum())


def _tags(**options):
    texts = [["the", "cat", "sleeps"], ["a", "dog", "runs"]] * 8
    model = recurra.Tagger(embedding=8, channels=4, **BRIEF, **options)
    return model.fit(texts, [["DET", "NOUN", "VERB"]] * 16)


def _waves():
    labels = ["slow" if n < 10 else "fast" for n in range(20)]
    return recurra.Classifier(channels=4, bidirectional=False, **BRIEF).fit(WAVES, labels)


_MAKERS = {
    "language": _language,
    "words": lambda: _language(level="word", ensemble=2),
    "bytes": lambda: _language(level="byte", layers=2, skip="residual"),
    "films": lambda: _classifier(bidirectional=False),
    "whole films": lambda: _classifier(bidirectional=True),
    "waves": _waves,
    "tags": lambda: _tags(bidirectional=False),
    "whole tags": lambda: _tags(bidirectional=True),
    "sensor": _sensor,
    "speed": lambda: recurra.Regressor(channels=4, level=0.5, **BRIEF).fit(
        WAVES, np.arange(20) / 50
    ),
    "mirror": lambda: recurra.Translator(embedding=8, target_tokens="characters", **BRIEF).fit(
        WORDS, [word[::-1] for word in WORDS]
    ),
    "stepped sales": lambda: _sales("direct"),
    "reread sales": lambda: _sales("segments"),
    "pen": lambda: _pen(bidirectional=False),
    "whole pen": lambda: _pen(bidirectional=True),
    "speech": _speech,
}


@functools.cache
def small_model(name):
    """The trained model of this name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecurraWarning)
        return _MAKERS[name]()


@functools.cache
def dialogues(name):
    """The same as clients talk to it, eight at a time."""
    return small_model(name).dialogues(8)


def same(found, wanted):
    """Whether answers are equal, numbers to 1e-5."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-5)
    return found == wanted
