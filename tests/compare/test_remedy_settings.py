"""Words of verdicts as settings, and trials of remedies that are known to help or harm."""

import math

import pytest

from recurra import LanguageModel
from recurra.compare import try_remedies
from recurra.compare.remedy_settings import Remedy, remedies_of
from recurra.compare.remedy_trials import RemedyTrial, RemedyTrials
from recurra.config.training_config import Metric
from recurra.errors import ConfigError, RunError
from recurra.insight import Verdict

CONFIG = LanguageModel(cell="rnn", window=64, learning_rate=0.01, max_steps=10).config


def verdict(remedy, name="vanishing", severity="severe"):
    return Verdict("layer", name, severity, "text", remedy)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("raise the forget bias (--init forget-bias:1), or use chrono initialisation",
         ["--init forget-bias:1", "--init chrono:64"]),
        ("use chrono initialisation (--init chrono:100), or a forget bias of 1",
         ["--init chrono:100"]),
        ("use orthogonal initialisation (--init orthogonal), or a gated cell (--cell gru or lstm)",
         ["--init orthogonal", "--cell gru"]),
        ("scale the recurrent weights down (--init orthogonal), clip the gradient's norm "
         "(clip_norm), or use a gated cell", ["--init orthogonal", "--cell gru"]),
        ("scale the recurrent weights down (--init orthogonal), or use an antisymmetric cell",
         ["--init orthogonal", "--cell antisymmetric"]),
        ("scale the inputs or weights down, lower the learning rate, or use layer normalisation",
         ["--learning-rate 0.001", "--norm pre"]),
        ("train with windows of 200 steps or more (window = 200)", ["--window 200"]),
        ("use fewer layers, or skip connections with normalisation (--skip residual --norm pre)",
         ["--skip residual --norm pre"]),
        ("lower the learning rate, warm it up longer, or raise the limit (clip_norm)",
         ["--learning-rate 0.001", "--warmup-steps 50", "--clip-norm 10"]),
        ("standardise each feature of the data to mean 0 and deviation 1", []),
        ("draw its weights again: layer.reset_parameters()", []),
    ],
)  # fmt: skip
def test_words_become_settings(words, expected):
    assert [str(remedy) for remedy in remedies_of([verdict(words)], CONFIG)] == sorted(
        expected, key=expected.index
    )


def test_initialisers_of_another_kind_stay():
    config = LanguageModel(init="orthogonal,forget-bias:0.5").config
    (remedy,) = remedies_of([verdict("use chrono initialisation (--init chrono:9)")], config)
    assert remedy.settings == {"init": "orthogonal,chrono:9"}


def test_one_remedy_of_two_verdicts_is_one_and_notes_have_none():
    found = remedies_of(
        [
            verdict("lower the learning rate"),
            verdict("use a smaller learning rate", "clipping", "warning"),
            verdict("use layer normalisation", "saturated", "note"),
        ],
        CONFIG,
    )
    assert [remedy.verdicts for remedy in found] == [("vanishing", "clipping")]


@pytest.mark.parametrize(
    ("values", "lower", "effect"),
    [
        ((1.0, 1.1), True, "helps"),
        ((1.0, 1.1), False, "harms"),
        ((2.0, 2.1), True, "no clear difference"),
        ((1.0, 2.6), True, "no clear difference"),
    ],
)
def test_an_effect_is_one_that_the_seeds_agree_on(values, lower, effect):
    trial = RemedyTrial(Remedy(("vanishing",), {"cell": "gru"}), values)
    trials = RemedyTrials(Metric("loss", lower), 9, (0, 1), RemedyTrial(None, (2.0, 2.1)), (trial,))
    assert trials.effect(trial) == effect


@pytest.fixture
def ill(tmp_path):
    """A run whose learning rate was far too high."""
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat and slept. " * 120)
    settings = {"hidden": 8, "window": 16, "batch_size": 8, "learning_rate": 5.0}
    model = LanguageModel(max_steps=4, watch_every=0, **settings)
    return model.fit([text], out=tmp_path / "run").run.path


def test_a_remedy_that_helps_is_told_from_one_that_does_not(ill):
    verdicts = [verdict("lower the learning rate (--cell nowhere)")]
    said = []
    before = (ill / "config.json").read_bytes()
    trials = try_remedies(ill, verdicts, steps=20, said=said.append)
    assert said == ["untreated, 20 steps, 2 seeds", *map(str, (t.remedy for t in trials.trials))]
    effects = {str(t.remedy): trials.effect(t) for t in trials.trials}
    assert effects == {"--learning-rate 0.5": "helps", "--cell nowhere": "failed"}
    assert (ill / "config.json").read_bytes() == before
    assert not math.isnan(trials.untreated.mean)


def test_what_cannot_be_tried_is_told(ill):
    with pytest.raises(ConfigError, match="nothing to try"):
        try_remedies(ill, [verdict("standardise the data")])
    with pytest.raises(ConfigError, match="seeds = 0"):
        try_remedies(ill, [verdict("lower the learning rate")], seeds=0)
    with pytest.raises(RunError, match="nowhere"):
        try_remedies("nowhere", [verdict("lower the learning rate")])
