"""How many tags and segments of a sequence are wrong, for the figures of a tagger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recurra.data.texts.tag_schemes import segments_of
from recurra.tasks.tag.tag_layers import MISSING, Ids, TagLayer

__all__ = ["StepErrors", "step_errors"]


class StepErrors(NamedTuple):
    """Of a sequence: wrong tags, tags, and the errors and units of its score.

    The score is 1 - errors / units: with units = tags the share of right tags; with units = actual
    and predicted segments, and errors = those of them that aren't in both, the F1 of segments.
    """

    wrong: int
    tags: int
    errors: int
    units: int


def step_errors(layer: TagLayer, predicted: Ids, actual: Sequence[str]) -> StepErrors:
    """Compare the numbers (T,) of tags with actual tags, as if there were no step without one.

    >>> layer = TagLayer("tag", ("B-X", "I-X", "O"), "bio")
    >>> step_errors(layer, layer.encode(["B-X", "O", "B-X"]), ["B-X", "I-X", "B-X"])
    StepErrors(wrong=1, tags=3, errors=2, units=4)
    """
    ids = layer.encode(actual)
    there = ids != MISSING
    tags, wrong = int(there.sum()), int((predicted != ids)[there].sum())
    if layer.scheme is None:
        return StepErrors(wrong, tags, wrong, tags)
    ours = set(segments_of(layer.decode(predicted[there])))
    theirs = set(segments_of([tag for tag in actual if tag]))
    return StepErrors(wrong, tags, len(ours ^ theirs), len(ours) + len(theirs))
