"""Texts as an input: numbers of tokens and characters, distortions, JSON, pages."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from recurra.config.input_config import InputConfig
from recurra.config.options import option
from recurra.data.feature_masks import mask_features
from recurra.data.texts.labelled_texts import read_texts
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.data.texts.token_vocabulary import Spelling
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.nn.frontends import WordFrontEnd
from recurra.tasks.inputs.text_input import TextDistortion, TextInput
from recurra.tasks.transcribe.text_batches import TextBatches


@dataclass(frozen=True, kw_only=True)
class WordsConfig(InputConfig):
    """The settings of texts that a task has."""

    tokens: str = option("words", "words, subwords or characters")
    min_count: int = option(1, "least count of a token", minimum=1)
    vocabulary: int = option(0, "most tokens, 0: no limit", minimum=0)
    lower: bool = option(False, "lower case")


TEXTS = ["The cat sat.", "the cat ran off, the end", "A dog!"]
ITEMS = read_texts([(text, "x") for text in TEXTS * 4])


def text_input(**settings):
    return TextInput.of(WordsConfig(**settings), ITEMS)


def item(text):
    return Item("t", "text", None, format="memory", data=text, origin="a.txt, line 3")


def test_a_row_is_a_token_and_its_characters():
    how = text_input()
    content = how.open(item("the Zebra ran"))
    rows = how.raw(content)
    assert (rows.shape, rows.dtype, how.size) == ((3, 1 + Spelling.width), np.int64, 23)
    vocabulary = how.vocabulary
    assert rows[:, 0].tolist() == vocabulary.encode(["the", "Zebra", "ran"]).tolist()
    assert rows[1, 0] == 1
    for row, word in zip(rows, ["the", "Zebra", "ran"], strict=True):
        assert row[1:].tolist() == how.spelling.encode(word).tolist()
    assert np.array_equal(how.features(content), rows)
    assert how.fitted([content]) == how


def test_characters_keep_their_case_where_words_lose_it():
    how = text_input(lower=True)
    upper, lower = how.raw(how.open(item("The the")))
    assert upper[0] == lower[0] > 1
    assert upper[1:].tolist() == how.spelling.encode("The").tolist() != lower[1:].tolist()
    assert "The" not in how.vocabulary
    assert "T" in how.spelling.letters
    assert text_input().vocabulary.encode(["The", "the"]).tolist() != [1, 1]


@pytest.mark.parametrize("tokens", ["subwords", "characters"])
def test_other_tokens_have_no_characters(tokens):
    how = text_input(tokens=tokens, vocabulary=40)
    rows = how.raw(how.open(item("the cat")))
    assert (rows.dtype, rows.shape[1], how.size) == (np.int64, 1, 1)
    assert (how.distortion.drop == 0) == (tokens == "characters")
    assert (rows > 1).all()
    assert len(how.vocabulary) <= 40
    assert how.raw(how.open(item("ж")))[-1].tolist() == [1]
    assert "<unk>" not in how.vocabulary


def test_characters_that_subwords_have_no_room_for_are_unknown():
    items = read_texts(
        [("".join(map(chr, range(0x4E00, 0x4E80))), "x"), *[(t, "x") for t in TEXTS]]
    )
    how = TextInput.of(WordsConfig(tokens="subwords", vocabulary=40), items)
    assert "<unk>" not in how.vocabulary
    assert how.raw(how.open(item("\u4e7f")))[-1].tolist() == [1]


def test_limits_of_the_vocabulary():
    assert text_input(min_count=5).vocabulary.tokens == ("cat", "the")
    assert text_input(vocabulary=5).vocabulary.tokens == ("cat", "the", "!")
    assert "z" not in text_input().spelling.letters
    assert text_input(min_count=2).spelling.letters == tuple("adehnot")
    with pytest.raises(ConfigError, match="min_count = 99"):
        text_input(min_count=99)


@pytest.mark.parametrize("tokens", ["words", "subwords", "characters"])
def test_json_carries_everything(tokens):
    how = text_input(tokens=tokens, vocabulary=40, lower=True, jitter=2.0, masks=0.5)
    again = TextInput.from_json(json.loads(json.dumps(how.to_json())))
    assert again == how
    assert again.kind == "text"
    text = item("The quick cat — ж")
    assert np.array_equal(again.raw(again.open(text)), how.raw(how.open(text)))


@pytest.mark.parametrize("text", ["", " \n", "\u200b\ufeff"])
def test_empty_texts_are_refused(text):
    with pytest.raises(DataError, match=r"a.txt, line 3: has no words .*leave out texts"):
        text_input().open(item(text))


def test_contents_of_other_types_are_refused():
    with pytest.raises(DataError, match="line 3: is of type int; give a str"):
        text_input().open(item(3))
    with pytest.raises(DataError, match=r"line 3: The text has '.ud83d' at character 1"):
        text_input().open(item("\ud83d"))


def many(how, text, count=4000):
    """Distorted copies of a text."""
    content, generator = how.open(item(text)), np.random.default_rng(0)
    return [how.distorted(content, generator) for _ in range(count)]


def test_rare_tokens_are_unknown_more_often():
    how = text_input(masks=0.0, jitter=4.0)
    copies = many(how, "the cat dog sat")
    shares = np.mean([copy.ids == 1 for copy in copies], axis=0)
    seen = how.vocabulary.seen[how.open(item("the cat dog sat")).ids]
    assert seen.tolist() == [8, 8, 4, 4]
    np.testing.assert_allclose(shares, 1 / (1 + seen), atol=0.02)
    assert all(len(copy) == 4 for copy in copies)


def test_hidden_words_keep_their_characters_and_the_content_stays():
    how = text_input(masks=0.0, jitter=4.0)
    content = how.open(item("the cat dog"))
    before = content.ids.copy()
    hidden = next(c for c in many(how, "the cat dog") if c.ids[2] == 1 and c.ids[0] > 1)
    assert np.array_equal(how.raw(hidden)[:, 1:], how.raw(content)[:, 1:])
    assert np.array_equal(content.ids, before)


def test_words_are_dropped_and_one_stays():
    how = text_input(masks=2.0, jitter=0.0)
    copies = many(how, "the cat dog sat")
    assert np.mean([len(copy) for copy in copies]) == pytest.approx(4 * 0.9, abs=0.05)
    found = {" ".join(copy.words()) for copy in copies}
    assert found >= {"the cat dog sat", "the cat dog", "cat dog sat", "the dog sat"}
    half = replace(how, distortion=TextDistortion(0, 0.5))
    lengths = {len(copy) for copy in many(half, "the cat")}
    assert lengths == {1, 2}
    assert {len(copy) for copy in many(half, "the")} == {1}


def test_without_strength_nothing_is_distorted_and_the_same_seed_gives_the_same():
    copies = many(text_input(masks=0.0, jitter=0.0), "the cat ж", 50)
    assert len({tuple(copy.ids) for copy in copies}) == 1
    how = text_input(masks=4.0, jitter=4.0)
    first, again = many(how, "the cat sat", 20), many(how, "the cat sat", 20)
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("chances", [(-1, 0), (float("nan"), 0), (0, 0.6)])
def test_chances_that_cannot_be(chances):
    with pytest.raises(ConfigError, match=r"unknown is 0 or more, and drop from 0 to 0\.5"):
        TextDistortion(*chances)


def test_masks_of_features_leave_numbers_as_they_are():
    how = text_input()
    rows = how.features(how.open(item("the cat sat off " * 20)))
    for seed in range(5):
        masked = mask_features(rows, how.masks, np.random.default_rng(seed))
        assert masked.dtype == np.int64
        assert np.array_equal(masked, rows)


def test_a_page_shows_the_text_and_weights_of_its_tokens():
    how = text_input()
    content = how.open(item("the <cat>"))
    assert how.media(content).data.decode() == "the <cat>"
    page = how.media(content, [0.0, 0.5, 1.0, 0.0]).html()
    assert "the <span" in page
    assert ">&lt;</span><span" in page
    assert ">cat</span>&gt;" in page


def test_batches_go_through_the_front_end():
    how = text_input()
    contents = [how.open(each) for each in ITEMS]
    targets, lengths = [np.zeros(1, np.int64)] * 12, [len(c) for c in contents]
    batches = TextBatches(how, contents, targets, lengths, batch_size=4, seed=0)
    batch = batches.window(0, 0)
    front = WordFrontEnd(len(how.vocabulary), 8, letters=len(how.spelling))
    steps, found = front(batch.features, batch.lengths)
    assert batch.features.dtype == torch.int64
    assert steps.shape == (len(batch.features), 4, front.output_size)
    assert found.tolist() == batch.lengths.tolist()


def test_tokens_that_are_given_stay_and_none_is_left_out():
    data = TaggedTokens(("New York", "Is"), {"pos": ("PROPN", "AUX")})
    tagged = Item("t", "text", data.text, format="memory", data=data)
    how = TextInput.of(WordsConfig(lower=True), [tagged])
    assert (how.distortion.drop, how.distortion.unknown) == (0, 1)
    content = how.open(tagged)
    assert content.words() == ["New York", "Is"]
    assert "new york" in how.vocabulary
    assert content.labels == {"pos": ("PROPN", "AUX")}
    halved = replace(how, distortion=TextDistortion(0, 0.5))
    for seed in range(8):
        found = halved.distorted(content, np.random.default_rng(seed))
        assert len(found.labels["pos"]) == len(found)
        pairs = dict(zip(found.words(), found.labels["pos"], strict=True))
        assert pairs.items() <= {"New York": "PROPN", "Is": "AUX"}.items()
