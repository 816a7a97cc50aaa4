"""Vectors of words that a user has: their size as a setting, and a model that starts with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

from recurra.config.sequence_config import SequenceConfig
from recurra.data.texts.word_vectors import read_vectors, vector_size
from recurra.errors import ConfigError, DataError
from recurra.nn.frontends import WordFrontEnd
from recurra.tasks.inputs.input import Input
from recurra.tasks.inputs.text_input import TextInput

__all__ = ["take_vectors", "with_vectors"]

Config = TypeVar("Config", bound=SequenceConfig)

_SHOWN = 5


def with_vectors(config: Config, given: Iterable[str]) -> Config:
    """The settings with the size of the vectors; ConfigError where another is `given`."""
    assert config.vectors is not None
    size = vector_size(config.vectors)
    if "embedding" in given and config.embedding != size:
        raise ConfigError(
            f"embedding = {config.embedding}, and the vectors of {config.vectors} have {size} "
            "numbers; leave embedding out."
        )
    return dataclasses.replace(config, embedding=size)


def take_vectors(front: nn.Module, how: Input, config: SequenceConfig) -> str:
    """Let a front end start with the vectors; a sentence says how many words they cover.

    DataError where the data are not words, or none of them has a vector.
    """
    assert config.vectors is not None
    if not isinstance(front, WordFrontEnd) or not isinstance(how, TextInput):
        raise DataError(f"{config.vectors}: has vectors of words, and the data are {how.kind}.")
    words, counts = how.vocabulary.tokens, how.vocabulary.counts
    read = read_vectors(config.vectors, words)
    lacking = [word for word, found in zip(words, read.found, strict=True) if not found]
    if len(lacking) == len(words):
        raise DataError(
            f"{config.vectors}: has a vector of none of the {len(words):,} words of the data "
            f"({', '.join(words[:_SHOWN])} ...); give vectors of their language, spelt alike "
            "(lower = false keeps capitals)."
        )
    rows = torch.zeros(len(how.vocabulary), read.matrix.shape[1])
    rows[-len(words) :] = torch.from_numpy(read.matrix)
    front.take_vectors(rows, frozen=config.freeze_vectors)
    seen = sum(n for n, found in zip(counts, read.found, strict=True) if found) / sum(counts)
    others = "" if not lacking else f"; others ({', '.join(lacking[:_SHOWN])} ...) have none: they "
    rest = "are zeros" if config.freeze_vectors else "start at random"
    return (
        f"Vectors of {config.vectors}: for {len(words) - len(lacking):,} of {len(words):,} words, "
        f"{100 * seen:.0f} % of those in the texts{others}{rest if lacking else ''}."
    )
