"""Layers of tags: their names in order, and the scheme that they follow."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from recurra.data.texts.tag_schemes import (
    TagScheme,
    allowed_transitions,
    converted_tags,
    recognise_scheme,
)
from recurra.errors import DataError
from recurra.nn.crf import Allowed

__all__ = ["MISSING", "UNSEEN", "TagLayer", "encoded", "layer_tags", "tags_of"]

Ids = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

UNSEEN, MISSING = -1, -100
"""The numbers of a tag that training lacks, and of none."""

_NOTHING = (
    *("o", "0", "none", "null", "nothing", "background", "idle", "silence", "normal", "no"),
    *("off", "false", "absent", "empty", "-"),
)
"""Usual names, in lower case, of the tag of steps where nothing is."""


@dataclasses.dataclass(frozen=True)
class TagLayer:
    """The tags of one layer, by the alphabet; `scheme` is that of segments, None for plain tags.

    Fields are JSON values.

    >>> layer = TagLayer.of("upos", [("NOUN", "VERB"), ("NOUN",)])
    >>> layer.tags, layer.encode(["VERB", "X"]).tolist()
    (('NOUN', 'VERB'), [1, -1])
    """

    name: str
    tags: tuple[str, ...]
    scheme: TagScheme | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tuple(self.tags))

    @classmethod
    def of(cls, name: str, sequences: Iterable[Sequence[str]]) -> TagLayer:
        """The tags of training sequences; DataError where there is one alone."""
        listed = [_given(tags) for tags in sequences]
        scheme = recognise_scheme(listed)
        if scheme is not None:
            listed = [list(converted_tags(tags, scheme)) for tags in listed]
        counts = Counter(tag for tags in listed for tag in tags)
        if len(counts) < 2:
            shown = f"one tag alone ({next(iter(counts))!r})" if counts else "no tag at all"
            raise DataError(
                f"The items to train on have {shown} in layer {name!r}; give items of two tags or "
                "more."
            )
        return cls(name, tuple(sorted(counts)), scheme)

    @property
    def allowed(self) -> Allowed | None:
        """What the scheme allows; None where it has none."""
        return None if self.scheme is None else allowed_transitions(self.tags, self.scheme)

    @property
    def background(self) -> int | None:
        """The number of the tag that says that nothing is there, by its name; None without one."""
        if self.scheme is not None:
            return self.tags.index("O") if "O" in self.tags else None
        found = [n for n, tag in enumerate(self.tags) if tag.lower() in _NOTHING]
        return found[0] if len(found) == 1 else None

    def __len__(self) -> int:
        return len(self.tags)

    def encode(self, tags: Sequence[str]) -> Ids:
        """The numbers (T,) of tags, -1 for one that training lacks, -100 where there is none."""
        known = self._numbers
        return np.array([known.get(tag, UNSEEN) for tag in self.settled(tags)], np.int64)

    def settled(self, tags: Sequence[str]) -> Sequence[str]:
        """The tags in the layer's own scheme, where it has one; steps without a tag keep none.

        >>> TagLayer("tag", ("B-X", "I-X", "O"), "bio").settled(["B-X", "", "I-X", "O", "I-X"])
        ['B-X', '', 'I-X', 'O', 'B-X']
        """
        if self.scheme is None:
            return tags
        own = iter(converted_tags(_given(tags), self.scheme))
        return [next(own) if tag else "" for tag in tags]

    def of_content(self, content: Any) -> Sequence[str]:
        """The tags of a content's steps, as `layer_tags` has them."""
        return layer_tags(content, self.name)

    def unseen_in(self, contents: Iterable[Any]) -> Counter[str]:
        """The tags of contents that training had not, with their counts."""
        tags = (tag for each in contents for tag in self.settled(self.of_content(each)))
        return Counter(tag for tag in tags if tag not in self._numbers)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tags of numbers."""
        return [self.tags[number] for number in ids]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {"": MISSING, **{tag: number for number, tag in enumerate(self.tags)}}


def _given(tags: Sequence[str]) -> list[str]:
    """The tags without those of steps that have none."""
    return [tag for tag in tags if tag]


def encoded(layers: Sequence[TagLayer], content: Any) -> Ids:
    """The numbers of a content's tags (T, L); DataError where it has not those of a layer."""
    return np.stack([layer.encode(layer.of_content(content)) for layer in layers], 1)


def layer_tags(content: Any, name: str) -> Sequence[str]:
    """The tags of a layer of a content; where it has one alone, that one, whatever its name.

    DataError where it has several and not this one, or none.
    """
    tags = tags_of(content)
    if name not in tags and len(tags) != 1:
        shown = ", ".join(map(repr, tags)) or "none"
        raise DataError(f"has no tags of layer {name!r}; its layers are {shown}.")
    return tags[name] if name in tags else next(iter(tags.values()))


def tags_of(content: Any) -> Mapping[str, Sequence[str]]:
    """The tags of a content's steps, by layer."""
    labels: Mapping[str, Sequence[str]] | Sequence[str] | None = content.labels
    if isinstance(labels, Mapping):
        return labels
    return {} if labels is None else {"label": labels}
