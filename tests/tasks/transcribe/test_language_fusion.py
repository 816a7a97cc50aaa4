"""A run of a language model in decoding: its weight is chosen, kept, and can be overruled."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transcribe_helpers import items, small, texts

from recurra import LanguageModel, Transcriber, load
from recurra.data.alphabet import Alphabet
from recurra.decoding.scoring import Scorer
from recurra.errors import ConfigError, RunError
from recurra.tasks.transcribe import search
from recurra.tasks.transcribe.config import TranscribeConfig
from recurra.tasks.transcribe.fusion import language_scorer
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.text_models import TextModels


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A small run of a language model of texts as the tests have them."""
    folder = tmp_path_factory.mktemp("language")
    lines = texts(200, np.random.default_rng(3))
    (folder / "texts.txt").write_text("\n".join(lines) + "\n")
    settings = {"hidden": 8, "max_steps": 10, "batch_size": 4, "window": 8}
    LanguageModel(**settings).fit(folder / "texts.txt", out=folder / "run")
    return folder / "run"


class Alternating(Scorer):
    """Texts in which no letter follows itself cost nothing; `good` false: those alone do."""

    def __init__(self, good):
        self.good = good

    def start(self):
        return 0

    def score(self, state, token):
        return (0.0 if (state != token) == self.good else -4.0), token

    def finish(self, state):
        return 0.0


def doubtful(text):
    """Frames (T, 3) of a text, each letter nearly as likely as the other, blanks between them."""
    rows = []
    for number, letter in enumerate(text):
        right = 0.7 if number % 2 else 0.44
        row = [0.04, right, 0.96 - right]
        rows += [row if letter == "a" else [row[0], row[2], row[1]], [0.98, 0.01, 0.01]]
    return torch.tensor(rows).log()


@pytest.mark.parametrize("good", [True, False])
def test_the_weight_is_chosen_by_the_held_out_items(monkeypatch, good):
    monkeypatch.setattr(search, "language_scorer", lambda run, alphabet: Alternating(good))
    texts = ["abababab"[n % 2 :] for n in range(6)]
    plain = Recogniser(
        TranscribeConfig(),
        SimpleNamespace(step_seconds=None),
        Alphabet("ab"),
        [SimpleNamespace(transducer=None)],
        TextModels(run="language"),
    )
    frames = [doubtful(text) for text in texts]
    chosen = plain._weighed(frames, texts)
    assert (chosen.weights.fused > 0) == good
    assert (chosen._errors(frames, texts) < plain._errors(frames, texts) / 2) == good


def test_an_average_character_costs_nothing(language):
    """Each is worth its log-probability, and the loss of the run on its held-out text."""
    model = load(language)
    tokens = model.vocabulary.encode("ab")
    start = torch.tensor([[model.vocabulary.start]])
    with torch.no_grad():
        logits, _ = model.network(torch.cat([start, tokens[:, None]]))
    plain = logits[:, 0].log_softmax(-1)
    loss = model.run.config["results"][0]["best"]["loss"]
    scorer = language_scorer(str(language), Alphabet("ab"))
    first, state = scorer.score(scorer.start(), 1)
    second, state = scorer.score(state, 2)
    (end,) = model.vocabulary.encode("\n").tolist()
    found = [first - loss, second - loss, scorer.finish(state) - loss]
    expected = [plain[0, tokens[0]], plain[1, tokens[1]], plain[2, end]]
    assert found == pytest.approx([float(value) for value in expected], abs=1e-4)


def test_a_run_keeps_it_and_options_overrule_it(language, tmp_path, monkeypatch):
    own = shutil.copytree(language, tmp_path / "language")
    monkeypatch.chdir(tmp_path)
    settings = {"max_steps": 20, "learning_rate": 0.02, "language": "language"}
    small("image", **settings).fit(items("image", 60), out="run")
    model = Transcriber.load("run")
    assert model._ready().texts.run == str(own)
    content = [items("image", 1, seed=9)[0][0]]
    product = model._ready()
    object.__setattr__(product, "weights", product.weights._replace(beam=16, fused=0.2))
    score = {
        weight: model.transcribe(content, nbest=1, language_weight=weight)[0].alternatives[0][1]
        for weight in (None, 0.2, 0.0, 2.0)
    }
    assert score[None] == score[0.2]
    assert len(set(score.values())) == 3
    shutil.rmtree(own)
    search.language_scorer.__globals__["_language"].cache_clear()
    assert model.transcribe(content, language_weight=0.0)
    with pytest.raises(RunError, match=r"language.*does not exist"):
        model.transcribe(content)


def test_what_is_no_language_run_is_refused_before_training(tmp_path, trained):
    with pytest.raises(RunError, match="nowhere"):
        small("image", language=str(tmp_path / "nowhere")).fit(items("image", 20))
    other = trained("image")
    with pytest.raises(ConfigError, match="is a run of another task; give one of `recurra train"):
        small("image", language=str(other.run.path)).fit(items("image", 20))
    with pytest.raises(ConfigError, match=r"language_weight = 0\.2 without language"):
        other.transcribe([items("image", 1)[0][0]], language_weight=0.2)


def test_a_run_without_held_out_text_is_refused(tmp_path):
    lines = "\n".join(texts(100, np.random.default_rng(3)))
    settings = {"hidden": 4, "max_steps": 2, "batch_size": 4, "window": 8, "valid_fraction": 0.0}
    LanguageModel(**settings).fit(lines, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"run' was trained without held-out text.*valid_frac"):
        language_scorer(str(tmp_path / "run"), Alphabet("ab"))
