"""Transcriber: train, load, evaluate, transcribe, listen."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, ClassVar, cast

from recurra.config.options import config_from_mapping
from recurra.data.audio.pcm import PcmStream
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError, RecurraWarning
from recurra.tasks.estimator import Estimator
from recurra.tasks.inputs.collection import expanded, listed
from recurra.tasks.signature import options_of
from recurra.tasks.task import Task
from recurra.tasks.transcribe.config import Decoding, TranscribeConfig
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.search import Search
from recurra.tasks.transcribe.task import Transcribe
from recurra.tasks.transcribe.transcript import TextSpan, Transcript, merge_chunks
from recurra.tasks.transcribe.transcript_session import TranscriptSession

__all__ = ["Transcriber"]

_CHUNK = 3200
"""Bytes of live sound read at once: 0.2 seconds at 8 kHz."""


class Transcriber(Estimator[TranscribeConfig, Recogniser]):
    """Sound, pen strokes or images of lines to text.

    Any field of `TranscribeConfig` may be given by name. `fit` trains it on a manifest, a folder,
    or a list of pairs (recording, text); `load` brings a trained one back; `transcribe` writes.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> import numpy as np
        >>> lines = [(np.eye(20)[:, : 8 + n % 5], "ab"[: 1 + n % 2]) for n in range(12)]
        >>> model = Transcriber(input="image", height=16, hidden=8, channels=4, max_steps=2)
        >>> model.fit(lines).results[0].steps
        2
        >>> [type(found.text) for found in model.transcribe([lines[0][0]])]
        [<class 'str'>]
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Transcribe

    @options_of(TranscribeConfig)
    def __init__(self, config: TranscribeConfig) -> None:
        super().__init__(config)

    @property
    def unit(self) -> str:
        """The unit of places: seconds of sound, points of ink, columns of an image."""
        return self._ready().input.unit

    def transcribe(
        self, data: Any, *, times: bool = False, nbest: int = 1, **decoding: Any
    ) -> list[Transcript]:
        """The text of each recording, piece of ink or image, in order.

        Args:
            data: a path, an array or an Ink, or a list of such; a manifest or a folder gives all
                of its items.
            times: places and confidences of words and characters as well.
            nbest: so many readings of each.
            decoding: fields of `Decoding`: beam, language, language_weight, lexicon, boost,
                boost_weight, ngram, decoder.

        Raises:
            DataError: an item can't be read; the message names it.
            ConfigError: an option of decoding is unknown, or its value is not allowed.
        """
        how = config_from_mapping(Decoding, decoding)
        if nbest < 1:
            raise ConfigError(f"nbest = {nbest}; give 1 reading or more.")
        product = self._ready()
        search = product.search(how)
        return [self._transcript(product, search, item, times, nbest) for item in self._items(data)]

    def live(self, source: BinaryIO, *, rate: int | None = None, **decoding: Any) -> Iterator[str]:
        """Yield the text of raw sound (16 bits a sample, one channel) as it is settled.

        `rate` is that of the source, by default the model's.

        Raises ConfigError where the model can't be streamed, or reads no sound.
        """
        if (how := self._ready().input).rate is None:
            raise ConfigError(f"The model reads {how.kind}, not sound; name a file.")
        session = cast("TranscriptSession", self.session(rate=rate, **decoding))
        pcm = PcmStream()
        while data := source.read(_CHUNK):
            yield _text(session.feed(pcm.feed(data)))
        yield _text(session.feed(pcm.finish()))
        yield _text(session.finish())

    def _items(self, data: Any) -> list[Item]:
        """The items of what was given, without texts; DataError for one that can't be used."""
        config, kind = self.config, self._ready().input.kind
        given = data if isinstance(data, list) else [data]
        pairs = [each if _is_named(each) else (each, None) for each in given]
        config = dataclasses.replace(config, input=cast("Any", kind), root=None, outside=True)
        items = listed(config, pairs, None, config.form, None, texts=False).items
        bad = BadItems(1.0)
        items = expanded(type(self._ready().input), items, config.form, bad)
        if len(bad):
            raise DataError(next(iter(bad.messages.values())))
        return items

    def _transcript(
        self, product: Recogniser, search: Search, item: Item, times: bool, nbest: int
    ) -> Transcript:
        chunks = []
        for offset, content in product.input.pieces(item):
            for note in product.input.notes(item, content):
                warnings.warn(f"{item.name}: {note}", RecurraWarning, stacklevel=3)
            (frames,) = product.frames_of([content])
            reading = product.reading(search, frames, nbest)
            chunks.append((offset, product.transcript(item.name, content, reading)))
        found = chunks[0][1] if len(chunks) == 1 else merge_chunks(chunks, item.name)
        return found if times else dataclasses.replace(found, words=(), characters=())


def _is_named(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike, Item))


def _text(spans: Sequence[TextSpan]) -> str:
    return "".join(span.text for span in spans)
