"""One reading of a sequence: its tokens, their scores, times and confidences."""

from dataclasses import dataclass

__all__ = ["Hypothesis", "Span"]

Span = tuple[int, int]
"""The first and the last frame of a token, both included."""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence of L tokens that a decoder gives.

    `score` is what hypotheses are ranked by: `acoustic` + weight of the language model * `language`
    + bonus * L, in nats. `acoustic` is the log-probability that the model itself gives, `language`
    that of the language model before it is weighted, 0 without one. `spans` has each token's first
    and last frame and `confidences` its probability; both are empty where they were not asked for.
    """

    tokens: tuple[int, ...]
    score: float
    acoustic: float
    language: float = 0.0
    spans: tuple[Span, ...] = ()
    confidences: tuple[float, ...] = ()
