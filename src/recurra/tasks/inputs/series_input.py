"""Sequences of numbers, as standardised channels with what is missing in them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, ClassVar, Self

from recurra.config.input_config import InputConfig
from recurra.data.images.image_file import png_bytes
from recurra.data.sequences.series import Series
from recurra.data.sequences.series_distortion import SeriesDistortion, distort
from recurra.data.sequences.series_features import (
    SeriesFeatures,
    SeriesStream,
    has_irregular_times,
)
from recurra.data.sequences.series_picture import drawn_series
from recurra.data.transcripts.item import Item
from recurra.errors import DataError
from recurra.reports import Media
from recurra.tasks.inputs.input import Features, Generator, Input, masks_of

__all__ = ["SeriesInput"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesInput(Input):
    """Series of any length with the channels of the training data."""

    kind: ClassVar[str] = "series"
    unit: ClassVar[str] = "steps"
    streams: ClassVar[bool] = True
    parts: ClassVar[Mapping[str, type]] = {
        "columns": SeriesFeatures,
        "distortion": SeriesDistortion,
    }

    columns: SeriesFeatures
    distortion: SeriesDistortion
    pace: int = 1
    """Steps that become one, so that the usual series has some hundreds."""

    @classmethod
    def of(cls, config: InputConfig, items: Sequence[Item]) -> Self:
        """With the channels that most items have, and features for what is missing or irregular.

        DataError where no item is a Series.
        """
        contents = [item.data for item in items if isinstance(item.data, Series)]
        if not contents:
            raise DataError("No item is a Series; read the data by read_sequences.")
        channels = Counter(series.channels for series in contents).most_common(1)[0][0]
        columns = SeriesFeatures(
            channels,
            missing=any(series.has_missing for series in contents),
            times=has_irregular_times(contents),
        )
        return cls(
            columns=columns,
            distortion=_distortion(config),
            masks=masks_of(config, over_features=False),
            pace=_pace([series.steps for series in contents]),
        )

    @property
    def size(self) -> int:
        """Features of a step."""
        return self.columns.width

    def open(self, item: Item) -> Series:
        """The series, its channels in the order of the training data."""
        where = item.origin or item.name
        if not isinstance(item.data, Series):
            raise DataError(
                f"{where}: is of type {type(item.data).__name__}; give a Series, as read_sequences "
                "makes of files, tables and arrays."
            )
        try:
            return self.columns.aligned(item.data)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error

    def raw(self, content: Series) -> Features:
        """Values, masks and gaps, and distances in time; NaN where nothing is known yet."""
        return self.columns.features(content)

    def standardised(self, raw: Features) -> Features:
        """Raw features by the statistics of the training data, 0 where nothing is known yet."""
        return self.columns.standardised(raw, self.standardiser)

    def fitted(self, contents: Iterable[Any]) -> Self:
        """The same, standardised by the values that these contents have."""
        return dataclasses.replace(self, standardiser=self.columns.fitted(contents))

    def distorted(self, content: Series, generator: Generator) -> Series:
        """Values that tremble and are scaled, along a time that runs faster or slower."""
        return distort(content, self.distortion, generator)

    def media(self, content: Series) -> Media:
        """The curves of the channels."""
        return Media("png", png_bytes(drawn_series(content)), "the series")

    def notes(self, item: Item, content: Series) -> list[str]:
        """Missing values and uneven times that the features don't show."""
        notes = []
        if content.has_missing and not self.columns.missing:
            notes.append(
                "has missing values, which the training data had not; the last value seen stands "
                "for them."
            )
        if not self.columns.times and has_irregular_times([content]):
            notes.append("has uneven times, which the model doesn't use.")
        return notes

    def stream(self, state: Mapping[str, Any] | None = None) -> SeriesStream:
        """Features as steps come."""
        return SeriesStream(self.columns, state)


def _pace(steps: Sequence[int]) -> int:
    """1, 2, 4 or 8, by the median length.

    >>> _pace([300]), _pace([900]), _pace([10_000])
    (1, 2, 8)
    """
    return next((pace for pace in (1, 2, 4) if median(steps) / pace <= _MANY), 8)


_MANY = 500
"""Steps above which a network takes several as one."""


def _distortion(config: InputConfig) -> SeriesDistortion:
    """The usual distortion, each kind as strong as the configuration has it."""
    usual = SeriesDistortion()
    strengths = {
        "noise": config.noise,
        "scale": config.scale,
        **dict.fromkeys(("length", "warp"), config.speed),
    }
    sizes = {name: getattr(usual, name) * strength for name, strength in strengths.items()}
    return dataclasses.replace(usual, **sizes)
