"""A trained network as searches see it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from recurra.tasks.translate.decoder import DecoderState, ReadSource
from recurra.tasks.translate.model import TranslateNet

__all__ = ["NetGenerator", "NetState"]


class NetState(NamedTuple):
    """What N rows of a search have: their sources, the decoder's state, tokens to be copied."""

    source: ReadSource
    decoder: DecoderState | None
    copies: Tensor


class NetGenerator:
    """Steps a network; tokens from its vocabulary's size to `choices` can only be copied."""

    def __init__(self, net: TranslateNet, choices: int) -> None:
        self._net, self._choices = net, choices

    def start(self, source: Tensor, lengths: Tensor, copies: Tensor) -> NetState:
        """The state before the first token of sources (S, B)."""
        return NetState(self._net.encode(source, lengths), None, copies)

    def step(self, tokens: Tensor, state: NetState) -> tuple[Tensor, NetState, Tensor]:
        """One more token (N,): log-probabilities (N, choices), the state, attention (N, S)."""
        log_probs, weights, after = self._net.step(
            tokens, state.source, state.decoder, state.copies, self._choices
        )
        seen = log_probs.new_zeros(len(tokens), 0) if weights is None else weights.t()
        return log_probs, NetState(state.source, after, state.copies), seen

    def reorder(self, state: NetState, rows: Tensor) -> NetState:
        """The states of these rows."""
        decoder = None if state.decoder is None else state.decoder.of_rows(rows)
        return NetState(state.source.of_rows(rows), decoder, state.copies.index_select(1, rows))
