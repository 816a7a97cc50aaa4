"""The product of a training: networks and the two sides of the pairs; it translates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
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
from recurra.tasks.translate.pair_batches import Side, of_equal_lengths
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
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class Converter:
    """Translates texts by the mean of its networks' probabilities.

    `ratio`: a result has at most so many tokens for each of its source, and ten more.
    """

    config: TranslateConfig
    source: TextSide
    target: TextSide
    nets: Sequence[TranslateNet] | Sequence[AlignerNet]
    ratio: float = 2.0

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
        if self.config.model == "ctc":
            self._check_aligned(how, prefixes, phrases)

        def answers(numbers: list[int], batch: list[Side]) -> list[list[Translation]]:
            if self.config.model == "ctc":
                return self._aligned(batch, how, nbest)
            begun = None if prefixes is None else [self._ids(prefixes[n]) for n in numbers]
            wanted = None
            if phrases is not None:
                wanted = [[self._ids(text) for text in phrases[n]] for n in numbers]
            return self._searched(numbers, batch, _options(how, nbest), begun, wanted)

        return self._in_batches(texts, max(1, _ROWS // how.beam), answers)

    def sample(
        self, texts: Sequence[str], how: DrawOptions, random: torch.Generator | None = None
    ) -> list[list[Translation]]:
        """Results drawn at random, `how.samples` of each text."""
        if self.config.model == "ctc":
            raise ConfigError(
                "An aligner (model = 'ctc') draws no samples; train one with model = 'attention'."
            )

        def answers(numbers: list[int], batch: list[Side]) -> list[list[Translation]]:
            generator, state, lengths, extra = self._begun(batch)
            limited = dataclasses.replace(how, length_ratio=max(how.length_ratio, self.ratio))
            found = draw(
                generator,
                state,
                lengths,
                limited,
                forbidden=(UNKNOWN,),
                numbers=[n + 1 for n in numbers],
                random=random,
            )
            return self._translations(found, batch, extra)

        return self._in_batches(texts, max(1, _ROWS // how.samples), answers)

    def _in_batches(
        self,
        texts: Sequence[str],
        rows: int,
        answers: Callable[[list[int], list[Side]], list[list[Translation]]],
    ) -> list[list[Translation]]:
        """The answers to `rows` texts at a time, of similar lengths; none to an empty one."""
        sides = {n: side for n, text in enumerate(texts) if len(side := self.source.side(text))}
        found: list[list[Translation]] = [[] for _ in texts]
        filled = list(sides)
        for chosen in of_equal_lengths([len(side) for side in sides.values()], rows):
            numbers = [filled[n] for n in chosen]
            batch = [sides[n] for n in numbers]
            for number, own in zip(numbers, answers(numbers, batch), strict=True):
                found[number] = own
        return found

    def _searched(
        self,
        numbers: Sequence[int],
        batch: Sequence[Side],
        how: BeamOptions,
        prefixes: Sequence[Sequence[int]] | None,
        phrases: Sequence[Sequence[Sequence[int]]] | None,
    ) -> list[list[Translation]]:
        generator, state, lengths, extra = self._begun(batch)
        found = search(
            generator,
            state,
            lengths,
            dataclasses.replace(how, length_ratio=self.ratio),
            begin=BOUNDARY,
            end=BOUNDARY,
            forbidden=(UNKNOWN,),
            prefixes=prefixes,
            constraints=phrases,
            numbers=[n + 1 for n in numbers],
        )
        return self._translations(found, batch, extra)

    @torch.inference_mode()
    def _begun(self, batch: Sequence[Side]) -> tuple[Any, Any, Tensor, list[tuple[str, ...]]]:
        """A generator, its state, the lengths of the sources, and what only they have."""
        source, lengths = pad([side.ids for side in batch])
        copies, extra = source, [tuple[str, ...]() for _ in batch]
        if self.config.copy:
            numbered = [self.target.vocabulary.encode_copies(side.tokens) for side in batch]
            copies, _ = pad([ids for ids, _ in numbered])
            extra = [own for _, own in numbered]
        choices = len(self.target) + max(map(len, extra))
        generators = [NetGenerator(net, choices) for net in self._decoders()]
        states = [generator.start(source, lengths, copies) for generator in generators]
        if len(generators) == 1:
            return generators[0], states[0], lengths, extra
        return GeneratorEnsemble(generators), tuple(states), lengths, extra

    def _translations(
        self,
        found: Sequence[Sequence[Generated]],
        batch: Sequence[Side],
        extra: Sequence[Sequence[str]],
    ) -> list[list[Translation]]:
        return [
            [self._translation(one, side, own) for one in results]
            for side, own, results in zip(batch, extra, found, strict=True)
        ]

    def _translation(self, one: Generated, side: Side, extra: Sequence[str]) -> Translation:
        tokens = self.target.vocabulary.decode(one.tokens, copied=extra)
        return Translation(
            self.target.tokens.join(tokens),
            one.score,
            one.log_probability,
            tuple(tokens),
            tuple(one.token_log_probs),
            tuple(side.tokens),
            tuple(tuple(row) for row in one.attention.tolist() if row),
            one.finished,
        )

    @torch.inference_mode()
    def _aligned(
        self, batch: Sequence[Side], how: Generation, nbest: int
    ) -> list[list[Translation]]:
        """Prefix beam search over the steps of each source."""
        source, lengths = pad([side.ids for side in batch])
        each = [net.frames(source, lengths)[0].exp() for net in self._aligners()]
        frames = torch.stack(each).mean(0).log()
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
        named = self.target.vocabulary.decode(tokens)
        text = self.target.tokens.join(named)
        return Translation(text, score, score, tuple(named), (), tuple(side.tokens))

    def _ids(self, text: str) -> list[int]:
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

    def _check_aligned(
        self,
        how: Generation,
        prefixes: Sequence[str] | None,
        phrases: Sequence[Sequence[str]] | None,
    ) -> None:
        """Refuse what a search over the steps of an aligner doesn't have."""
        given = {"prefixes": prefixes is not None, "phrases": phrases is not None}
        for field in dataclasses.fields(how):
            given[field.name] = getattr(how, field.name) != field.default
        for name in (name for name, is_given in given.items() if is_given and name != "beam"):
            raise ConfigError(
                f"{name} is of decoders, and this run is an aligner (model = 'ctc'), whose search "
                f"has a beam alone: leave {name} out."
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
