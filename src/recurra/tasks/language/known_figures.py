"""Figures to hold a language model against: published ones of known texts, token frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from recurra.config.task_config import Published
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.task import Source

__all__ = ["nats_by_frequency", "published_figures"]

_SHAKESPEARE = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
_PTB_TRAIN = "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"
_PTB_VALID = "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"

_PUBLISHED = {
    ("char", _SHAKESPEARE): Published("Transformer of 10.7 M parameters", 1.4697, "nanoGPT"),
    ("word", _PTB_TRAIN, _PTB_VALID): Published(
        "AWD-LSTM of 24 M parameters", math.log(60.0), "Merity et al. 2018"
    ),
}
"""By level and the SHA-256 of the files: tiny Shakespeare, and the Penn Treebank of T. Mikolov."""

_TENTH = 0.1
"""The share that is held out of tiny Shakespeare where others have measured on it."""


def published_figures(config: LanguageConfig, sources: Sequence[Source]) -> tuple[Published, ...]:
    """Nats a token that others have on the same held-out text; none for an unknown text."""
    found = _PUBLISHED.get((config.level, *(source.sha256 for source in sources)))
    cut_alike = config.valid is not None or config.valid_fraction == _TENTH
    return (found,) if found is not None and cut_alike else ()


def nats_by_frequency(train: Tensor, held_out: Tensor, size: int) -> float:
    """Nats a token of guessing by the tokens' frequencies in the training text, add-one smoothed.

    >>> import torch
    >>> round(nats_by_frequency(torch.tensor([0, 0, 1]), torch.tensor([0]), 2), 4)
    0.5108
    """
    counts = train.bincount(minlength=size).double() + 1
    return -float((counts.log() - counts.sum().log())[held_out].mean())
