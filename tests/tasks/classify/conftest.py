"""Trained classifiers, each once for all tests."""

import pytest
import torch
from classify_helpers import examples, small


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A function from a kind and settings to a trained model, the same for the same arguments."""
    made = {}

    def train(kind, **settings):
        key = kind, tuple(sorted(settings.items()))
        if key not in made:
            torch.manual_seed(0)
            out = tmp_path_factory.mktemp(kind) / "run"
            made[key] = small(kind, **settings).fit(*examples(kind, 160), out=out)
        return made[key]

    return train
