"""Thinning of many pictures at once to lines one pixel wide."""

from typing import Any

import numpy as np

__all__ = ["Mask", "thin"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def thin(pictures: Mask) -> Mask:
    """The middle lines of the ink in pictures (N, rows, columns), connected as the ink is.

    After Guo and Hall (1989), "Parallel thinning with two-subiteration algorithms": in two halves
    of a round by turns, border pixels go whose neighbours stay connected without them and which
    are no ends of lines, until none goes.
    """
    ink = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    active = np.arange(len(ink))
    while len(active):
        changed = np.zeros(len(active), dtype=bool)
        for half in (0, 1):
            part = ink[active]
            gone = _removable(part, half)
            part[:, 1:-1, 1:-1] &= ~gone
            ink[active] = part
            changed |= gone.any(axis=(1, 2))
        active = active[changed]
    return ink[:, 1:-1, 1:-1]


def _removable(ink: Mask, half: int) -> Mask:
    """The pixels to take away in one half of a round, without the border of `ink`."""
    rows, columns = ink.shape[1] - 2, ink.shape[2] - 2
    ring = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))  # from the top, on
    n, ne, e, se, s, sw, w, nw = (ink[:, r : r + rows, c : c + columns] for r, c in ring)
    groups = _count(~n & (ne | e), ~e & (se | s), ~s & (sw | w), ~w & (nw | n))
    pairs = np.minimum(
        _count(nw | n, ne | e, se | s, sw | w), _count(n | ne, e | se, s | sw, w | nw)
    )
    kept = ((s | sw | ~nw) & w) if half else ((n | ne | ~se) & e)
    removable: Mask = ink[:, 1:-1, 1:-1] & (groups == 1) & (pairs >= 2) & (pairs <= 3) & ~kept
    return removable


def _count(*masks: Mask) -> np.ndarray[Any, np.dtype[np.int8]]:
    return sum((mask.astype(np.int8) for mask in masks[1:]), masks[0].astype(np.int8))
