"""A beam search over streams of any length, cut into segments where nothing is said."""

from dataclasses import replace

from numpy.typing import ArrayLike

from recurra.decoding.ctc import BLANK, Matrix, checked
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.hypothesis import Hypothesis
from recurra.errors import ConfigError

__all__ = ["SegmentedBeam"]


class SegmentedBeam:
    """Gives a stream's text segment by segment, in memory that doesn't grow with the stream.

    A segment ends after `pause` frames in a row whose likeliest token is the blank, once another
    token has come; after `longest` frames at the first such frame; and at 2 * `longest` at the
    latest. That depends on frames alone, so chunks of any size give the same segments. Scorers and
    lexicons begin a new text in each. Spans count from the beginning of the stream.

    Raises:
        ConfigError: a number below 1.

    Example:
        >>> import numpy as np
        >>> quiet, word = [[0.9, 0.1]] * 3, [[0.1, 0.9]]
        >>> stream = SegmentedBeam(CtcPrefixBeam(), pause=2)
        >>> done = stream.feed(np.log(quiet + word + quiet + word)) + stream.finish()
        >>> [each.spans for each in done]
        [((3, 3),), ((7, 7),)]
    """

    def __init__(self, search: CtcPrefixBeam, *, pause: int = 50, longest: int = 1500) -> None:
        if pause < 1 or longest < 1:
            raise ConfigError(f"pause = {pause}, longest = {longest}; give 1 frame or more.")
        self._search, self._pause, self._longest = search, pause, longest
        self._offset, self._frames, self._quiet, self._spoken = 0, 0, 0, False
        search.reset()

    def feed(self, log_probs: ArrayLike) -> list[Hypothesis]:
        """Takes the next frames, (T, K); gives the segments that end in them and have a token."""
        frames = checked(log_probs)
        done: list[Hypothesis] = []
        start = 0
        for end, token in enumerate(frames.argmax(1).tolist(), 1):
            if self._ends_with(token):
                done += self._close(frames[start:end])
                start = end
        self._search.feed(frames[start:])
        return done

    def partial(self, times: bool = False) -> Hypothesis:
        """The best hypothesis of the segment that is open."""
        return self._moved(self._search.best(times))

    def finish(self) -> list[Hypothesis]:
        """The last segment, if it has a token; a next stream may follow."""
        done = self._close(None)
        self._offset = 0
        return done

    def _ends_with(self, token: int) -> bool:
        self._frames += 1
        self._quiet = self._quiet + 1 if token == BLANK else 0
        self._spoken = self._spoken or token != BLANK
        paused = self._spoken and self._quiet >= self._pause
        long = self._frames >= self._longest * (1 if self._quiet else 2)
        return paused or long

    def _close(self, last: Matrix | None) -> list[Hypothesis]:
        if last is not None:
            self._search.feed(last)
        best = self._moved(self._search.finish()[0])
        self._offset += self._frames
        self._restart()
        return [best] if best.tokens else []

    def _restart(self) -> None:
        self._search.reset()
        self._frames, self._quiet, self._spoken = 0, 0, False

    def _moved(self, best: Hypothesis) -> Hypothesis:
        by = self._offset
        return replace(best, spans=tuple((first + by, last + by) for first, last in best.spans))
