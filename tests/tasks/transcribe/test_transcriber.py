"""Transcription from data in memory: learns, keeps, loads, writes."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from transcribe_helpers import ALPHABET, items, small

from recurra import Transcriber, load
from recurra.cli import main
from recurra.data.images.image_file import png_bytes
from recurra.errors import ConfigError, DataError
from recurra.tasks.transcribe.text_batches import padded

KINDS = ("image", "sound", "ink")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_learnt(trained, kind):
    model = trained(kind)
    fresh = items(kind, 30, seed=1)
    figures = model.evaluate(fresh)
    assert figures["cer"] < 0.1
    found = model.transcribe([content for content, _ in fresh[:5]])
    assert sum(one.text == text for one, (_, text) in zip(found, fresh, strict=False)) >= 4


@pytest.mark.slow
def test_a_transducer_is_learnt_and_streamed(trained):
    sizes = {"joint": 24, "bidirectional": False, "max_steps": 300}
    model = trained("sound", model="transducer", **sizes)
    fresh = items("sound", 20, seed=1)
    assert model.evaluate(fresh)["cer"] < 0.2
    assert model.evaluate(fresh)["cer"] <= model.evaluate(fresh, beam=1, ngram=False)["cer"]
    for content, _ in fresh[:3]:
        (whole,) = model.transcribe([content], times=True)
        session = model.session()
        found = session.feed(content.samples[:900]) + session.feed(content.samples[900:])
        found += session.finish()
        assert "".join(each.text for each in found) == whole.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_run_writes_the_same(trained, kind):
    model = trained(kind)
    contents = [content for content, _ in items(kind, 6, seed=2)]
    again = load(model.run.path)
    assert isinstance(again, Transcriber)
    expected = model.transcribe(contents, times=True, nbest=2)
    assert again.transcribe(contents, times=True, nbest=2) == expected
    assert set(again._task.context["alphabet"]) == set(ALPHABET)


def test_the_same_seed_gives_the_same_bits(tmp_path):
    runs = [small("sound", max_steps=4).fit(items("sound", 40)) for _ in range(2)]
    weights = [run.run.load_model() for run in runs]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(tmp_path):
    data = items("image", 40)
    whole = small("image", max_steps=12, validate_every=4, schedule="constant").fit(data)
    part = small("image", max_steps=6, validate_every=4, schedule="constant")
    part.fit(data, out=tmp_path / "run")
    again = Transcriber.resuming(tmp_path / "run", {"max_steps": 12})
    again.fit(data, out=tmp_path / "run", resume=True)
    old, new = whole.run.load_model(), again.run.load_model()
    assert all((old[name] == new[name]).all() for name in old)


@pytest.mark.parametrize("kind", KINDS)
def test_places_lie_in_the_content_and_ascend(trained, kind):
    model = trained(kind)
    for content, _ in items(kind, 5, seed=3):
        (found,) = model.transcribe([content], times=True)
        assert "".join(each.text for each in found.characters) == found.text
        starts = [each.start for each in found.characters]
        assert starts == sorted(starts)
        assert all(0 <= each.start < each.end <= found.length for each in found.characters)
        assert [word.text for word in found.words] == found.text.split()


def test_tones_are_found_where_they_are(trained):
    content, _ = items("sound", 1, seed=5)[0]
    (found,) = trained("sound").transcribe([content], times=True)
    for number, each in enumerate(found.characters):
        begin = 0.05 + 0.12 * number
        assert abs(each.middle - (begin + 0.045)) < 0.08


def test_confidences_are_probabilities_and_mistakes_have_lower_ones(trained):
    model = trained("sound")
    figures = model.evaluate(items("sound", 30, seed=1))
    assert 0 <= figures["ece"] < 0.2
    noise = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    (odd,) = model.transcribe([noise], times=True)
    (clear,) = model.transcribe([items("sound", 1, seed=1)[0][0]], times=True)
    if odd.characters:
        assert odd.confidence < clear.confidence


def test_nbest_is_ranked_and_different(trained):
    (found,) = trained("image").transcribe([items("image", 1, seed=1)[0][0]], nbest=4, beam=8)
    scores = [score for _, score in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert len({text for text, _ in found.alternatives}) == len(found.alternatives) > 1
    assert found.alternatives[0][0] == found.text


def test_a_lexicon_lets_no_other_word_out(trained, tmp_path):
    (tmp_path / "words.txt").write_text("ab\nc\n")
    contents = [content for content, _ in items("image", 8, seed=1)]
    found = trained("image").transcribe(contents, lexicon=str(tmp_path / "words.txt"))
    assert {word.lower() for one in found for word in one.text.split()} <= {"ab", "c"}


def test_the_decoder_of_flashlight_writes_the_same(trained, tmp_path):
    pytest.importorskip("flashlight.lib.text")
    model, other = trained("sound"), {"decoder": "flashlight", "beam": 64}
    contents = [content for content, _ in items("sound", 10, seed=4)]
    expected = [one.text for one in model.transcribe(contents, beam=64)]
    assert [one.text for one in model.transcribe(contents, **other)] == expected
    (tmp_path / "words.txt").write_text("a b abc ba")
    only = {"lexicon": tmp_path / "words.txt"}
    found = model.transcribe(contents, times=True, **only, **other)
    assert {word.text for one in found for word in one.words} <= {"a", "b", "abc", "ba"}
    streams = trained("sound", bidirectional=False, max_steps=2)
    with pytest.raises(ConfigError, match="decoder = 'flashlight' takes whole sequences"):
        streams.session(decoder="flashlight")
    transducer = trained("sound", model="transducer", joint=8, max_steps=2)
    with pytest.raises(ConfigError, match="this model is a transducer"):
        transducer.transcribe(contents, decoder="flashlight")


@pytest.mark.parametrize("kind", KINDS)
def test_an_inspection_reads_whole_items_and_judges_by_their_texts(trained, kind):
    model = trained(kind)
    task, data = model._task, model._data
    probe = task.probe(data, rows=5, steps=10)
    inputs, lengths = probe.inputs
    features = [task.input.features(content) for content in data.held_out.contents]
    chosen = [
        next(n for n, own in enumerate(features) if np.array_equal(own, inputs[:length, row]))
        for row, length in enumerate(lengths.tolist())
    ]
    texts = [task.alphabet.encode(data.held_out.texts[n]) for n in chosen]
    net = model._ready().nets[0].eval()
    expected = net.loss(padded([features[n] for n in chosen], texts))
    torch.testing.assert_close(probe.loss(net(inputs, lengths)), expected)
    assert not [v for v in model.inspect()[0].verdicts if v.name == "padding read"]


def test_windows_and_missing_texts_are_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="window = 8"):
        small("image", window=8)
    with pytest.raises(DataError, match="absent"):
        small("image", ngram_text=str(tmp_path / "absent")).fit(items("image", 20))


def test_mistakes_are_named(trained, tmp_path):
    model = trained("image")
    with pytest.raises(ConfigError, match="bean"):
        model.transcribe([], bean=3)
    with pytest.raises(ConfigError, match="nbest = 0"):
        model.transcribe([items("image", 1)[0][0]], nbest=0)
    with pytest.raises(DataError, match="no such file"):
        model.transcribe(str(tmp_path / "absent.png"))
    with pytest.raises(ConfigError, match="A stream is of sound, ink, series or words"):
        model.session()
    with pytest.raises(ConfigError, match="can't be streamed"):
        trained("sound").session()
    with pytest.raises(DataError, match="No data"):
        Transcriber(input="image").fit()


def test_subtitles_of_images_are_refused(trained, tmp_path):
    path = tmp_path / "line.png"
    path.write_bytes(png_bytes(items("image", 1)[0][0].astype(np.float32)))
    words = ["transcribe", str(trained("image").run.path), str(path), "--srt"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "Subtitles are of sound" in result.stderr
