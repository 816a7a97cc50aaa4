"""The convolutions that suit a kind of input."""

from __future__ import annotations

from collections.abc import Mapping

from recurra.config.input_config import InputConfig
from recurra.nn.frontends import Block, FrontEnd, PlaneFrontEnd, SequenceFrontEnd

__all__ = ["front_end"]

_USUAL: Mapping[str, int] = {"sound": 2, "ink": 2, "image": 4}
"""Steps of the input that become one."""


def front_end(config: InputConfig, kind: str, features: int) -> FrontEnd:
    """Three blocks of convolutions: over time alone for ink, else over time and features.

    An image's channels grow from half of `channels` to twice as many while its rows are pooled.
    """
    width, halves = config.channels, _halves(config.subsampling or _USUAL[kind])
    if kind == "ink":
        blocks = [Block(2 * width, steps) for steps in halves]
        return SequenceFrontEnd(features, blocks, config.dropout / 2)
    channels = [max(1, width // 2), width, 2 * width] if kind == "image" else [width] * 3
    blocks = [Block(size, steps, 2) for size, steps in zip(channels, halves, strict=True)]
    return PlaneFrontEnd(features, blocks, config.dropout / 2)


def _halves(subsampling: int) -> list[int]:
    """How many steps each of the three blocks makes one of; the first ones halve."""
    return [2 if subsampling >= 2**block else 1 for block in (1, 2, 3)]
