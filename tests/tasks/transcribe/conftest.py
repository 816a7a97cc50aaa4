"""Trained transcribers, each once for all tests."""

import pytest
import torch
from transcribe_helpers import items, small


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A function from a kind and settings to a trained model, the same for the same arguments."""
    made = {}

    def train(kind, **settings):
        key = kind, tuple(sorted(settings.items()))
        if key not in made:
            torch.manual_seed(0)
            out = tmp_path_factory.mktemp(kind) / "run"
            model = small(kind, **{"max_steps": 120, "learning_rate": 0.02, **settings})
            made[key] = model.fit(items(kind, 320), out=out)
        return made[key]

    return train
