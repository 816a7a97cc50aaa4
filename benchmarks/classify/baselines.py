"""What needs no recurrence, on the same test parts: python baselines.py [trec | sst2 | names ...].

Texts: a linear support vector machine on tf-idf of words and pairs of words, of names on 1- to
4-grams of characters. Series: ridge regression on series that are resampled to one length.
The sets are read under $RECURRA_DATA. Settings are usual ones; nothing is chosen on test parts.
"""

import os
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from recurra.data.sequences.sequence_sources import read_sequences

DATA = Path(os.environ.get("RECURRA_DATA", "."))
TEXTS = {
    "trec": ("trec_questions/trec.train.txt", "trec_questions/trec.test.txt"),
    "sst2": ("sst2/sst2.train.txt", "sst2/sst2.test.txt"),
}
SERIES = {
    "japanese_vowels": "japanese_vowels/JapaneseVowels",
    "italy_power": "ucr_small/ItalyPowerDemand",
    "gunpoint": "ucr_small/GunPoint",
}
STEPS = {"japanese_vowels": 29}


def machine(**how):
    """A support vector machine on tf-idf."""
    return make_pipeline(TfidfVectorizer(sublinear_tf=True, **how), LinearSVC())


def texts(name):
    """Accuracy on sentences of words."""
    parts = []
    for path in TEXTS[name]:
        lines = (DATA / path).read_text("utf-8" if name == "sst2" else "latin-1").splitlines()
        parts.append(list(zip(*(line.split(" ", 1)[::-1] for line in lines), strict=True)))
    model = machine(ngram_range=(1, 2), token_pattern=r"\S+")
    return model.fit(*parts[0]).score(*parts[1])


def names():
    """Accuracy on every fifth name of each file."""
    parts = {"train": ([], []), "test": ([], [])}
    for path in sorted((DATA / "names_by_nationality").glob("*.txt")):
        for number, name in enumerate(path.read_text("utf-8").splitlines()):
            for side, each in zip(parts["test" if number % 5 == 4 else "train"],
                                  (name, path.stem), strict=True):  # fmt: skip
                side.append(each)
    model = machine(analyzer="char_wb", ngram_range=(1, 4))
    return model.fit(*parts["train"]).score(*parts["test"])


def series(name):
    """Accuracy on series, resampled."""
    parts = []
    for part in ("TRAIN", "TEST"):
        items = read_sequences(DATA / f"{SERIES[name]}_{part}.ts", None).items
        rows = [resampled(item.data.values, STEPS.get(name)) for item in items]
        parts.append((np.stack(rows), [item.text for item in items]))
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 13)))
    return model.fit(*parts[0]).score(*parts[1])


def resampled(values, steps):
    """A series (T, C) as one row of so many steps, or as it is."""
    steps = steps or len(values)
    places = np.linspace(0, len(values) - 1, steps)
    return np.concatenate([np.interp(places, range(len(values)), each) for each in values.T])


def main(*wanted):
    """Print the accuracy of each."""
    for name in wanted or (*TEXTS, "names", *SERIES):
        right = names() if name == "names" else texts(name) if name in TEXTS else series(name)
        print(f"{name}: {right:.1%}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
