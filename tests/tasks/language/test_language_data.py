"""The field's counts on real text."""

import pytest

from recurra import LanguageModel
from recurra.data.text import read_text
from recurra.data.vocabulary import build_vocabulary
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.task import Language

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("undrawn")]


def test_penn_treebank_has_its_published_counts(real_data):
    parts = {
        p: read_text([real_data / f"ptb/ptb.{p}.txt"]).content for p in ("train", "valid", "test")
    }
    vocabulary = build_vocabulary("word", parts["train"])
    assert len(vocabulary) == 10_000
    counts = {part: len(vocabulary.encode(text)) for part, text in parts.items()}
    assert counts == {"train": 929_589, "valid": 73_760, "test": 82_430}


def test_tiny_shakespeare_is_split_as_the_field_splits_it(real_data):
    task = Language(LanguageConfig(data=(str(real_data / "tiny_shakespeare/input.txt"),)))
    texts = task.read()
    task.context = task.context_of(texts)
    assert len(task.vocabulary) == 65 + 1  # with the unknown one
    assert len(task.vocabulary.encode(texts.held_out)) == 111_540
    assert len(task.windows(texts)) == 1_003_853 // 32 // 128 + 1


def test_a_short_training_learns_more_than_pairs_of_letters(real_data, tmp_path):
    """After 300 small steps, below the 2.5 nats that knowing the letter before is worth."""
    model = LanguageModel(hidden=96, max_steps=300, window=48, batch_size=16, learning_rate=1e-2)
    model.fit(real_data / "tiny_shakespeare/input.txt", out=tmp_path / "run")
    assert model.validation["nats"] < 2.3
    assert model.validation["tokens"] == 111_539
