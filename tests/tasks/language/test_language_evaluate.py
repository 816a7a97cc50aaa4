"""Evaluation against the log-likelihood summed token by token."""

import itertools
import math

import pytest
import torch

from recurra import LanguageModel
from recurra.errors import DataError
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.model import LanguageNet, mean_nats
from recurra.tasks.task import Evaluation

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
    monkeypatch.setattr("recurra.tasks.language.model._CHUNK_LOGITS", chunk)
    ids = torch.randint(7, (60,), generator=torch.Generator().manual_seed(1))
    expected = token_by_token(net.eval(), ids) / 59
    assert mean_nats(net.train(), ids, 7) == pytest.approx(expected, rel=1e-6)
    assert net.training


def test_rows_are_streams_of_their_own(net):
    ids = torch.randint(7, (61,), generator=torch.Generator().manual_seed(1))
    net.eval()
    rows = [token_by_token(net, ids[start : start + 21]) for start in (0, 20, 40)]
    assert mean_nats(net, ids, 7, rows=3) == pytest.approx(sum(rows) / 60, rel=1e-6)


def test_the_numbers_agree_with_one_another(run, text_file):
    result = LanguageModel.load(run).evaluate(text_file)
    assert result["perplexity"] == pytest.approx(math.exp(result["nats"]))
    nats = result["bits_per_character"] * result["characters"] * math.log(2)
    assert nats == pytest.approx(result["nats"] * (result["tokens"] + 1))


def test_an_evaluation_is_numbers_and_how_they_are_shown(run, text_file):
    result = LanguageModel.load(run).evaluate(text_file.read_text()[:900])
    assert isinstance(result, Evaluation)
    names = ["nats", "bits_per_character", "perplexity", "tokens", "characters", "unknown"]
    assert list(result) == list(dict(result)) == list(result.to_json()) == names
    (section,) = result.sections
    assert section.content["nats per token"] == f"{result['nats']:.4f}"
    assert list(result.remarks) == []


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_change_nothing_but_bytes(run, text_file, line_end):
    model = LanguageModel.load(run)
    text = text_file.read_text()[:900]
    expected, found = model.evaluate(text), model.evaluate(text.replace("\n", line_end))
    assert (found == expected) == (model.config.level != "byte" or line_end == "\n")
    assert found["unknown"] == 0


def test_what_a_model_does_not_know_is_counted_and_said(run):
    model = LanguageModel.load(run)
    found = model.evaluate("the 3 cats\tsa€t\n")
    unknown = {"char": 2, "byte": 0, "word": 1}[model.config.level]
    assert found["unknown"] == unknown
    assert len(found.remarks) == bool(unknown)
    assert all("€" in remark for remark in found.remarks)


def test_undefined_numbers_are_null_in_json():
    found = Evaluation({"nats": math.nan, "tokens": 3}, remarks=["Few tokens."])
    assert found.to_json() == {"nats": None, "tokens": 3, "remarks": ["Few tokens."]}


def test_a_file_is_evaluated_as_its_tokens_are(run, text_file, tmp_path):
    part = tmp_path / "part.txt"
    part.write_text(text_file.read_text()[:300])
    model = LanguageModel.load(run)
    ids = model._task.vocabulary.encode(part.read_text())
    result = model.evaluate(part)
    expected = token_by_token(model._product.eval(), ids) / (len(ids) - 1)
    assert result["nats"] == pytest.approx(expected)
    assert result["characters"] == 300 + (model.config.level == "word" and 1)


def test_texts_in_memory_are_evaluated_as_files_are(run, text_file, tmp_path):
    parts = [text_file.read_text()[:200], text_file.read_text()[200:333]]
    paths = [tmp_path / "first.txt", tmp_path / "second.txt"]
    for path, part in zip(paths, parts, strict=True):
        path.write_text(part)
    model = LanguageModel.load(run)
    assert model.evaluate(parts) == model.evaluate(paths) == model.evaluate("".join(parts))


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
