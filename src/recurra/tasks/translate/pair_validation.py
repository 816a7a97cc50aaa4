"""The figures that choose the best weights while training."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from recurra.data.texts.token_vocabulary import UNKNOWN, TokenVocabulary
from recurra.decoding.ctc import greedy
from recurra.metrics.standard_error import standard_error
from recurra.ragged import within
from recurra.tasks.translate.aligner import AlignerNet
from recurra.tasks.translate.model import PairBatch, TranslateNet
from recurra.tasks.translate.pair_batches import Side, joined, of_equal_lengths
from recurra.tasks.translate.text_side import TextSide

__all__ = ["PairValidation"]


class PairValidation:
    """Measures a network on pairs: nats a token, and the shares of right tokens and right targets.

    Of a decoder each token follows the right ones, so a target is right where a greedy search would
    write it. An aligner's tokens are right where its best path has them at their place.
    """

    def __init__(
        self,
        source: TextSide,
        target: TextSide,
        pairs: Sequence[tuple[str, str]],
        copied: TokenVocabulary | None,
        batch_size: int,
    ) -> None:
        self._sides, self._pairs = (source, target), pairs
        self._copied, self._batch_size = copied, batch_size

    @functools.cached_property
    def _batches(self) -> list[PairBatch]:
        source, target = self._sides
        sides: list[tuple[Side, Side]] = [(source.side(a), target.side(b)) for a, b in self._pairs]
        lengths = [len(a) + len(b) for a, b in sides]
        return [
            joined([sides[n][0] for n in numbers], [sides[n][1] for n in numbers], self._copied)
            for numbers in of_equal_lengths(lengths, self._batch_size)
        ]

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """The figures `loss`, `exact`, and `accuracy` with its standard error."""
        nats, tokens = 0.0, 0
        right: list[int] = []
        totals: list[int] = []
        for batch in self._batches:
            assert isinstance(net, (TranslateNet, AlignerNet))
            nats += float(net.loss(batch)) * batch.targets_in_all
            tokens += batch.targets_in_all
            found, wanted = (
                _decoder_tokens(net, batch)
                if isinstance(net, TranslateNet)
                else _aligner_tokens(net, batch)
            )
            right += found
            totals += wanted
        return {
            "loss": nats / tokens,
            "accuracy": sum(right) / sum(totals),
            "accuracy_error": standard_error(right, totals),
            "exact": sum(a == b for a, b in zip(right, totals, strict=True)) / len(right),
        }


def _decoder_tokens(net: TranslateNet, batch: PairBatch) -> tuple[list[int], list[int]]:
    """For each target its right tokens and all of them, the end included; unknown ones are wrong,
    since a search never writes them.
    """
    answers = net(batch).argmax(-1)
    wanted = functional.pad(batch.wanted, (0, 0, 0, 1))
    inside = within(batch.target_lengths + 1, len(wanted))
    right = ((answers == wanted) & inside & (wanted != UNKNOWN)).sum(0)
    return right.tolist(), (batch.target_lengths + 1).tolist()


def _aligner_tokens(net: AlignerNet, batch: PairBatch) -> tuple[list[int], list[int]]:
    frames: Tensor = net(batch)
    steps = (batch.source_lengths * net.stretch).tolist()
    right, totals = [], []
    for row, length in enumerate(batch.target_lengths.tolist()):
        wanted = batch.target[:length, row].tolist()
        found = list(greedy(frames[: steps[row], row].double().numpy()).tokens)
        places = max(len(wanted), len(found), 1)
        right.append(
            sum(a == b for a, b in zip(found, wanted, strict=False)) + (not wanted and not found)
        )
        totals.append(places)
    return right, totals
