"""Evaluation against the log-likelihood added up token by token."""

import itertools
import math

import pytest
import torch
from recurra.tasks.language.evaluate import evaluate_text, mean_nats

from recurra import LanguageModel
from recurra.errors import DataError
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.model import LanguageNet

pytestmark = pytest.mark.usefixtures("undrawn")


def token_by_token(net, ids):
    """The sum of -log p of each token after the first, one step of the net at a time."""
    total, states = 0.0, None
    with torch.no_grad():
        for token, target in itertools.pairwise(ids):
            logits, states = net(token.view(1, 1), states)
            total -= torch.log_softmax(logits.double().flatten(), -1)[target].item()
    return total


@pytest.fixture
def net():
    torch.manual_seed(0)
    return LanguageNet(LanguageConfig(hidden=6, dropout=0.5), 7)


@pytest.mark.parametrize("chunk", [1, 7 * 10, 1 << 22])
def test_a_text_is_one_stream_whatever_the_chunks(net, monkeypatch, chunk):
    monkeypatch.setattr("recurra.tasks.language.evaluate._CHUNK_LOGITS", chunk)
    ids = torch.randint(7, (60,), generator=torch.Generator().manual_seed(1))
    expected = token_by_token(net.eval(), ids) / 59
    assert mean_nats(net.train(), ids) == pytest.approx(expected, rel=1e-6)
    assert net.training


def test_rows_are_streams_of_their_own(net):
    ids = torch.randint(7, (61,), generator=torch.Generator().manual_seed(1))
    net.eval()
    rows = [token_by_token(net, ids[start : start + 21]) for start in (0, 20, 40)]
    assert mean_nats(net, ids, rows=3) == pytest.approx(sum(rows) / 60, rel=1e-6)


def test_the_numbers_agree_with_one_another(net):
    ids = torch.randint(7, (50,))
    result = evaluate_text(net, ids, characters=200)
    assert result["tokens"] == 49
    assert result["perplexity"] == pytest.approx(math.exp(result["nats"]))
    assert result["bits_per_character"] == pytest.approx(result["nats"] / math.log(2) / 4)


def test_a_file_is_evaluated_as_its_tokens_are(run, text_file, tmp_path):
    part = tmp_path / "part.txt"
    part.write_text(text_file.read_text()[:300])
    model = LanguageModel.load(run)
    net, vocabulary, _ = model._trained
    ids = vocabulary.encode(part.read_text())
    result = model.evaluate(part)
    assert result["nats"] == pytest.approx(token_by_token(net.eval(), ids) / (len(ids) - 1))
    assert result["characters"] == 300 + (model.config.level == "word" and 1)


def test_without_a_file_the_validation_text_is_meant(run, text_file):
    model = LanguageModel.load(run)
    content = text_file.read_text()
    assert abs(model.evaluate()["characters"] - 0.1 * len(content)) < 60


def test_one_token_cannot_be_evaluated(run, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    model = LanguageModel.load(run)
    if model.config.level == "word":
        assert model.evaluate(path)["tokens"] == 1
    else:
        with pytest.raises(DataError, match="2 are the least"):
            model.evaluate(path)
