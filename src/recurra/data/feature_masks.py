"""SpecAugment for features of any kind: stretches of time and of features are masked."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError

__all__ = ["FeatureMasks", "mask_features"]

Frames = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class FeatureMasks:
    """Limits of masks, after Park et al. 2019; their number in time grows with the length.

    time_share, feature_share: the most that all masks together cover, 0 to 0.5.
    time_width: the most frames of one mask. feature_masks: the number of masks over features.

    Raises ConfigError for limits that can't be.
    """

    time_share: float = 0.2
    time_width: int = 20
    feature_share: float = 0.3
    feature_masks: int = 2

    def __post_init__(self) -> None:
        for name in ("time_share", "feature_share"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ConfigError(f"{name} = {getattr(self, name)}; masks cover 0 to 0.5.")
        for name in ("time_width", "feature_masks"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}; at least 1. For no masks set the share to 0."
                )

    @classmethod
    def none(cls) -> "FeatureMasks":
        """No masks at all."""
        return cls(time_share=0.0, feature_share=0.0)


def mask_features(features: Frames, how: FeatureMasks, generator: np.random.Generator) -> Frames:
    """A copy of features (T, F) with masked stretches, which hold each feature's mean.

    Widths are uniform from 0 to the limit, and places uniform; masks may overlap.
    """
    masked = features.copy()
    if not features.size:
        return masked
    mean = features.mean(axis=0)
    frames, width = len(features), how.time_width
    count = max(math.ceil(how.time_share * frames / width), 1)
    for start, stop in _spans(frames, how.time_share, count, width, generator):
        masked[start:stop] = mean
    bands = features.shape[1]
    for start, stop in _spans(bands, how.feature_share, how.feature_masks, bands, generator):
        masked[:, start:stop] = mean[start:stop]
    return masked


def _spans(
    length: int, share: float, count: int, widest: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """`count` stretches of 0 to `length`, which together cover at most this share of it."""
    limit = min(int(share * length / count), widest)
    widths = generator.integers(0, limit + 1, size=count)
    starts = generator.integers(0, length - widths + 1)
    return [(int(start), int(start + width)) for start, width in zip(starts, widths, strict=True)]
