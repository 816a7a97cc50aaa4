"""Connectionist temporal classification: best path, alignment and likelihood of token sequences.

Log-probabilities are (T, K): T frames, K tokens, of which token 0 is the blank. A path has one
token a frame; it reads as its tokens with repetitions, then blanks, taken out (Graves et al. 2006,
"Connectionist temporal classification"). Rows need not be normalised; -inf rules a token out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from recurra.decoding.confidence import token_confidences
from recurra.decoding.hypothesis import Hypothesis, Span
from recurra.errors import DataError

__all__ = ["BLANK", "Matrix", "align", "blank_share", "checked", "greedy", "log_likelihood"]

Matrix = np.ndarray[Any, np.dtype[np.float64]]

BLANK = 0


def greedy(log_probs: ArrayLike) -> Hypothesis:
    """The reading of the most likely path; its `acoustic` is the log-probability of that path.

    Of equal tokens in a frame the one with the lowest number is taken.

    Example:
        >>> frames = np.log([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.6, 0.2, 0.2], [0.2, 0.7, 0.1]])
        >>> best = greedy(frames)
        >>> best.tokens, best.spans
        ((1, 1), ((0, 1), (3, 3)))
    """
    frames = checked(log_probs)
    path = frames.argmax(1)
    changes = np.flatnonzero(np.diff(path)) + 1
    firsts = np.concatenate([np.zeros(1, np.int64), changes]) if len(path) else changes
    lasts = np.append(firsts[1:], len(path))[: len(firsts)] - 1
    spoken = path[firsts] != BLANK
    tokens = tuple(path[firsts[spoken]].tolist())
    spans = tuple(zip(firsts[spoken].tolist(), lasts[spoken].tolist(), strict=True))
    score = float(frames.max(1, initial=-np.inf).sum())
    return Hypothesis(tokens, score, score, 0.0, spans, token_confidences(frames, tokens, spans))


def align(log_probs: ArrayLike, tokens: Sequence[int]) -> tuple[Span, ...] | None:
    """The span of each token on the most likely path that reads as `tokens`.

    None where no path does: too few frames (a token that repeats needs a blank before it), or only
    paths through -inf. Among equal paths the one that keeps to a token for longer is taken.

    Raises:
        DataError: a token outside 1..K-1, or log-probabilities that `checked` refuses.
    """
    frames = checked(log_probs)
    states, skips = _lattice(tokens, frames.shape[1])
    if not len(frames):
        return None if len(tokens) else ()
    score, moves = _viterbi(frames[:, states], skips)
    state = len(states) - 1
    if state and score[state - 1] >= score[state]:
        state -= 1
    if score[state] == -np.inf:
        return None
    path = np.empty(len(frames), np.int64)
    for t in range(len(frames) - 1, -1, -1):
        path[t] = state
        state -= int(moves[t, state])
    return _spans_of(path, len(tokens))


def log_likelihood(log_probs: ArrayLike, tokens: Sequence[int]) -> float:
    """The logarithm of the summed probability of all paths that read as `tokens`; -inf for none."""
    frames = checked(log_probs)
    states, skips = _lattice(tokens, frames.shape[1])
    mass = _beginning(len(states))
    for emission in frames[:, states]:
        arriving = np.logaddexp(mass, _shifted(mass, 1))
        mass = np.logaddexp(arriving, np.where(skips, _shifted(mass, 2), -np.inf)) + emission
    if not len(frames):
        return -np.inf if len(tokens) else 0.0
    return float(np.logaddexp.reduce(mass[-2:]))


def blank_share(log_probs: ArrayLike) -> float:
    """The share of frames whose most likely token is the blank; 0 without frames.

    A model that has collapsed gives nearly 1 on every item; speech at 25 frames a second, about 0.5
    to 0.9.

    Example:
        >>> blank_share(np.log([[0.9, 0.1], [0.2, 0.8]]))
        0.5
    """
    frames = checked(log_probs)
    return float((frames.argmax(1) == BLANK).mean()) if len(frames) else 0.0


def checked(log_probs: ArrayLike) -> Matrix:
    """Log-probabilities as float64 (T, K).

    Raises:
        DataError: another shape, no token, NaN, +inf, or a frame in which every token has -inf.
    """
    frames = np.asarray(log_probs, dtype=np.float64)
    if frames.ndim != 2 or not frames.shape[1]:
        raise DataError(f"Log-probabilities of shape {frames.shape}; give (frames, tokens).")
    highest = frames.max(1)  # NaN where the row has one
    bad = np.flatnonzero(~np.isfinite(highest))
    if len(bad):
        raise DataError(
            f"Frame {bad[0]} has {_wrong(float(highest[bad[0]]))}; give logarithms of "
            f"probabilities, with one above -inf in each frame: the model may have diverged."
        )
    return frames


def _wrong(highest: float) -> str:
    return "-inf for every token" if highest == -np.inf else f"a log-probability of {highest}"


def _lattice(tokens: Sequence[int], size: int) -> tuple[Any, Any]:
    """The states blank, token, blank, ... (2 L + 1,), and which may follow the one two before."""
    wrong = [token for token in tokens if not BLANK < token < size]
    if wrong:
        raise DataError(f"Token {wrong[0]} can't be aligned; tokens are 1 to {size - 1}.")
    states = np.full(2 * len(tokens) + 1, BLANK)
    states[1::2] = tokens
    skips = np.zeros(len(states), bool)
    skips[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    return states, skips


def _beginning(count: int) -> Matrix:
    """The masses before the first frame, such that it lies in the first blank or token."""
    mass = np.full(count, -np.inf)
    mass[0] = 0.0
    return mass


def _shifted(values: Matrix, by: int) -> Matrix:
    shifted = np.full(len(values), -np.inf)
    shifted[by:] = values[:-by]
    return shifted


def _viterbi(emissions: Matrix, skips: Any) -> tuple[Matrix, Any]:
    """The best score of each state after the last frame, and by how many states each move went."""
    score = _beginning(emissions.shape[1])
    moves = np.zeros(emissions.shape, np.int8)
    columns = np.arange(len(score))
    for t, emission in enumerate(emissions):
        skipping = np.where(skips, _shifted(score, 2), -np.inf)
        options = np.stack([score, _shifted(score, 1), skipping])
        moves[t] = options.argmax(0)
        score = options[moves[t], columns] + emission
    return score, moves


def _spans_of(path: Any, count: int) -> tuple[Span, ...]:
    """The first and last frame of each of the odd states of a path, which ascends."""
    odd = np.arange(count) * 2 + 1
    firsts, ends = np.searchsorted(path, odd, "left"), np.searchsorted(path, odd, "right")
    return tuple(zip(firsts.tolist(), (ends - 1).tolist(), strict=True))
