"""Images of lines, as columns of ink."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from recurra.config.input_config import InputConfig
from recurra.data.images.image_distortion import ImageDistortion, distort
from recurra.data.images.image_file import png_bytes, read_grey
from recurra.data.images.line_image import LineImages, normalise_line
from recurra.data.images.page_crop import crop_line
from recurra.data.images.page_layout import read_page_lines
from recurra.data.transcripts.item import Item
from recurra.errors import DataError
from recurra.reports import Media
from recurra.tasks.inputs.input import Features, Generator, Input, masks_of

__all__ = ["ImageInput"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageInput(Input):
    """Images of single lines, of one height; ink is 1 and paper 0, so they need no statistics."""

    kind: ClassVar[str] = "image"
    unit: ClassVar[str] = "columns"
    parts: ClassVar[Mapping[str, type]] = {"lines": LineImages, "distortion": ImageDistortion}

    lines: LineImages
    distortion: ImageDistortion

    @classmethod
    def of(cls, config: InputConfig, items: Sequence[Item]) -> Self:
        """With the height and the distortions of the configuration."""
        return cls(
            lines=LineImages(height=config.height),
            distortion=_distortion(config),
            masks=masks_of(config, over_features=False),
        )

    @property
    def size(self) -> int:
        """Rows of a column."""
        return self.lines.height

    def open(self, item: Item) -> Features:
        """Columns of ink (W, H)."""
        source = item.path if item.data is None else item.data
        return normalise_line(source, self.lines).columns

    def raw(self, content: Features) -> Features:
        """The columns as they are."""
        return content

    def distorted(self, content: Features, generator: Generator) -> Features:
        """Columns of writing that leans, is scaled, bent, blurred and faded."""
        return distort(content, self.distortion, generator)

    def media(self, content: Features) -> Media:
        """The line as it was normalised."""
        return Media("png", png_bytes(1 - content.T), "the line")

    def fitted(self, contents: Iterable[Any]) -> Self:
        """The same: no statistics are needed."""
        return self

    @staticmethod
    def expanded(items: Sequence[Item]) -> Iterator[Item | tuple[Item, Exception]]:
        """An item for each line of a PAGE or ALTO file, cut from its page."""
        for item in items:
            if item.format not in ("page", "alto"):
                yield item
                continue
            try:
                yield from _lines_of(item)
            except DataError as error:
                yield item, error


def _lines_of(item: Item) -> Iterator[Item]:
    assert item.path is not None
    pages: dict[Path, Any] = {}
    for line in read_page_lines(item.path):
        if line.image not in pages:
            pages = {line.image: read_grey(line.image)}
        name = f"{item.name}, {line.id}"
        data = crop_line(pages[line.image], line)
        yield dataclasses.replace(item, name=name, text=line.text, data=data, format="memory")


def _distortion(config: InputConfig) -> ImageDistortion:
    """The usual distortion, each kind as strong as the configuration has it."""
    usual = ImageDistortion()
    strengths = {
        "slant": config.slant,
        **dict.fromkeys(("scale_x", "scale_y", "shift"), config.scale),
        "elastic": config.elastic,
    }
    sizes = {n: min(1.0, getattr(usual, n) * strength) for n, strength in strengths.items()}
    return dataclasses.replace(usual, **sizes)
