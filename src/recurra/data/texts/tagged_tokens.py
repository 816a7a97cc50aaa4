"""Tokens as they are given, with a tag of each in every layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recurra.errors import DataError

__all__ = ["TaggedTokens"]


@dataclass(frozen=True)
class TaggedTokens:
    """Tokens of one sequence, and by layer as many tags; no layer where they aren't known.

    DataError for no token, an empty one, and for another number of tags.

    >>> TaggedTokens(("Ann", "sings"), {"upos": ("PROPN", "VERB")}).text
    'Ann sings'
    """

    tokens: tuple[str, ...]
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tokens:
            raise DataError("has no token; leave it out.")
        for number, token in enumerate(self.tokens, start=1):
            if not token.strip():
                raise DataError(f"its token {number} is {token!r}; each has a letter or a sign.")
        for layer, tags in self.tags.items():
            if len(tags) != len(self.tokens):
                raise DataError(
                    f"has {len(self.tokens):,} tokens and {len(tags):,} tags ({layer}); give a "
                    "tag for each token."
                )

    @property
    def text(self) -> str:
        """The tokens with spaces between them."""
        return " ".join(self.tokens)
