"""Tokens with their tags from lists in memory, as items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recurra.data.texts.labels import label_of
from recurra.data.texts.settled_tags import settle_tags
from recurra.data.texts.tagged_rows import DEFAULT_LAYER
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.data.transcripts.bad_items import BadItems, usable
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import DataError

__all__ = ["are_tokens", "listed_tokens"]


def are_tokens(each: Any) -> bool:
    """Whether it is a list of tokens, or a pair of one and its tags.

    >>> are_tokens(["a", "b"]), are_tokens((["a"], ["DET"])), are_tokens([1.0, 2.0])
    (True, True, False)
    """
    tokens = each[0] if _is_pair(each) else each
    return _is_list(tokens) and len(tokens) > 0 and all(isinstance(word, str) for word in tokens)


def listed_tokens(
    source: Sequence[Any],
    *,
    labels: bool = True,
    bad: BadItems | None = None,
    notes: list[str] | None = None,
) -> list[Item]:
    """An item for each list of tokens, or pair of tokens and tags; an item's `data` has both.

    The tags are a list, or by the name of each layer a list. Without `labels` tags may be missing,
    and a text may stand for its tokens. `notes` gets sentences on tags that were brought to another
    scheme, as `settle_tags` has it.

    Raises DataError: without `bad`, for the first item that can't be used; with it, for more of
    them than its share.

    >>> listed_tokens([(["Ann", "sings"], ["PROPN", "VERB"])])[0].data.tags
    {'tag': ('PROPN', 'VERB')}
    """
    found = [_item(number, each, labels) for number, each in enumerate(source)]
    return usable(_settled(found, [] if notes is None else notes), bad)


def _settled(found: Sequence[Item | UnusableItem], notes: list[str]) -> list[Item | UnusableItem]:
    """The items with tags that hold their scheme."""
    settled = list(found)
    good = [n for n, item in enumerate(found) if isinstance(getattr(item, "data", 0), TaggedTokens)]

    def place(number: int, token: int) -> str:
        return f"item {good[number]} (from 0), token {token + 1}"

    texts = [found[n].data for n in good]  # type: ignore[union-attr]
    for number, text in zip(good, settle_tags(texts, place, notes), strict=True):
        item = found[number]
        assert isinstance(item, Item)
        if isinstance(text, DataError):
            settled[number] = UnusableItem(item.origin, str(text))
        elif text is not item.data:
            settled[number] = replace(item, data=text)
    return settled


def _item(number: int, each: Any, labels: bool) -> Item | UnusableItem:
    name = f"item {number}"
    try:
        data = _data(each, labels)
    except DataError as error:
        return UnusableItem(name, f"{name} (from 0): {error}")
    text = data if isinstance(data, str) else data.text
    return Item(name, "text", text, format="memory", data=data, origin=name)


def _data(each: Any, labels: bool) -> str | TaggedTokens:
    if isinstance(each, str) and not labels:
        return each
    tokens, tags = each if _is_pair(each) else (each, None)
    if not _is_list(tokens):
        raise DataError(f"is of type {type(tokens).__name__}; give a list of tokens.")
    for place, token in enumerate(tokens, start=1):
        if not isinstance(token, str):
            raise DataError(f"its token {place} is of type {type(token).__name__}; give a str.")
    if tags is None and labels:
        raise DataError("has no tags; give a tag for each token.")
    return TaggedTokens(tuple(map(str, tokens)), _layers(tags))


def _layers(tags: Any) -> dict[str, tuple[str, ...]]:
    if tags is None:
        return {}
    named = tags if isinstance(tags, Mapping) else {DEFAULT_LAYER: tags}
    found = {}
    for layer, own in named.items():
        if isinstance(own, str) or not hasattr(own, "__iter__"):
            raise DataError(f"its tags ({layer}) are {own!r}; give a list, a tag for each token.")
        found[str(layer)] = tuple(map(_tag, own))
    return found


def _tag(value: Any) -> str:
    if not (tag := label_of(value)):
        raise DataError(f"has the tag {value!r}; each token needs one.")
    return tag


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _is_pair(each: Any) -> bool:
    """Whether it is (tokens, tags) rather than two tokens."""
    return isinstance(each, tuple) and len(each) == 2 and not isinstance(each[0], str)
