"""Items that can't be used: named and counted, and too many of them end the work."""

import re
from collections import Counter
from collections.abc import Sequence

from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import ConfigError, DataError

__all__ = ["BadItems", "usable"]

_SHOWN = 5


class BadItems:
    """Collects what is wrong with single items, so that a bad file of a thousand ends nothing.

    share: of all items, from 0 (none) to 1 (any number), that may be bad.

    >>> bad = BadItems(share=0.5)
    >>> bad.note("a.wav", DataError("a.wav: is empty (0 bytes)."))
    >>> bad.check(2)
    >>> print(bad)
    1 item can't be used: a.wav: is empty (0 bytes).
    """

    def __init__(self, share: float = 0.1) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f"share = {share:g} of bad items; it is a share from 0 to 1.")
        self.share = share
        self._messages: dict[str, tuple[str, str]] = {}

    def note(self, name: str, error: Exception | str, *, reason: str = "") -> None:
        """Keep an item's first error; `reason` groups it, by default what all its like say."""
        message = str(error)
        self._messages.setdefault(name, (message, reason or _reason(message)))

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, name: object) -> bool:
        return name in self._messages

    @property
    def messages(self) -> dict[str, str]:
        """The error of each item, by name, in the order they were noted."""
        return {name: message for name, (message, _) in self._messages.items()}

    @property
    def reasons(self) -> dict[str, int]:
        """The number of items for each reason, most frequent first."""
        return dict(Counter(reason for _, reason in self._messages.values()).most_common())

    def check(self, total: int) -> None:
        """DataError where more than the share of `total` items, bad ones included, is bad."""
        if len(self) > self.share * total or (total and len(self) == total):
            allowed = f"more than {100 * self.share:g} % of" if self.share < 1 else "all of"
            raise DataError(f"{self._counted(total)}, {allowed} the data. {self._listed()}")

    def __str__(self) -> str:
        """A sentence for the user: how many, the first five by name, the rest by reason."""
        return f"{self._counted()}: {self._listed()}" if self else "No item is bad."

    def _counted(self, total: int | None = None) -> str:
        of = f" of {total:,}" if total is not None else ""
        return f"{len(self):,}{of} item{'' if (total or len(self)) == 1 else 's'} can't be used"

    def _listed(self) -> str:
        messages = list(self._messages.items())
        shown = [m if m.startswith(name) else f"{name}: {m}" for name, (m, _) in messages[:_SHOWN]]
        rest = Counter(reason for _, (_, reason) in messages[_SHOWN:]).most_common()
        if rest:
            counted = "; ".join(f"{reason}: {count:,}" for reason, count in rest)
            shown.append(f"And {sum(count for _, count in rest):,} more ({counted}).")
        return " ".join(shown)


def usable(found: Sequence[Item | UnusableItem], bad: BadItems | None) -> list[Item]:
    """The items that can be used; `bad` collects the others.

    Raises DataError: without `bad`, for the first that can't be used; with it, for more of them
    than its share.
    """
    for each in found:
        if isinstance(each, UnusableItem):
            if bad is None:
                raise DataError(each.message)
            bad.note(each.origin, each.message, reason=each.reason)
    if bad is not None:
        bad.check(len(found))
    return [each for each in found if isinstance(each, Item)]


def _reason(message: str) -> str:
    """What a message says of many items: without names, numbers, quotations and the remedy."""
    start = re.search(r":\s(?!.*:\s)", re.split(r"[;(]", message)[0])
    said = re.split(r"[;(]", message[start.end() :] if start else message)[0]
    said = re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d,.]*\d|\d", "…", said)
    return said.strip(" .,") or message
