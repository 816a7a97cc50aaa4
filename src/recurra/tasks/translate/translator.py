"""Translator: train, load, evaluate, translate."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import torch

from recurra.config.options import config_from_mapping
from recurra.data.pairs.source_texts import SourceText, read_sources
from recurra.decoding.sequence_options import DrawOptions
from recurra.errors import ConfigError, DataError, RecurraWarning
from recurra.tasks.estimator import Estimator
from recurra.tasks.signature import options_of
from recurra.tasks.task import Task
from recurra.tasks.translate.config import Generation, TranslateConfig
from recurra.tasks.translate.converter import Converter, Translation
from recurra.tasks.translate.task import Translate

__all__ = ["Translator"]

_TOGETHER = 1000
"""Texts of a stream that are sorted by length and translated together."""


class Translator(Estimator[TranslateConfig, Converter]):
    """One sequence into another: languages, letters to sounds, commands to actions.

    Any field of `TranslateConfig` may be given by name. `fit` trains it on files of pairs, or on
    sources and their targets; `load` brings a trained one back; `translate` writes.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> words = ["ab", "ba", "abb", "bab", "a", "b", "aab", "bba"]
        >>> model = Translator(hidden=8, embedding=8, max_steps=2, target_tokens="characters")
        >>> model.fit(words, [word[::-1] for word in words]).results[0].steps
        2
        >>> [type(text) for text in model.translate(["abab"])]
        [<class 'str'>]
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Translate

    @options_of(TranslateConfig)
    def __init__(self, config: TranslateConfig) -> None:
        super().__init__(config)

    def fit(self, data: Any = None, targets: Sequence[Any] | None = None, **options: Any) -> Self:
        """Train on files of pairs, or on sources with their targets (N,).

        Options are as for `Estimator.fit`. Raises DataError where there are not as many targets as
        sources.
        """
        return super().fit(_paired(data, targets), **options)

    def translate(self, data: Any, **generation: Any) -> list[str]:
        """The best text of each source, in order; "" for an empty one.

        data: a path of a file of sources, or a list of texts. generation: fields of `Generation`.

        Raises:
            DataError: a source can't be read; the message names it.
            ConfigError: an option is unknown, or its value is not allowed.
        """
        return [own[0].text if own else "" for own in self.search(data, **generation)]

    def search(
        self,
        data: Any,
        *,
        nbest: int = 1,
        prefixes: Sequence[str] | None = None,
        phrases: Sequence[Sequence[str]] | None = None,
        **generation: Any,
    ) -> list[list[Translation]]:
        """The best results of each source with their scores, tokens and attention.

        nbest: so many, as far as the beam has them. prefixes: what each result begins with.
        phrases: for each source texts that must occur in its results. Else as for `translate`.
        """
        how = config_from_mapping(Generation, generation)
        if not 1 <= nbest <= how.beam:
            raise ConfigError(
                f"nbest = {nbest} with beam = {how.beam}; a beam gives from 1 to as many as it "
                "keeps: raise beam as well."
            )
        product, texts = self._ready(), self._texts(data)
        for name, given in (("prefixes", prefixes), ("phrases", phrases)):
            if given is not None and len(given) != len(texts):
                raise DataError(
                    f"{len(given):,} {name} for {len(texts):,} sources; give one for each."
                )
        self._tell_unknown(texts)
        return product.translate(texts, how, nbest=nbest, prefixes=prefixes, phrases=phrases)

    def sample(
        self, data: Any, *, seed: int | None = None, **drawing: Any
    ) -> list[list[Translation]]:
        """Results drawn at random for each source: to write sources for lone targets, say.

        drawing: fields of `recurra.decoding.sequence_options.DrawOptions`: samples, temperature,
        top_k, top_p, and limits of the length.
        """
        random = None if seed is None else torch.Generator().manual_seed(seed)
        texts = self._texts(data)
        self._tell_unknown(texts)
        return self._ready().sample(texts, config_from_mapping(DrawOptions, drawing), random)

    def stream(
        self,
        sources: Iterable[SourceText],
        *,
        nbest: int = 1,
        together: int = _TOGETHER,
        prefix: str | None = None,
        **generation: Any,
    ) -> Iterator[tuple[SourceText, list[Translation]]]:
        """Each source with its results, in order, `together` of them at a time.

        A source that can't be read has none, and a RecurraWarning names it. `prefix` is what each
        result begins with.
        """
        for group in _groups(sources, together):
            texts = _told(group)
            begun = None if prefix is None else [prefix] * len(texts)
            found = self.search(texts, nbest=nbest, prefixes=begun, **generation)
            yield from zip(group, found, strict=True)

    def drawn(
        self, sources: Iterable[SourceText], *, together: int = _TOGETHER, seed: int = 0
    ) -> Iterator[tuple[SourceText, list[Translation]]]:
        """Each source with one result drawn at random; else as `stream`."""
        for number, group in enumerate(_groups(sources, together)):
            found = self.sample(_told(group), seed=seed + number)
            yield from zip(group, found, strict=True)

    def score(self, data: Any, targets: Sequence[Any] | None = None) -> float:
        """The share of sources whose result is a target exactly."""
        return self.evaluate(_paired(data, targets))["exact"]

    def _texts(self, data: Any) -> list[str]:
        texts = []
        for one in read_sources(data):
            if one.problem:
                raise DataError(one.problem)
            texts.append(one.text)
        return texts

    def _tell_unknown(self, texts: Sequence[str]) -> None:
        """Warn of tokens that training has not seen."""
        for note in self._ready().source.unknown_note("sources", texts):
            copied = " Words of the source can be copied." if self.config.copy else ""
            warnings.warn(note + copied, RecurraWarning, stacklevel=3)


def _paired(data: Any, targets: Sequence[Any] | None) -> Any:
    if targets is None:
        return data
    if len(data) != len(targets):
        raise DataError(
            f"{len(data):,} sources and {len(targets):,} targets; give one target for each source."
        )
    return list(zip(data, targets, strict=True))


def _told(group: Sequence[SourceText]) -> list[str]:
    """The texts, of which those that can't be read are empty, and warned of."""
    for one in group:
        if one.problem:
            warnings.warn(one.problem, RecurraWarning, stacklevel=3)
    return [one.text for one in group]


def _groups(sources: Iterable[SourceText], together: int) -> Iterator[list[SourceText]]:
    parts = iter(sources)
    while group := list(itertools.islice(parts, together)):
        yield group
