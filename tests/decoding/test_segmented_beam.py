"""Streams cut into segments: where, the same in all chunks, and each as if it were alone."""

import numpy as np
import pytest

from helpers.ctc_oracle import lattice
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.segmented_beam import SegmentedBeam
from recurra.errors import ConfigError


def frames_of(tokens):
    """Frames that are nearly certain of these tokens."""
    return np.log(np.eye(4)[list(tokens)] * 0.9 + 0.025)


def segments(frames, pieces=1, **settings):
    stream, done = SegmentedBeam(CtcPrefixBeam(), **settings), []
    for piece in np.array_split(frames, pieces):
        done += stream.feed(piece)
    return done + stream.finish()


def places(done):
    return [[(token, *span) for token, span in zip(h.tokens, h.spans, strict=True)] for h in done]


def test_a_pause_ends_a_segment():
    found = segments(frames_of([0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 3, 0]), pause=3)
    assert places(found) == [[(1, 4, 4), (2, 6, 6)], [(3, 10, 10)]]


def test_a_long_segment_ends_at_a_blank_or_at_twice_its_length():
    found = segments(frames_of([1, 2, 1, 2, 0, 3, 1]), pause=9, longest=3)
    assert [h.tokens for h in found] == [(1, 2, 1, 2), (3, 1)]
    found = segments(frames_of([1, 2, 1, 2, 1, 2, 3]), pause=9, longest=3)
    assert [h.tokens for h in found] == [(1, 2, 1, 2, 1, 2), (3,)]


def test_silence_has_no_segment():
    assert segments(frames_of([0] * 30), pause=2, longest=5) == []
    assert segments(np.zeros((0, 4))) == []


def test_chunks_do_not_matter():
    frames = lattice(200, 4, 3, sharpness=2)
    frames[:, 0] += 2
    whole = segments(frames, pause=4, longest=40)
    assert len(whole) > 3
    for pieces in (2, 7, 200):
        assert segments(frames, pieces, pause=4, longest=40) == whole


def test_each_segment_is_decoded_alone():
    frames = frames_of([1, 1, 0, 0, 2, 3])
    first, second = segments(frames, pause=2)
    for found, part in ((first, frames[:4]), (second, frames[4:])):
        alone = CtcPrefixBeam()
        alone.feed(part)
        assert (found.tokens, found.score) == (alone.finish()[0].tokens, alone.finish()[0].score)


def test_the_open_segment_is_seen_with_its_times():
    stream = SegmentedBeam(CtcPrefixBeam(), pause=2)
    stream.feed(frames_of([1, 0, 0, 2, 3]))
    assert stream.partial().tokens == (2, 3)
    assert stream.partial(times=True).spans == ((3, 3), (4, 4))


def test_a_stream_may_follow_another():
    stream = SegmentedBeam(CtcPrefixBeam())
    stream.feed(frames_of([0, 1]))
    assert stream.finish()[0].spans == ((1, 1),)
    stream.feed(frames_of([2]))
    assert stream.finish()[0].spans == ((0, 0),)


def test_lengths_below_a_frame_are_refused():
    with pytest.raises(ConfigError, match="pause = 0"):
        SegmentedBeam(CtcPrefixBeam(), pause=0)
