"""How many tags and segments of a sequence are wrong, for the figures of a tagger."""

from __future__ import annotations

from typing import NamedTuple

from recurra.tasks.tag.tag_layers import MISSING, Ids, TagLayer

__all__ = ["StepErrors", "layer_errors"]


class StepErrors(NamedTuple):
    """Of a sequence: wrong tags, tags, and the errors and units of its score.

    The score is 1 - errors / units: with units = tags the share of right tags; with units = actual
    and predicted segments, and errors = those of them that aren't in both, the F1 of segments.
    """

    wrong: int
    tags: int
    errors: int
    units: int


def layer_errors(layer: TagLayer, predicted: Ids, actual: Ids) -> StepErrors:
    """Compare the tags (T,) of a sequence; steps without an actual tag don't count."""
    there = actual != MISSING
    tags = int(there.sum())
    wrong = int((predicted != actual)[there].sum())
    return StepErrors(wrong, tags, wrong, tags)
