"""Texts of more tokens than a model takes: left out in training, cut or refused in prediction."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from recurra.data.pairs.text_pair import Pairs, TextPair
from recurra.errors import DataError

__all__ = ["fit_source", "without_long"]

_REASON = "is too long"


def without_long(
    pairs: Pairs,
    longest: tuple[int, int],
    source_length: Callable[[str], int],
    target_length: Callable[[str], int] | None = None,
) -> Pairs:
    """The pairs whose sources have at most `longest[0]` tokens, and some target `longest[1]`.

    Of several targets those within the limit are kept. Both lengths are counts of tokens of a text,
    and without the second the first counts both. Pairs that are left out are noted in `pairs.bad`.
    DataError where those exceed its share.

    >>> pairs = Pairs((TextPair("a b", ("x y z", "x")), TextPair("c", ("z",))))
    >>> [pair.targets for pair in without_long(pairs, (2, 2), lambda text: len(text.split()))]
    [('x',), ('z',)]
    """
    kept, total = [], len(pairs) + len(pairs.bad)
    for pair in pairs:
        lengths = [(target_length or source_length)(target) for target in pair.targets]
        of_source = source_length(pair.source)
        if of_source > longest[0]:
            _note(pairs, pair, f"source {_shown(pair.source)}", of_source, longest[0])
        elif min(lengths) > longest[1]:
            shortest = pair.targets[lengths.index(min(lengths))]
            _note(pairs, pair, f"target {_shown(shortest)}", min(lengths), longest[1])
        else:
            kept.append(_short(pair, lengths, longest[1]))
    pairs.bad.check(total)
    return replace(pairs, pairs=tuple(kept))


def fit_source(tokens: Sequence[str], longest: int, origin: str, *, cut: bool) -> list[str]:
    """The tokens of a source, of which only `longest` are kept where it may be cut.

    DataError for a longer one that may not.

    >>> fit_source(["a", "b", "c"], 2, "line 1", cut=True)
    ['a', 'b']
    """
    if len(tokens) > longest and not cut:
        raise DataError(
            f"{origin}: has {len(tokens):,} tokens, and the longest source may have {longest:,}; "
            "split it into sentences, or allow it to be cut."
        )
    return list(tokens[:longest])


def _note(pairs: Pairs, pair: TextPair, text: str, length: int, longest: int) -> None:
    tokens = f"{length:,} token{'' if length == 1 else 's'}"
    message = (
        f"{pair.origin}: its {text} has {tokens}, more than the longest may have ({longest:,})."
    )
    pairs.bad.note(pair.origin or text, message, reason=_REASON)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _short(pair: TextPair, lengths: Sequence[int], longest: int) -> TextPair:
    if max(lengths) <= longest:
        return pair
    kept = zip(pair.targets, lengths, strict=True)
    return replace(pair, targets=tuple(text for text, length in kept if length <= longest))
