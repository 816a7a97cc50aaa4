"""Subtitles: pysubs2 reads what we write, and cues keep to their limits."""

import html
from itertools import pairwise

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import DataError
from recurra.tasks.transcribe.subtitles import LINE, subtitle_cues, to_srt, to_vtt
from recurra.tasks.transcribe.transcript import TextSpan, Transcript

WORD = st.text(st.sampled_from("abé.&<>'-1"), min_size=1, max_size=60)
STEPS = st.tuples(WORD, st.floats(0, 3), st.sampled_from([0.0, 0.0, 0.3, 0.7, 5.0]))


def timed(steps, start=0.0):
    """The transcript of words with their durations, and the pauses after them."""
    words = []
    for text, duration, pause in steps:
        words.append(TextSpan(text, start, start + duration))
        start += duration + pause
    return Transcript(" ".join(word.text for word in words), words=tuple(words))


def said(cues):
    """All characters of the cues but white space."""
    return "".join("".join(line for line in cue.lines).replace(" ", "") for cue in cues)


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=25), st.sampled_from([0.0, 3599.2, 360000.0]))
def test_cues_keep_to_their_limits_and_say_everything(steps, start):
    transcript = timed(steps, start)
    cues = subtitle_cues(transcript)
    assert said(cues) == transcript.text.replace(" ", "")
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert all(line and len(line) <= LINE and line == line.strip() for line in cue.lines)
        assert 0 < cue.end - cue.start <= 7000
    assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)


@settings(max_examples=40)
@given(st.lists(STEPS.filter(lambda step: step[1] > 0.01), max_size=25))
def test_a_cue_ends_before_the_next_begins(steps):
    cues = subtitle_cues(timed(steps))
    assert all(a.end <= b.start for a, b in pairwise(cues))


@pytest.mark.parametrize(("write", "kind"), [(to_srt, "srt"), (to_vtt, "vtt")])
@settings(max_examples=40)
@given(steps=st.lists(STEPS, max_size=12), start=st.sampled_from([0.0, 0.0004, 3599.9996, 86399.5]))
def test_pysubs2_reads_the_same_times_and_lines(write, kind, steps, start):
    if kind == "srt":  # which has no escapes: readers take < for a tag
        steps = [(text.replace("<", "("), *rest) for text, *rest in steps]
    transcript = timed(steps, start)
    cues = subtitle_cues(transcript)
    read = pysubs2.SSAFile.from_string(write(transcript), format_=kind)
    assert [(event.start, event.end) for event in read] == [(cue.start, cue.end) for cue in cues]
    # pysubs2 leaves WebVTT's entities as they are.
    unescaped = html.unescape if kind == "vtt" else str
    lines = [tuple(unescaped(event.plaintext).split("\n")) for event in read]
    assert lines == [cue.lines for cue in cues]


def test_cues_begin_after_pauses_and_sentences():
    long = [(f"word{n:02}", 0.2, 0.0) for n in range(6)]
    steps = [("So", 0.5, 0.7), *long, ("end.", 0.2, 0.0), ("Next", 0.3, 0.69), ("one.", 0.3, 0.0)]
    assert [cue.lines for cue in subtitle_cues(timed(steps))] == [
        ("So",),
        ("word00 word01 word02", "word03 word04 word05 end."),
        ("Next one.",),
    ]


def test_short_cues_stay_until_the_next():
    cues = subtitle_cues(timed([("a", 0.1, 0.8), ("b", 0.2, 5.0), ("c", 30.0, 0.0)], start=1.0))
    assert [(cue.start, cue.end) for cue in cues] == [(1000, 1900), (1900, 2900), (7100, 14100)]


def test_lines_are_about_equal():
    (cue,) = subtitle_cues(timed([("aaaaaaaaa", 0.3, 0.0)] * 5))
    assert [len(line) for line in cue.lines] == [19, 29]


def test_texts_without_spaces_are_cut_and_their_time_is_shared():
    cues = subtitle_cues(timed([("好" * 105, 10.5, 0.0)]))
    assert [[len(line) for line in cue.lines] for cue in cues] == [[42], [42, 21]]
    assert [cue.start for cue in cues] == [0, 4200]


def test_nothing_said_is_an_empty_file():
    assert to_srt(Transcript("")) == ""
    assert to_vtt(Transcript(" ")) == "WEBVTT\n"


def test_vtt_escapes_what_would_be_markup():
    text = to_vtt(timed([("<b>", 1.0, 0.0), ("-->", 1.0, 0.0), ("R&B", 1.0, 0.0)]))
    assert "&lt;b&gt; --&gt; R&amp;B" in text
    assert text.count("-->") == 1


@pytest.mark.parametrize("write", [to_srt, to_vtt])
def test_positions_that_are_no_times(write):
    words = (TextSpan("a", 1, 2),)
    with pytest.raises(DataError, match=r"b.png has positions in columns, and subtitles need sec"):
        write(Transcript("a", "x/b.png", words=words, unit="columns"))
    with pytest.raises(DataError, match=r"The transcript has no times of words.*\(--times\)"):
        write(Transcript("a"))
