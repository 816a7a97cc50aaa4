"""New text: the seed, the prompt, the pieces."""

import pytest
import torch

from recurra import LanguageModel
from recurra.errors import ConfigError, RecurraWarning
from recurra.tasks.language.text_session import write

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
    with pytest.warns(RecurraWarning, match=r"prompt has 1 character .* \('€'\): 1 of its 3"):
        assert len(model.generate("5 €", length=9)) == 9


def drawn(model, **how):
    """The tokens that a model draws to which all are equally likely, in a long text."""
    for parameter in model._product.parameters():
        parameter.data.zero_()
    session, found = model.session(), set()
    draw = session.draw
    session.draw = lambda choose: found.add(token := draw(choose)) or token
    list(write(session, model._task.vocabulary, length=1500, seed=1, **how))
    return found


def test_all_but_unknown_and_banned_tokens_are_drawn(run):
    model = LanguageModel.load(run)
    everything, level = set(range(len(model._task.vocabulary))), model.config.level
    unknown = set() if level == "byte" else {0}
    banned = ["the", "dog"] if level == "word" else ["t", "\n"]
    numbers = {model._task.vocabulary.token(text) for text in banned}
    left = everything - numbers
    assert drawn(model, banned=banned) <= left - unknown
    if level != "byte":  # 256 are too many
        assert drawn(model, banned=banned) == left - unknown
        assert drawn(model, banned=banned, unknown=True) == left


@pytest.mark.parametrize(
    ("how", "part"),
    [
        ({"banned": "the"}, "give a list of tokens"),
        ({"banned": [3]}, "give a list of tokens"),
        ({"banned": ["tthe"]}, "not a token"),
        ({"top_p": 0.5, "unknown": True, "banned": ["€"]}, "of level"),
    ],
)
def test_a_token_that_cannot_be_banned_is_an_error(run, how, part):
    with pytest.raises(ConfigError, match=part):
        LanguageModel.load(run).stream(**how)


def test_one_token_must_be_left(text_file):
    model = LanguageModel(level="char", max_steps=1, hidden=2, batch_size=2, window=4)
    model.fit("aab ab\nab ba" * 9)
    with pytest.raises(ConfigError, match="leave one to draw"):
        model.generate(banned=["a", "b", " ", "\n"])
    assert set(model.generate(length=5, banned=["a", " ", "\n"])) == {"b"}


@pytest.mark.parametrize("method", ["generate", "stream"])
def test_an_option_that_generating_lacks_names_the_nearest(run, method):
    with pytest.raises(
        TypeError, match=rf"^{method}\(\) got .* 'lenght'; did you mean 'length'\?$"
    ):
        getattr(LanguageModel.load(run), method)(lenght=5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("length", 0), ("length", "5"), ("temperature", -1.0), ("top_p", 1.5)],
        *[("seed", 2**80), ("seed", 1.5), ("prompt", 5), ("temperature", "1"), ("top_k", "5")],
    ],
)
def test_a_value_out_of_range_is_an_error(run, name, value):
    with pytest.raises(ConfigError, match=f"{name} = "):
        LanguageModel.load(run).stream(**{name: value})
