"""Sub-words of which merges were left out at random, so that a model sees words cut in many ways.

tokenizers has this too, but draws from a generator that can't be seeded.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from recurra.errors import ConfigError

__all__ = ["DroppedMerges"]


class DroppedMerges:
    """The merges of a model of sub-words, as `Subwords.to_json` has it.

    I. Provilkov, D. Emelianenko and E. Voita, "BPE-dropout: simple and effective subword
    regularization", ACL 2020.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        merges = json.loads(self._model)["model"]["merges"]
        return {(first, second): rank for rank, (first, second) in enumerate(merges)}

    def split(self, word: str, dropout: float, generator: np.random.Generator) -> list[str]:
        """The sub-words of a word; before each merge any is left out with chance `dropout`.

        ConfigError for a chance that isn't from 0 to 1.
        """
        if not 0 <= dropout <= 1:
            raise ConfigError(f"dropout = {dropout:g} of merges; it is a chance from 0 to 1.")
        pieces = list(word)
        while (place := self._best(pieces, dropout, generator)) is not None:
            pieces[place : place + 2] = ["".join(pieces[place : place + 2])]
        return pieces

    def _best(
        self, pieces: Sequence[str], dropout: float, generator: np.random.Generator
    ) -> int | None:
        """The place of the merge that was learnt first, among those that are not left out."""
        ranks = self._ranks
        found = [
            (ranks[pair], place) for place, pair in enumerate(pairwise(pieces)) if pair in ranks
        ]
        kept = generator.random(len(found)) >= dropout
        left = [each for each, stays in zip(found, kept, strict=True) if stays]
        return min(left)[1] if left else None
