"""Batches of items with a tag of every layer at every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches import generator_of, pad
from recurra.data.feature_masks import mask_features
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.item_batches import ItemBatches, in_order, padded_features
from recurra.tasks.tag.tag_layers import TagLayer, tags_of

__all__ = ["TagBatch", "TagBatches", "encoded", "tagged_in_order"]

Rows = np.ndarray[Any, Any]


class TagBatch(NamedTuple):
    """Features (T, B, F) of B items with their lengths (B,), and their tags (T, B, L)."""

    features: Tensor
    lengths: Tensor
    tags: Tensor

    @classmethod
    def of(cls, features: Sequence[Rows], tags: Sequence[Rows]) -> TagBatch:
        """A batch of these features (T, F) and tags (T, L), 0 beyond their ends."""
        inputs, lengths = padded_features(features)
        targets, _ = pad(tags)
        rest = targets.new_zeros(len(inputs) - len(targets), *targets.shape[1:])
        return cls(inputs, lengths, torch.cat([targets, rest]))


class TagBatches(ItemBatches[TagBatch]):
    """Items of nearly equal lengths; tags move along where steps do."""
