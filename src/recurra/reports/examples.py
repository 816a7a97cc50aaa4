"""Examples on a page: a picture to look at or a sound to play, and texts about it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

__all__ = ["Example", "Examples", "Media"]

_TYPES = {"png": "image/png", "wav": "audio/wav", "flac": "audio/flac"}


@dataclass(frozen=True)
class Media:
    """A picture or a sound as the bytes of a file, which the page holds; `about` describes it."""

    kind: Literal["png", "wav", "flac"]
    data: bytes
    about: str

    def html(self) -> str:
        """The picture, or a player, as an HTML element.

        >>> Media("png", b"", "a line").html()
        "<img alt='a line' src='data:image/png;base64,'>"
        """
        source = f"data:{_TYPES[self.kind]};base64,{base64.b64encode(self.data).decode()}"
        about = escape(self.about, quote=True)
        if self.kind == "png":
            return f"<img alt='{about}' src='{source}'>"
        return f"<audio controls aria-label='{about}' src='{source}'></audio>"


@dataclass(frozen=True)
class Example:
    """One item: its media, if there is one, and texts by name."""

    media: Media | None
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Examples:
    """Items one under the other; `note` is a sentence above them."""

    items: Sequence[Example]
    note: str = ""

    def html(self) -> str:
        """The examples as an HTML element."""
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"{note}<div class='examples'>{''.join(map(_item, self.items))}</div>"


def _item(item: Example) -> str:
    media = item.media.html() if item.media else ""
    texts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in item.texts.items()
    )
    return f"<figure>{media}<dl>{texts}</dl></figure>"
