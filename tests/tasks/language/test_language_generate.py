"""New text: the seed, the prompt, the pieces."""

import pytest
import torch

from recurra import LanguageModel
from recurra.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_same_seed_writes_the_same(run):
    texts = [LanguageModel.load(run).generate("the ", length=60, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_without_a_seed_texts_differ_and_torchs_own_draws_stay(run):
    model = LanguageModel.load(run)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert model.generate(length=60) != model.generate(length=60)
    assert torch.equal(torch.rand(3), expected)


def test_the_pieces_are_the_text(run):
    model = LanguageModel.load(run)
    pieces = list(model.stream("the ", length=30, seed=1))
    assert "".join(pieces) == model.generate("the ", length=30, seed=1)
    assert len(pieces) <= 31


def test_greedy_text_is_the_likeliest_token_each_time(run):
    model = LanguageModel.load(run)
    net, vocabulary = model._product, model._task.vocabulary
    ids = vocabulary.prompt("the ").tolist()
    for _ in range(12):
        logits, _ = net.eval()(torch.tensor(ids).view(-1, 1))
        ids.append(int(logits[-1].argmax()))
    decoder = vocabulary.decoder()
    whole = "".join(decoder.feed(token) for token in ids)
    written = model.generate("the ", length=12, temperature=0)
    assert whole.endswith(written)
    assert written


def test_unknown_characters_in_a_prompt_are_named_at_once(text_file, tmp_path):
    model = LanguageModel(hidden=4, max_steps=1, batch_size=2, window=8)
    model.fit(text_file, out=tmp_path / "run")
    with pytest.raises(DataError, match="'€'"):
        model.stream("5 €")


@pytest.mark.parametrize(
    "how", [{"length": 0}, {"temperature": -1.0}, {"top_p": 1.5}, {"seed": 2**64}]
)
def test_a_number_out_of_range_is_an_error(run, how):
    with pytest.raises(ConfigError, match=next(iter(how))):
        LanguageModel.load(run).stream(**how)
