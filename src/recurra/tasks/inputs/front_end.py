"""The modules in front of recurrent layers that suit a kind of input."""

from __future__ import annotations

from collections.abc import Mapping

from recurra.config.input_config import InputConfig
from recurra.config.sequence_config import SequenceConfig
from recurra.nn.frontends import Block, FrontEnd, PlaneFrontEnd, SequenceFrontEnd, WordFrontEnd
from recurra.nn.program import ProgramBuilder
from recurra.nn.program.program import ValueKind
from recurra.tasks.inputs.input import Input
from recurra.tasks.inputs.series_input import SeriesInput
from recurra.tasks.inputs.text_input import TextInput

__all__ = ["convolutions", "front_end", "program_of"]

_USUAL: Mapping[str, int] = {"sound": 2, "ink": 2, "image": 4, "series": 1}
"""Steps of the input that become one."""

_PARTS = (2, 3, 4, 5)
"""Characters that are read at once where words have tags: of EWT's development part 94.75 % of the
tags are right, with width 3 alone 94.61 %; of words that training lacks 79.9 % and 76.7 % (the
settings of `benchmarks/tag/ud_ewt.toml`, three minutes of one core).
"""


def front_end(config: SequenceConfig, how: Input, *, of_steps: bool = False) -> FrontEnd:
    """Vectors of the tokens of texts; convolutions for any other kind of input.

    `of_steps`: each step has an answer, so several become one only where the settings say it, and
    those of series in one direction read no later step; words are read by more of their spelling.
    """
    if isinstance(how, TextInput):
        words = WordFrontEnd(
            len(how.vocabulary),
            config.embedding,
            letters=0 if how.spelling is None else len(how.spelling),
            channels=config.channels,
            widths=_PARTS if of_steps else (3,),
            # Of a character's vector less can be missing; the network drops values of it as well.
            dropout=0.0 if how.tokeniser.kind == "characters" else config.dropout,
        )
        words.tokens.weight.requires_grad_(not config.freeze_vectors)
        return words
    usual = (1 if of_steps else how.pace) if isinstance(how, SeriesInput) else 0
    causal = of_steps and not config.bidirectional
    return convolutions(config, how.kind, how.size, usual, causal=causal)


def program_of(how: Input) -> ProgramBuilder:
    """The beginning of a program that reads the features of an input."""
    kind: ValueKind = "tokens" if isinstance(how, TextInput) else "steps"
    return ProgramBuilder(kind, how.size, ragged=True)


def convolutions(
    config: InputConfig, kind: str, features: int, usual: int = 0, *, causal: bool = False
) -> FrontEnd:
    """Three blocks of convolutions: over time alone for ink and series, else over features as well.

    An image's channels grow from half of `channels` to twice as many while its rows are pooled.
    `usual` is how many steps become one where neither the settings nor the kind say it; `causal`
    ones of ink and series read no later step.
    """
    halves = _halves(config.subsampling or usual or _USUAL[kind])
    width = config.channels
    if kind in ("ink", "series"):
        blocks = [Block(2 * width, steps) for steps in halves]
        return SequenceFrontEnd(features, blocks, config.dropout / 2, causal=causal)
    channels = [max(1, width // 2), width, 2 * width] if kind == "image" else [width] * 3
    blocks = [Block(size, steps, 2) for size, steps in zip(channels, halves, strict=True)]
    return PlaneFrontEnd(features, blocks, config.dropout / 2)


def _halves(subsampling: int) -> list[int]:
    """How many steps each of the three blocks makes one of; the first ones halve."""
    return [2 if subsampling >= 2**block else 1 for block in (1, 2, 3)]
