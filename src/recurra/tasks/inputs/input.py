"""Input: what a task reads of an item, distorts in training, and makes features of."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from recurra.config.input_config import InputConfig
from recurra.data.feature_masks import FeatureMasks
from recurra.data.standardise import Standardiser
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError
from recurra.reports import Media

__all__ = ["Features", "Generator", "Input", "masks_of"]

Features = np.ndarray[Any, np.dtype[np.float32]]
"""Steps by features (T, F)."""

Generator = np.random.Generator


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input(ABC):
    """A kind of input with its settings, which travel with the weights as JSON.

    `standardiser` has the statistics of the training data, None before they are known.
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    """The unit of places in a content: seconds, points or columns."""

    parts: ClassVar[Mapping[str, type]] = {}
    """The type of each of its own settings."""

    streams: ClassVar[bool] = False
    """Whether it can be read as it comes, by `stream`."""

    masks: FeatureMasks
    standardiser: Standardiser | None = None

    @property
    def rate(self) -> int | None:
        """Samples a second of what is sampled, else None."""
        return None

    @property
    def step_seconds(self) -> float | None:
        """Seconds from step to step, None where steps aren't of time."""
        return None

    @property
    @abstractmethod
    def size(self) -> int:
        """Features of a step."""

    @classmethod
    @abstractmethod
    def of(cls, config: InputConfig, items: Sequence[Item]) -> Self:
        """The input with the settings of a configuration, and those that the items decide."""

    def begun(self, config: InputConfig, items: Sequence[Item]) -> Self:
        """The input of a run, to train further on these items."""
        return self

    @abstractmethod
    def open(self, item: Item) -> Any:
        """The content of an item; DataError where it can't be used."""

    def pieces(self, item: Item) -> Iterator[tuple[float, Any]]:
        """The content of an item with its offset in the unit: one, or the pieces of a long one."""
        yield 0.0, self.open(item)

    @abstractmethod
    def raw(self, content: Any) -> Features:
        """The features (T, F) of a content, not standardised."""

    @abstractmethod
    def distorted(self, content: Any, generator: Generator) -> Any:
        """A distorted copy of a content."""

    @abstractmethod
    def media(self, content: Any) -> Media:
        """A picture or a sound of the content, for a page."""

    def places(self, steps: Sequence[float], content: Any = None) -> list[float]:
        """Where steps of the features begin in the content, or in a stream, in the unit."""
        return [float(step) for step in steps]

    def notes(self, item: Item, content: Any) -> list[str]:
        """Sentences about an item and its content, which is used all the same."""
        return []

    def features(self, content: Any) -> Features:
        """The features (T, F), standardised."""
        return self.standardised(self.raw(content))

    def standardised(self, raw: Features) -> Features:
        """Raw features by the statistics of the training data."""
        return raw if self.standardiser is None else self.standardiser.apply(raw)

    def fitted(self, contents: Iterable[Any]) -> Self:
        """The same, standardised by the features of these contents."""
        statistics = Standardiser.of(map(self.raw, contents))
        return dataclasses.replace(self, standardiser=statistics)

    def stream(self, state: Mapping[str, Any] | None = None) -> Any:
        """A stream of raw features (`feed`, `finish`, `state`), new or from another's state.

        What has a rate takes that of a new stream, `rate`, too. ConfigError where this kind has
        no stream.
        """
        raise ConfigError(
            f"A stream is of sound, ink, series or words, and this model reads {self.kind}."
        )

    @staticmethod
    def expanded(items: Sequence[Item]) -> Iterator[Item | tuple[Item, Exception]]:
        """The items, files of several taken apart; one that can't be read with its error."""
        yield from items

    def to_json(self) -> dict[str, Any]:
        """The settings by name, with the kind."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """The input that `to_json` described."""
        types = {"masks": FeatureMasks, "standardiser": Standardiser, **cls.parts}
        given = {name: value for name, value in kept.items() if name != "kind"}
        for name in types:
            given[name] = None if given[name] is None else types[name](**given[name])
        return cls(**given)


def masks_of(config: InputConfig, *, over_features: bool) -> FeatureMasks:
    """Masks over time, and over features where these have an order."""
    usual = FeatureMasks()
    return dataclasses.replace(
        usual,
        time_share=min(0.5, usual.time_share * config.masks),
        feature_share=min(0.5, usual.feature_share * config.masks * over_features),
    )
