"""What usually follows what in transcripts: n-gram models, and a run of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.data.alphabet import Alphabet
from recurra.data.text import read_text
from recurra.decoding.ngram import NGram
from recurra.tasks.transcribe.config import TranscribeConfig

__all__ = ["TextModels"]


class TextModels(NamedTuple):
    """Models of the characters and of the words of the transcripts, and the path of a run of a
    language model; None for what there isn't.
    """

    characters: NGram | None = None
    words: NGram | None = None
    run: str | None = None

    @classmethod
    def trained(
        cls, config: TranscribeConfig, alphabet: Alphabet, texts: Sequence[str]
    ) -> TextModels:
        """The models of the transcripts, and of the lines of a further text."""
        lines = list(texts)
        if config.ngram_text is not None:
            further = read_text([config.ngram_text]).content.split("\n")
            lines += [line for each in further if (line := config.form.apply(each))]
        known = [alphabet.known(line) for line in lines]
        characters = words = None
        if config.ngram:
            characters = NGram.train(known, config.ngram, vocabulary=alphabet.characters)
        if config.word_ngram:
            words = NGram.train([line.split() for line in known], config.word_ngram)
        return cls(characters, words, config.language)

    @property
    def ngrams(self) -> dict[str, NGram]:
        """The n-gram models by what they are of."""
        named = {"characters": self.characters, "words": self.words}
        return {kind: model for kind, model in named.items() if model is not None}

    def to_parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON of the n-gram models, which `from_parts` reads."""
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {}
        for kind, model in self.ngrams.items():
            arrays, facts[kind] = model.to_arrays()
            tensors |= {f"{kind}.{name}": torch.from_numpy(a) for name, a in arrays.items()}
        return tensors, facts

    @classmethod
    def from_parts(
        cls, config: TranscribeConfig, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> TextModels:
        """The models that `to_parts` took apart."""
        kept = {kind: _kept(kind, tensors, facts) for kind in ("characters", "words")}
        return cls(**kept, run=config.language)


def _kept(kind: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> NGram | None:
    """The model of a kind that a run keeps, None where it has none."""
    if kind not in facts:
        return None
    prefix = f"{kind}."
    named = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    arrays = {name.removeprefix(prefix): value.numpy() for name, value in named.items()}
    return NGram.from_arrays(arrays, facts[kind])
