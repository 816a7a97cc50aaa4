"""Texts with a tag for each token: files, tables, and lists in memory."""

from __future__ import annotations

from typing import Any

from recurra.config.sequence_config import SequenceConfig
from recurra.data.texts.tagged_lists import are_tokens, listed_tokens
from recurra.data.transcripts.bad_items import BadItems
from recurra.tasks.inputs.collection import Listed

__all__ = ["holds_tokens", "tagged_items"]


def holds_tokens(data: Any, kind: str) -> bool:
    """Whether data whose `kind` the settings name, or "auto", are tokens with tags."""
    if kind not in ("auto", "text"):
        return False
    first = data[0] if isinstance(data, (list, tuple)) and len(data) else data
    return kind == "text" or are_tokens(first)


def tagged_items(
    config: SequenceConfig,
    data: Any,
    where: str | None,
    bad: BadItems | None,
    *,
    labels: bool,
) -> Listed:
    """The items of a source of tokens, each with its tags where `labels` is true."""
    return Listed(listed_tokens(data, labels=labels, bad=bad))
