"""The prefixes of a beam search as a tree, in which each sequence of tokens is one node."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

__all__ = ["Prefix", "forget_others"]


@dataclass(eq=False, slots=True)
class Prefix:
    """A sequence of tokens: `parent` with `token` more.

    `language` is the unweighted score of a language model, `worth` all that ranks the prefix beside
    its acoustic score; `state` and `word_state` belong to the scorer and the lexicon.
    """

    parent: Optional["Prefix"]
    token: int
    length: int
    language: float
    worth: float
    state: Any
    word_state: Any
    children: dict[int, "Prefix"] = field(default_factory=dict)

    def tokens(self) -> tuple[int, ...]:
        """The tokens from the first to the last."""
        found, node = [], self
        while node.parent is not None:
            found.append(node.token)
            node = node.parent
        return tuple(reversed(found))


def forget_others(prefixes: Sequence[Prefix]) -> None:
    """Drops every prefix that is neither one of these nor the beginning of one."""
    needed: dict[int, Prefix] = {}
    for prefix in prefixes:
        node: Prefix | None = prefix
        while node is not None and id(node) not in needed:
            needed[id(node)] = node
            node = node.parent
    for node in needed.values():
        node.children = {t: child for t, child in node.children.items() if id(child) in needed}
