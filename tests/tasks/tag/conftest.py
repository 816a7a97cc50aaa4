"""Trained taggers, each once for all tests."""

import pytest
from tag_helpers import recordings, sentences, small


@pytest.fixture(scope="session")
def trained():
    """A function from a kind of data and settings to a trained model, the same for the same."""
    made = {}

    def train(kind, **settings):
        key = kind, tuple(sorted(settings.items()))
        if key not in made:
            settings |= {"input": "series"} if kind == "series" else {}
            made[key] = small(**settings).fit(*_data(kind))
        return made[key]

    return train


def _data(kind):
    if kind == "series":
        return recordings(60)
    tokens, names, parts = sentences(200)
    tags = {"names": names, "parts": parts, "both": {"ner": names, "pos": parts}}
    return tokens, tags[kind]
