"""Confidences of tokens and words, from the model's own log-probabilities.

A token's confidence is a posterior of a single edit: between the token before and the token after
it, all paths of the frames are summed that read as this token, as each other token, and as
nothing; the confidence is this token's share. Where the frames leave one frame to a token it is
that frame's probability. The alternatives are disjoint events, so the value is a probability and
grows with the log-odds of being right: a temperature or a logistic curve on log(c / (1 - c)),
fitted on held-out data, calibrates it. The maximum over a span isn't such a value (a token shared
by two frames at 0.5 each is nearly certain to be there); the share among an n-best list saturates
at 1, since a beam holds few of the alternatives of a long line.

Where a scorer took part in the search, each alternative is weighted by what the scorer makes of it
and of the few tokens after it: else a token that the model alone would not have chosen had a low
confidence, however sure the words around it make it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recurra.decoding.hypothesis import Hypothesis, Span
from recurra.decoding.scoring import Scorer, State
from recurra.errors import ConfigError

__all__ = ["Word", "token_confidences", "words"]

Vector = np.ndarray[Any, np.dtype[np.float64]]

_REACH = 8
"""Tokens after an alternative that a scorer judges: the words or contexts that it changes."""
_OPTIONS = 8
"""The likeliest alternatives, by the frames alone, that are put to a scorer; the rest have none."""


@dataclass(frozen=True)
class Word:
    """A word of a hypothesis: its tokens, first and last frame (included), and confidence."""

    tokens: tuple[int, ...]
    span: Span
    confidence: float


def token_confidences(
    log_probs: Vector,
    tokens: Sequence[int],
    spans: Sequence[Span],
    *,
    scorer: Scorer | None = None,
    beta: float = 0.0,
    ended: bool = True,
) -> tuple[float, ...]:
    """The probability of each token at its span, given those beside it; each in [0, 1].

    `log_probs` is (T, K), float64, with the blank as token 0. `scorer`, weighted, and `beta`, the
    bonus for a token, are those of the search; `ended=False`: the text may go on.
    """
    firsts = [0, *(last + 1 for _, last in spans[:-1])]
    ends = [*(first for first, _ in spans[1:]), len(log_probs)]
    beside = [0, *tokens, 0]
    state = scorer.start() if scorer else None
    found = []
    for i, (token, first, end) in enumerate(zip(tokens, firsts, ends, strict=False)):
        mass = _edit_masses(log_probs[first:end], beside[i], beside[i + 2])
        if scorer:
            mass = mass + _judged(scorer, state, tokens[i:], mass, ended)
            _, state = scorer.score(state, token)
        mass[1:] += beta
        found.append(_share(mass, token))
    return tuple(found)


def words(
    hypothesis: Hypothesis, space: int | None, how: Literal["min", "product"] = "min"
) -> list[Word]:
    """The words of a hypothesis with spans and confidences, parted by the token `space`.

    `space=None`: the whole is one word. A word's confidence is the least of its tokens' (errors of
    neighbours come together, and this is nearest to them), or their `product` (errors taken as
    independent: low for long words).

    Example:
        >>> h = Hypothesis((5, 1, 6), -1.0, -1.0, 0.0, ((0, 1), (2, 2), (4, 6)), (0.9, 0.8, 0.7))
        >>> [(word.tokens, word.span, word.confidence) for word in words(h, space=1)]
        [((5,), (0, 1), 0.9), ((6,), (4, 6), 0.7)]
    """
    if how not in ("min", "product"):
        raise ConfigError(f"how = {how!r}; give 'min' or 'product'.")
    if len(hypothesis.spans) != len(hypothesis.tokens):
        raise ConfigError("This hypothesis has no spans; ask for them: best(times=True).")
    ends = [i for i, token in enumerate(hypothesis.tokens) if token == space]
    starts = [0, *(end + 1 for end in ends)]
    pieces = zip(starts, [*ends, len(hypothesis.tokens)], strict=True)
    return [_word(hypothesis, slice(*piece), how) for piece in pieces if piece[0] < piece[1]]


def _word(hypothesis: Hypothesis, piece: slice, how: str) -> Word:
    spans, confidences = hypothesis.spans[piece], hypothesis.confidences[piece]
    value = min(confidences) if how == "min" else float(np.prod(confidences))
    return Word(hypothesis.tokens[piece], (spans[0][0], spans[-1][1]), value)


def _share(mass: Vector, token: int) -> float:
    if mass[token] == -np.inf:
        return 0.0
    return float(np.exp(mass[token] - np.logaddexp.reduce(mass)))


def _judged(
    scorer: Scorer, state: State, tokens: Sequence[int], mass: Vector, ended: bool
) -> Vector:
    """What a scorer gives each alternative to the first token with those after it, (K,)."""
    likeliest = np.argsort(-mass, kind="stable")[:_OPTIONS]
    options = np.unique(np.append(likeliest, tokens[0]))
    firsts = [scorer.score(state, int(each)) if each else (0.0, state) for each in options]
    values, states = np.array([value for value, _ in firsts]), [after for _, after in firsts]
    for token in tokens[1 : 1 + _REACH]:
        values += scorer.score_many(states, [token])[:, 0]  # a batch, for those that need one
        states = [scorer.score(each, token)[1] for each in states]
    if ended and len(tokens) <= 1 + _REACH:
        values += [scorer.finish(each) for each in states]
    result = np.full(len(mass), -np.inf)
    result[options] = values
    return result


def _edit_masses(window: Vector, left: int, right: int) -> Vector:
    """For each token the mass of the window's paths that read as it alone; for the blank, as none.

    A token equal to its neighbour needs a blank between them; 0 as a neighbour is the edge.
    """
    blank = window[:, 0]
    before = np.append(0.0, np.cumsum(blank)[:-1])
    after = np.append(np.cumsum(blank[::-1])[-2::-1], 0.0)
    run = mass = np.full(window.shape[1], -np.inf)
    for t, emission in enumerate(window):
        entering = np.full(len(run), before[t])
        if t == 0:
            entering[left] = -np.inf
        run = np.logaddexp(run, entering) + emission
        leaving = run + after[t]
        if t == len(window) - 1:
            leaving[right] = -np.inf
        mass = np.logaddexp(mass, leaving)
    mass[0] = blank.sum()
    return mass
