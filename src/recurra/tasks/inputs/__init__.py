"""The kinds of input that tasks share: recordings, pen strokes, images of lines, series, texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.tasks.inputs.image_input import ImageInput
from recurra.tasks.inputs.ink_input import InkInput
from recurra.tasks.inputs.input import Features, Input
from recurra.tasks.inputs.series_input import SeriesInput
from recurra.tasks.inputs.sound_input import SoundInput
from recurra.tasks.inputs.text_input import TextInput

__all__ = [
    "INPUTS",
    "Features",
    "ImageInput",
    "InkInput",
    "Input",
    "SeriesInput",
    "SoundInput",
    "TextInput",
    "input_from",
]

INPUTS: Mapping[str, type[Input]] = {
    "sound": SoundInput,
    "ink": InkInput,
    "image": ImageInput,
    "series": SeriesInput,
    "text": TextInput,
}


def input_from(kept: Mapping[str, Any]) -> Input:
    """The input that `to_json` described."""
    return INPUTS[kept["kind"]].from_json(kept)
