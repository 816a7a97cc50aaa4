"""Streams of sound and ink: any chunks give the text and the places of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transcribe_helpers import items

from recurra import load
from recurra.data.audio.resampler import resample
from recurra.data.audio.sound import Sound
from recurra.errors import ConfigError, RunError
from recurra.tasks.transcribe.search import Pauses


@pytest.fixture(scope="module")
def models(trained):
    return {kind: trained(kind, bidirectional=False) for kind in ("sound", "ink")}


def streamed(session, kind, content, sizes):
    """Everything that a stream settles, fed in chunks of these sizes, again and again."""
    found, place = [], 0
    if kind == "ink":
        for stroke in content.strokes:
            half = len(stroke) // 2
            found += session.feed(stroke[:half, :2])
            found += session.feed(stroke[half:, :2], pen_up=True)
    else:
        while place < len(content.samples):
            size = sizes[len(found) % len(sizes)]
            found += session.feed(content.samples[place : place + size])
            place += size
            sizes = [*sizes[1:], sizes[0]]
    return [*found, *session.finish()]


@pytest.mark.parametrize("kind", ["sound", "ink"])
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4), st.integers(0, 7))
@settings(max_examples=8, deadline=None)
def test_any_chunks_give_the_text_of_the_whole(models, kind, sizes, number):
    model, (content, _) = models[kind], items(kind, 8, seed=4)[number]
    (whole,) = model.transcribe([content], times=True)
    found = streamed(model.session(), kind, content, sizes)
    assert "".join(each.text for each in found) == whole.text
    for each, expected in zip(found, whole.characters, strict=True):
        assert each.start == pytest.approx(expected.start, abs=1e-6)
        assert each.confidence == pytest.approx(expected.confidence, abs=1e-3)


@pytest.mark.parametrize("options", [{}, {"beam": 6}, {"beam": 1, "ngram": False}])
def test_the_partial_text_is_there_before_the_end(models, options):
    content, text = max(items("sound", 20, seed=4), key=lambda pair: len(pair[1]))
    session = models["sound"].session(**options)
    session.feed(content.samples[: len(content.samples) * 2 // 3])
    early = session.partial
    assert 0 < len(early) < len(text) + 1
    session.feed(content.samples[len(content.samples) * 2 // 3 :])
    assert len("".join(each.text for each in session.finish())) >= len(early)


@pytest.mark.parametrize("kind", ["sound", "ink"])
def test_a_saved_stream_goes_on_in_another_process(models, kind):
    model, (content, _) = models[kind], items(kind, 1, seed=6)[0]
    if kind == "ink":
        parts = [(stroke[:, :2], {"pen_up": True}) for stroke in content.strokes]
    else:
        parts = [(part, {}) for part in np.array_split(content.samples, 5)]
    whole = model.session()
    expected = [each for part, how in parts for each in whole.feed(part, **how)] + whole.finish()
    session, found = model.session(), []
    for part, how in parts:
        found += session.feed(part, **how)
        saved = session.save()
        session = load(model.run.path).session()
        session.restore(saved)
    assert found + session.finish() == expected


def chunks_of(kind, content, cuts):
    """What to feed, with its options: sound cut at these places, strokes cut at the first."""
    if kind == "sound":
        places = sorted(int(cut * len(content.samples)) for cut in cuts)
        return [(chunk, {}) for chunk in np.split(content.samples, places)]
    parts = []
    for stroke in content.strokes:
        place = int(cuts[0] * len(stroke))
        parts += [(stroke[:place, :2], {}), (stroke[place:, :2], {"pen_up": True})]
    return parts


OPTIONS = [{}, {"beam": 5}, {"beam": 1, "ngram": False}, {"beam": 3, "boost": "ab, c"}]


@pytest.mark.parametrize(("kind", "rate"), [("sound", 8000), ("sound", 11025), ("ink", None)])
@given(
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    saves=st.sets(st.integers(0, 20)),
    options=st.sampled_from(OPTIONS),
    number=st.integers(0, 7),
)
@settings(max_examples=12, deadline=None)
def test_a_stream_saved_anywhere_gives_the_same_text(
    models, kind, rate, cuts, saves, options, number
):
    """Each state is restored into a session that has read something else, of the model's rate."""
    model, (content, _) = models[kind], items(kind, 8, seed=6)[number]
    parts = chunks_of(kind, content, cuts)
    whole = model.session(rate=rate, **options)
    expected = [(whole.feed(part, **how), whole.partial) for part, how in parts]
    session = model.session(rate=rate, **options)
    for place, (part, how) in enumerate(parts):
        assert (session.feed(part, **how), session.partial) == expected[place]
        if place in saves:
            saved, session = session.save(), model.session(**options)
            session.feed(part)
            session.restore(saved)
            assert session.save() == saved
    assert session.finish() == whole.finish()


def test_sound_at_another_rate_gives_the_text_of_the_resampled(models):
    (content, _) = items("sound", 1, seed=6)[0]
    own = resample(content.samples, 8000, 11025)
    (whole,) = models["sound"].transcribe([Sound(own, 11025)], times=True)
    session, found = models["sound"].session(rate=11025), []
    for chunk in np.array_split(own, 9):
        found += session.feed(chunk)
    found += session.finish()
    assert "".join(each.text for each in found) == whole.text != ""
    assert [each.start for each in found] == pytest.approx([c.start for c in whole.characters])


def test_ink_has_no_rate(models):
    with pytest.raises(ConfigError, match="rate = 8000 is of sound, and this model reads ink"):
        models["ink"].session(rate=8000)


def test_a_stream_of_another_model_is_refused(models):
    with pytest.raises(RunError, match="another model"):
        models["ink"].session().restore(models["sound"].session().save())


def test_images_have_no_stream(trained):
    with pytest.raises(ConfigError, match="sound, ink, series or words"):
        trained("image", bidirectional=False, max_steps=2).session()


def blanks(count):
    return torch.tensor([[0.0, -40.0]]).expand(count, 2)


def letters(count):
    return torch.tensor([[-40.0, 0.0]]).expand(count, 2)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_stretches_do_not_depend_on_chunks(sizes):
    frames = torch.cat([letters(6), blanks(4), letters(3), blanks(9), letters(25), blanks(2)])
    pauses = Pauses(blanks=3, least=8, most=20)
    whole = [len(part) for part, ends in pauses.along(frames, frames[:0]) if ends]
    assert whole == [9, 8, 31]
    ended, held, place = [], frames[:0], 0
    for size in [*sizes, len(frames)]:
        for part, ends in pauses.along(frames[place : place + size], held):
            held = torch.cat([held, part])
            if ends:
                ended.append(len(held))
                held = held[:0]
        place += size
    assert ended == whole
