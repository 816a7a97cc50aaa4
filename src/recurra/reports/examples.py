"""Examples on a page: a picture to look at, a sound to play or a text, and texts about it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

__all__ = ["Example", "Examples", "Media"]

_TYPES = {"png": "image/png", "wav": "audio/wav", "flac": "audio/flac"}


_STRONGEST = 45
"""Percent of the accent colour behind a part of weight 1, before which text is readable."""


@dataclass(frozen=True)
class Media:
    """A picture or a sound as the bytes of a file, which the page holds; `about` describes it.

    Or a text, in UTF-8, whose `weights` are parts of it, each (start, stop, weight from 0 to 1), in
    order.
    """

    kind: Literal["png", "wav", "flac", "text"]
    data: bytes
    about: str
    weights: Sequence[tuple[int, int, float]] = ()

    @classmethod
    def of_text(
        cls, text: str, weights: Sequence[tuple[int, int, float]] = (), about: str = "the text"
    ) -> Media:
        """A text, with the weights of parts of it."""
        return cls("text", text.encode("utf-8", "replace"), about, tuple(weights))

    def html(self) -> str:
        """The picture, a player, or the text with its weights behind it, as an HTML element.

        >>> Media("png", b"", "a line").html()
        "<img alt='a line' src='data:image/png;base64,'>"
        """
        about = escape(self.about, quote=True)
        if self.kind == "text":
            return f"<p class='text' dir='auto' aria-label='{about}'>{self._marked()}</p>"
        source = f"data:{_TYPES[self.kind]};base64,{base64.b64encode(self.data).decode()}"
        if self.kind == "png":
            return f"<img alt='{about}' src='{source}'>"
        return f"<audio controls aria-label='{about}' src='{source}'></audio>"

    def _marked(self) -> str:
        """The text, escaped, parts with a weight above 0 on a background of the accent colour."""
        text, parts, done = self.data.decode(), list[str](), 0
        for start, stop, weight in self.weights:
            share = round(_STRONGEST * min(max(weight, 0.0), 1.0)) if weight == weight else 0
            if share and done <= start < stop:
                parts += [escape(text[done:start]), _mark(text[start:stop], weight, share)]
                done = stop
        return "".join(parts) + escape(text[done:])


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


def _mark(text: str, weight: float, percent: int) -> str:
    colour = f"color-mix(in srgb, var(--accent) {percent}%, transparent)"
    return f"<span title='{weight:.2f}' style='background: {colour}'>{escape(text)}</span>"


def _item(item: Example) -> str:
    media = item.media.html() if item.media else ""
    texts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in item.texts.items()
    )
    return f"<figure>{media}<dl>{texts}</dl></figure>"
