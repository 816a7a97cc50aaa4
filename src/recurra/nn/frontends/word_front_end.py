"""Vectors of words: of the word itself, and of the characters that it is spelt with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.frontends.convolutions import FrontEnd
from recurra.ragged import within

__all__ = ["WordFrontEnd"]

_SPREAD = 0.1
"""Standard deviation of vectors that start at random."""


class WordFrontEnd(FrontEnd):
    """Numbers of tokens and of their characters (T, B, 1 + C), int64, to vectors (T, B, size).

    Number 0 of either is padding. The characters of a word go through convolutions, of whose
    outputs the maximum is taken (Kim 2014; Ma and Hovy 2016) and appended to the word's own
    vector, so that a word that training has not seen is read by its spelling.

    tokens, letters: how many numbers there are; `letters` = 0: no characters (C = 0).
    size, letter_size, channels: of a token's vector, a character's, and of each convolution.
    widths: how many characters each convolution reads.

    Example:
        >>> front = WordFrontEnd(100, 8, letters=30, channels=4)
        >>> steps, lengths = front(torch.ones(7, 2, 23, dtype=torch.long), torch.tensor([7, 4]))
        >>> steps.shape, lengths.tolist()
        (torch.Size([7, 2, 12]), [7, 4])
    """

    def __init__(
        self,
        tokens: int,
        size: int,
        *,
        letters: int = 0,
        letter_size: int = 16,
        channels: int = 32,
        widths: Sequence[int] = (3,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__([], dropout)
        self.tokens: nn.Embedding = nn.Embedding(tokens, size, padding_idx=0)
        self.letters: nn.Embedding | None = None
        self.spellings: nn.ModuleList = nn.ModuleList()
        if letters:
            self.letters = nn.Embedding(letters, letter_size, padding_idx=0)
            self.spellings.extend(
                nn.Conv1d(letter_size, channels, width, padding=width // 2) for width in widths
            )
        self.output_size: int = size + channels * len(self.spellings)
        for embedding in (self.tokens, self.letters):
            if embedding is not None:
                nn.init.normal_(embedding.weight, std=_SPREAD)
                embedding.weight.data[0] = 0

    @property
    def convolutions(self) -> Sequence[nn.Module]:
        """None: no step reads others."""
        return []

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (T, B, 1 + C) with their lengths (B,): vectors (T, B, output_size), lengths."""
        steps = self.whole(features)
        mask = within(lengths, len(features), steps.device).unsqueeze(-1)
        return self.dropout(steps) * mask, lengths

    def whole(self, features: Tensor) -> Tensor:
        """The vectors (T, B, output_size) of features (T, B, 1 + C) without padding."""
        steps: Tensor = self.tokens(features[..., 0])
        if self.letters is not None:
            steps = torch.cat([steps, self._spelt(features[..., 1:])], -1)
        return steps

    def _spelt(self, letters: Tensor) -> Tensor:
        """The vectors (T, B, size) of spellings (T, B, C), each different one computed once."""
        assert self.letters is not None
        different, places = torch.unique(letters.flatten(0, 1), dim=0, return_inverse=True)
        used = int((different != 0).any(0).sum())  # columns, since words begin in the first
        different = different[:, : max(used, 1)]
        rows, there = self.letters(different).transpose(1, 2), (different != 0).unsqueeze(1)
        read = [convolve(rows)[..., : rows.shape[2]].relu() for convolve in self.spellings]
        words: Tensor = (torch.cat(read, 1) * there).amax(2)
        return words[places].view(*letters.shape[:2], words.shape[1])

    @torch.no_grad()
    def take_vectors(self, vectors: Tensor, *, frozen: bool = False) -> None:
        """Start with vectors (tokens, size); rows of zeros stay random, unless all are `frozen`.

        Random ones become as wide as those that are known. ConfigError for another shape.
        """
        own = self.tokens.weight
        if vectors.shape != own.shape:
            raise ConfigError(
                f"The vectors are of shape {tuple(vectors.shape)}, and the tokens need "
                f"{tuple(own.shape)}; give a row for each token, and their size as that of tokens."
            )
        vectors = vectors.to(own)
        known = vectors.any(1, keepdim=True)
        if frozen:
            own.copy_(vectors)
        elif known.any():
            spread = vectors[known[:, 0]].std(correction=0)
            own.copy_(torch.where(known, vectors, own * (spread / _SPREAD)))
        own[0] = 0
        own.requires_grad_(not frozen)
