"""The product of a training: networks and the two sides of the pairs; it translates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.data.batches import pad
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.generated import Generated
from recurra.decoding.sequence_beam import search
from recurra.decoding.sequence_draws import draw
from recurra.decoding.sequence_options import BeamOptions, DrawOptions
from recurra.decoding.token_generator import GeneratorEnsemble
from recurra.errors import ConfigError, DataError
from recurra.tasks.translate.aligner import AlignerNet
from recurra.tasks.translate.config import Generation, TranslateConfig
from recurra.tasks.translate.model import BOUNDARY, UNKNOWN, TranslateNet
from recurra.tasks.translate.net_generator import NetGenerator
from recurra.tasks.translate.pair_batches import Side, copy_numbers, of_equal_lengths
from recurra.tasks.translate.text_side import TextSide

__all__ = ["Converter", "Translation"]

_ROWS = 256
"""Hypotheses that a search keeps side by side, of all its sentences."""


@dataclasses.dataclass(frozen=True)
class Translation:
    """A text that a source became, with its tokens and their log-probabilities in nats.

    score: what it was ranked by; log_probability: the model's own, its end included. attention: for
    each token how much each token of the source counted; empty without attention. finished: it
    ended before the longest length.
    """

    text: str
    score: float
    log_probability: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    source_tokens: tuple[str, ...]
    attention: tuple[tuple[float, ...], ...] = dataclasses.field(default=(), repr=False)
    finished: bool = True

    @property
    def alignment(self) -> list[tuple[int, int]]:
        """Pairs of a source token and the token that attended to it most, both counted from 0."""
        return [
            (max(range(len(row)), key=row.__getitem__), number)
            for number, row in enumerate(self.attention)
            if row
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class Converter:
    """Translates texts by the mean of its networks' probabilities."""

    config: TranslateConfig
    source: TextSide
    target: TextSide
    nets: Sequence[TranslateNet] | Sequence[AlignerNet]

    def translate(
        self,
        texts: Sequence[str],
        how: Generation,
        *,
        nbest: int = 1,
        prefixes: Sequence[str] | None = None,
        phrases: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Translation]]:
        """The `nbest` best results of each text, best first; none of an empty text.

        prefixes: for each text what its results begin with. phrases: what must occur in them.
        """
        sides = [self.source.side(text) for text in texts]
        found: list[list[Translation]] = [[] for _ in texts]
        filled = [number for number, side in enumerate(sides) if len(side)]
        for chosen in of_equal_lengths([len(sides[n]) for n in filled], max(1, _ROWS // how.beam)):
            numbers = [filled[n] for n in chosen]
            batch = [sides[n] for n in numbers]
            if self.config.model == "ctc":
                results = self._aligned(batch, how, nbest)
            else:
                begun = None if prefixes is None else [prefixes[n] for n in numbers]
                wanted = None if phrases is None else [phrases[n] for n in numbers]
                results = self._searched(batch, _options(how, nbest), begun, wanted)
            for number, result in zip(numbers, results, strict=True):
                found[number] = result
        return found

    def sample(
        self, texts: Sequence[str], how: DrawOptions, random: torch.Generator | None = None
    ) -> list[list[Translation]]:
        """Results drawn at random, `how.samples` of each text."""
        self._check_decoder("samples")
        sides = [self.source.side(text) for text in texts]
        found: list[list[Translation]] = [[] for _ in texts]
        filled = [number for number, side in enumerate(sides) if len(side)]
        rows = max(1, _ROWS // how.samples)
        for chosen in of_equal_lengths([len(sides[n]) for n in filled], rows):
            numbers = [filled[n] for n in chosen]
            batch = [sides[n] for n in numbers]
            generator, state, lengths, extra = self._begun(batch)
            drawn = draw(generator, state, lengths, how, forbidden=(UNKNOWN,), random=random)
            for number, side, own, results in zip(numbers, batch, extra, drawn, strict=True):
                found[number] = [self._translation(one, side, own) for one in results]
        return found

    def _searched(
        self,
        batch: Sequence[Side],
        how: BeamOptions,
        prefixes: Sequence[str] | None,
        phrases: Sequence[Sequence[str]] | None,
    ) -> list[list[Translation]]:
        generator, state, lengths, extra = self._begun(batch)
        found = search(
            generator,
            state,
            lengths,
            how,
            begin=BOUNDARY,
            end=BOUNDARY,
            forbidden=(UNKNOWN,),
            prefixes=None if prefixes is None else [self._numbers(text) for text in prefixes],
            constraints=None
            if phrases is None
            else [[self._numbers(text) for text in own] for own in phrases],
        )
        return [
            [self._translation(one, side, own) for one in results]
            for side, own, results in zip(batch, extra, found, strict=True)
        ]

    @torch.inference_mode()
    def _begun(self, batch: Sequence[Side]) -> tuple[Any, Any, Tensor, list[list[str]]]:
        """A generator, its state, the lengths of the sources, and what only they have."""
        source, lengths = pad([side.ids for side in batch])
        copies, extra = source, [list[str]() for _ in batch]
        if self.config.copy:
            numbered = [copy_numbers(side.tokens, self.target.known) for side in batch]
            copies, _ = pad([numbers for numbers, _ in numbered])
            extra = [list(own) for _, own in numbered]
        choices = len(self.target) + max(map(len, extra))
        generators = [NetGenerator(net, choices) for net in self._decoders()]
        states = [generator.start(source, lengths, copies) for generator in generators]
        if len(generators) == 1:
            return generators[0], states[0], lengths, extra
        return GeneratorEnsemble(generators), tuple(states), lengths, extra

    def _translation(self, one: Generated, side: Side, extra: Sequence[str]) -> Translation:
        tokens = self.target.named(one.tokens, extra)
        return Translation(
            self.target.tokens.join(tokens),
            one.score,
            one.log_probability,
            tuple(tokens),
            tuple(one.token_log_probs),
            tuple(side.tokens),
            tuple(tuple(row) for row in one.attention.tolist()),
            one.finished,
        )

    @torch.inference_mode()
    def _aligned(
        self, batch: Sequence[Side], how: Generation, nbest: int
    ) -> list[list[Translation]]:
        """Prefix beam search over the steps of each source."""
        source, lengths = pad([side.ids for side in batch])
        frames = torch.stack([net(source, lengths).exp() for net in self._aligners()]).mean(0).log()
        steps = (lengths * self.config.stretch).tolist()
        found = []
        for row, side in enumerate(batch):
            beam = CtcPrefixBeam(max(how.beam, nbest))
            beam.feed(frames[: steps[row], row].double().numpy())
            whole = beam.finish()
            best = [one for one in whole if UNKNOWN not in one.tokens][:nbest] or whole[:1]
            found.append([self._read(one.tokens, one.score, side) for one in best])
        return found

    def _read(self, tokens: Sequence[int], score: float, side: Side) -> Translation:
        named = self.target.named(tokens, ())
        text = self.target.tokens.join(named)
        return Translation(text, score, score, tuple(named), (), tuple(side.tokens))

    def _numbers(self, text: str) -> list[int]:
        """The tokens of what must be written; DataError where it can't be."""
        if unknown := self.target.unknown(text):
            raise DataError(
                f"{text!r} can't be written: no target of the training has {unknown[0]!r}; choose "
                "another prefix or phrase."
            )
        return self.target.side(text).ids.tolist()  # type: ignore[no-any-return]

    def _decoders(self) -> list[TranslateNet]:
        return [net for net in self.nets if isinstance(net, TranslateNet)]

    def _aligners(self) -> list[AlignerNet]:
        return [net for net in self.nets if isinstance(net, AlignerNet)]

    def _check_decoder(self, what: str) -> None:
        if self.config.model == "ctc":
            raise ConfigError(
                f"An aligner (model = 'ctc') has no {what}; train one with model = 'attention'."
            )


def nets_of(models: Sequence[nn.Module]) -> Any:
    """The modules as what they are."""
    assert all(isinstance(model, (TranslateNet, AlignerNet)) for model in models)
    return tuple(models)


def _options(how: Generation, nbest: int) -> BeamOptions:
    return BeamOptions(
        beam=how.beam,
        nbest=nbest,
        length_penalty=how.length_penalty,
        coverage_penalty=how.coverage_penalty,
        minimum_length=how.least_length,
        maximum_length=how.most_length,
        blocked_ngram=how.no_repeat,
    )
