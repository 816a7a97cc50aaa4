"""Tags of texts brought to one scheme: converted, and repaired where they break it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from recurra.data.texts.tag_schemes import (
    TagScheme,
    broken_tags,
    converted_tags,
    has_form,
    recognise_scheme,
)
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.errors import DataError

__all__ = ["NAMES", "settle_tags"]

NAMES: dict[TagScheme, str] = {"bio": "BIO", "bioes": "BIOES", "bilou": "BILOU", "iob1": "IOB1"}
"""What schemes are called."""

_TARGETS: dict[TagScheme, TagScheme] = {"iob1": "bio", "bilou": "bioes"}

Place = Callable[[int, int], str]
"""The name of a token of a text, by their numbers: "a.conll, line 7"."""


def settle_tags(
    texts: Sequence[TaggedTokens], place: Place, notes: list[str]
) -> list[TaggedTokens | DataError]:
    """The texts with the tags of each layer in BIO or BIOES, if they have a scheme.

    IOB1 becomes BIO and BILOU becomes BIOES. Tags that break the scheme are read as conlleval and
    seqeval read them (I-PER after O begins a segment) and written so that they hold. `notes` gets a
    sentence on each. A text is an error where a tag has no scheme's form and nearly all others do.

    >>> notes: list[str] = []
    >>> texts = [TaggedTokens(("Ann", "sings"), {"tag": ("I-PER", "O")})]
    >>> settle_tags(texts, lambda text, token: "here", notes)[0].tags
    {'tag': ('B-PER', 'O')}
    >>> notes
    ['layer tag: its tags are IOB1 and were converted to BIO.']
    """
    found: list[TaggedTokens | DataError] = list(texts)
    layers = dict.fromkeys(layer for text in texts for layer in text.tags)
    for layer in layers:
        scheme = recognise_scheme(text.tags[layer] for text in texts if layer in text.tags)
        if scheme is not None:
            _settle_layer(found, layer, scheme, place, notes)
    return found


def _settle_layer(
    texts: list[TaggedTokens | DataError],
    layer: str,
    scheme: TagScheme,
    place: Place,
    notes: list[str],
) -> None:
    target, broken = _TARGETS.get(scheme, scheme), list[str]()
    sentences = 0
    for number, text in enumerate(texts):
        if isinstance(text, DataError) or layer not in text.tags:
            continue
        tags = text.tags[layer]
        wrong = broken_tags(tags, scheme)
        strays = [at for at, _ in wrong if not has_form(tags[at])]
        if strays:
            texts[number] = _stray(layer, scheme, dict(wrong)[strays[0]], place(number, strays[0]))
            continue
        sentences += bool(wrong)
        broken += [f"{place(number, at)}: {what}" for at, what in wrong]
        if wrong or target != scheme:
            own = {**text.tags, layer: converted_tags(tags, target)}
            texts[number] = replace(text, tags=own)
    notes += _said(layer, scheme, target, broken, sentences)


def _stray(layer: str, scheme: TagScheme, what: str, place: str) -> DataError:
    return DataError(
        f"{place}: a tag is {what}, and the others are {NAMES[scheme]} (layer {layer}); correct it."
    )


def _said(
    layer: str, scheme: TagScheme, target: TagScheme, broken: Sequence[str], sentences: int
) -> list[str]:
    found = []
    if target != scheme:
        found.append(
            f"layer {layer}: its tags are {NAMES[scheme]} and were converted to {NAMES[target]}."
        )
    if broken:
        several = f"{len(broken):,} tags of {sentences:,} sequences break"
        found.append(
            f"layer {layer}: {several if len(broken) > 1 else 'a tag breaks'} {NAMES[scheme]} and "
            f"{'were' if len(broken) > 1 else 'was'} read as conlleval does, as if a segment began "
            f"or ended there: {'; '.join(broken[:_SHOWN])}{'; …' if len(broken) > _SHOWN else '.'}"
        )
    return found


_SHOWN = 3
