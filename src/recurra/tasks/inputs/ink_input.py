"""Pen strokes, as points at equal distances or as Bézier curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Self

from recurra.config.input_config import InputConfig
from recurra.data.images.image_file import png_bytes
from recurra.data.ink.bezier import BezierFeatures
from recurra.data.ink.ink import Ink, drawn_ink
from recurra.data.ink.ink_distortion import InkDistortion, distort
from recurra.data.ink.ink_features import InkFeatures
from recurra.data.ink.ink_lines import InkLine, read_ink_lines
from recurra.data.ink.ink_normalisation import core_height
from recurra.data.ink.ink_stream import InkStream
from recurra.data.ink.inkml import read_inkml
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.reports import Media
from recurra.tasks.inputs.input import Features, Generator, Input, masks_of

__all__ = ["InkInput"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InkInput(Input):
    """Pen strokes; `curves` are None where points are read."""

    kind: ClassVar[str] = "ink"
    unit: ClassVar[str] = "points"
    streams: ClassVar[bool] = True
    parts: ClassVar[Mapping[str, type]] = {
        "points": InkFeatures,
        "distortion": InkDistortion,
        "curves": BezierFeatures,
    }

    points: InkFeatures
    distortion: InkDistortion
    curves: BezierFeatures | None = None

    @classmethod
    def of(cls, config: InputConfig, items: Sequence[Item]) -> Self:
        """Of the whole ink; for a model of one direction by the median height of the letters."""
        if config.bidirectional:
            points = InkFeatures(spacing=config.spacing)
        else:
            unit = median(core_height(item.data) for item in items)
            points = InkFeatures.causal(unit, spacing=config.spacing)
        if config.curves and not config.bidirectional:
            raise ConfigError(
                "curves = true with bidirectional = false: a curve is fitted to a whole stroke, "
                "which a stream has not; leave one of the two out."
            )
        return cls(
            points=points,
            distortion=_distortion(config),
            curves=BezierFeatures() if config.curves else None,
            masks=masks_of(config, over_features=False),
        )

    @property
    def size(self) -> int:
        """Features of a point or a curve."""
        return self.points.width if self.curves is None else self.curves.width

    def open(self, item: Item) -> Ink:
        """The strokes."""
        if isinstance(item.data, Ink):
            return item.data
        raise DataError(f"{item.origin}: is of type {type(item.data).__name__}; give an Ink.")

    def raw(self, content: Ink) -> Features:
        """A row for each point, or for each curve."""
        return (self.points if self.curves is None else self.curves).features(content)

    def distorted(self, content: Ink, generator: Generator) -> Ink:
        """Writing that leans, is scaled, bent and trembles."""
        return distort(content, self.distortion, generator)

    def media(self, content: Ink) -> Media:
        """The strokes, drawn."""
        return Media("png", png_bytes(drawn_ink(content)), "the pen strokes")

    def stream(self, state: Mapping[str, Any] | None = None) -> InkStream:
        """Rows as the pen writes."""
        if state is None:
            return InkStream(self.points)
        return InkStream.resumed(self.points, state)

    @staticmethod
    def expanded(items: Sequence[Item]) -> Iterator[Item | tuple[Item, Exception]]:
        """An item for each ink of an InkML file, and the strokes of each line of JSON."""
        files: dict[Path, dict[int, InkLine | DataError]] = {}
        for item in items:
            try:
                if item.format == "inkml":
                    yield from _inks_of(item)
                elif item.format == "strokes" and item.path is not None:
                    if item.path not in files:
                        files[item.path] = _lines_of(item.path)
                    yield from _strokes_of(item, files[item.path])
                else:
                    yield item
            except DataError as error:
                yield item, error


def _inks_of(item: Item) -> Iterator[Item]:
    assert item.path is not None
    for number, (ink, label) in enumerate(read_inkml(item.path), start=1):
        name = f"{item.name}, {number}"
        text = item.text if label is None else label
        yield dataclasses.replace(item, name=name, text=text, data=ink, format="memory")


def _lines_of(path: Path) -> dict[int, InkLine | DataError]:
    """Each line's ink, or its error."""
    found: dict[int, InkLine | DataError] = {}

    def note(error: DataError) -> None:
        number = str(error).removeprefix(f"{path}:").partition(":")[0]
        found[int(number)] = error

    for line in read_ink_lines(path, note):
        found[line.line] = line
    return found


def _strokes_of(item: Item, lines: Mapping[int, InkLine | DataError]) -> Iterator[Item]:
    """The item with its strokes; a file of which no line is named gives all its lines."""
    for number in sorted(lines) if item.line is None else [item.line]:
        line = lines[number]
        if isinstance(line, DataError):
            raise line
        name = item.name if item.line is not None else f"{item.name}:{number}"
        text = line.text if item.text is None else item.text
        yield dataclasses.replace(item, name=name, text=text, data=line.ink)


def _distortion(config: InputConfig) -> InkDistortion:
    """The usual distortion, each kind as strong as the configuration has it."""
    usual = InkDistortion()
    strengths = {
        **dict.fromkeys(("slant", "rotation"), config.slant),
        "scale": config.scale,
        "elastic": config.elastic,
        **dict.fromkeys(("noise", "stroke"), config.jitter),
    }
    chances = dict.fromkeys(("drop", "duplicate"), config.jitter)
    sizes = {name: getattr(usual, name) * strength for name, strength in strengths.items()}
    shares = {n: min(0.5, getattr(usual, n) * strength) for n, strength in chances.items()}
    return dataclasses.replace(usual, **sizes, **shares)
