"""Lines one pixel wide as a graph, and walks along all of it."""

import math
from itertools import pairwise

__all__ = ["LineGraph", "Pixel"]

Pixel = tuple[int, int]
"""Row and column."""

_SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))

_MEMORY = 6
"""Pixels back from which a walk's direction is taken where lines cross."""

_BRIDGE = 6
"""Pixels that two lines may share where they cross, and both go on straight."""

_STRAIGHT = math.radians(50)
"""The largest turn of a line that goes on over a bridge."""


class LineGraph:
    """Pixels and the edges between neighbours.

    A diagonal is an edge only where no pixel beside it joins the two already, so a line's pixels
    have two edges, its ends one, and crossings three or more.
    """

    def __init__(self, pixels: set[Pixel]) -> None:
        self.edges: dict[Pixel, list[Pixel]] = {p: _neighbours(p, pixels) for p in pixels}
        self._whole: dict[Pixel, list[Pixel]] = {}

    def prune(self, shortest: float) -> None:
        """Cut off branches from an end to a crossing that have fewer pixels than that."""
        for end in sorted(p for p, others in self.edges.items() if len(others) == 1):
            branch = self._branch(end)
            if len(branch) <= shortest and len(self.edges[branch[-1]]) > 2:
                for a, b in pairwise(branch):
                    self._cut(a, b)
                for pixel in branch[:-1]:
                    del self.edges[pixel]

    def _branch(self, end: Pixel) -> list[Pixel]:
        """The pixels from an end to the next crossing or end, both included."""
        branch = [end]
        while len(branch) == 1 or len(self.edges[branch[-1]]) == 2:
            onward = [p for p in self.edges[branch[-1]] if p not in branch[-2:]]
            if not onward:
                break
            branch.append(onward[0])
        return branch

    def _cut(self, a: Pixel, b: Pixel) -> None:
        self.edges[a].remove(b)
        self.edges[b].remove(a)

    def walks(self) -> list[list[Pixel]]:
        """Walks over every edge once, from the topmost left end each; alone, a pixel is a walk.

        Takes the edges away. A ring without ends starts at its topmost left pixel.
        """
        self._whole = {pixel: list(others) for pixel, others in self.edges.items()}
        walks = [[pixel] for pixel, others in self.edges.items() if not others]
        order = sorted(self.edges, key=lambda p: (p[0] + p[1], p))
        while True:
            open_ = [p for p in order if self.edges[p]]
            if not open_:
                break
            walks.append(self._walk(min(open_, key=self._rank)))
        strokes = [walk for walk in walks if not self._is_remnant(walk)] or walks
        return sorted(strokes, key=lambda walk: sum(walk[0]))

    def _rank(self, pixel: Pixel) -> tuple[bool, bool]:
        """The order of starts: ends of lines, then of what is left of them, then any."""
        return len(self._whole[pixel]) != 1, len(self.edges[pixel]) % 2 == 0

    def _is_remnant(self, walk: list[Pixel]) -> bool:
        """Whether a walk is what two lines have left of the place where they cross."""
        inside = all(len(self._whole[pixel]) > 2 for pixel in (walk[0], walk[-1]))
        return 1 < len(walk) <= _BRIDGE and inside

    def _walk(self, start: Pixel) -> list[Pixel]:
        walk = [start]
        while onward := self.edges[walk[-1]] or self._crossed(walk):
            step = min(onward, key=lambda p: _bend(walk, p)) if len(onward) > 1 else onward[0]
            self._cut(walk[-1], step)
            walk.append(step)
        return walk

    def _crossed(self, walk: list[Pixel]) -> list[Pixel]:
        """Take a walk over a bridge that another has used, if a line goes straight on after it.

        Gives the pixels after the bridge, none where there is no such line.
        """
        here, paths = walk[-1], [[walk[-1]]]
        for _ in range(_BRIDGE):
            paths = [
                [*p, q] for p in paths for q in self._whole[p[-1]] if q not in {*p, *walk[-2:]}
            ]
            for path in paths:
                ahead = self._ahead(path[-1])
                if ahead and len(walk) > 1 and _turn(_back(walk), here, ahead) < _STRAIGHT:
                    walk += path[1:]
                    return self.edges[walk[-1]]
        return []

    def _ahead(self, pixel: Pixel) -> Pixel | None:
        """Where an unused line from a pixel leads after a few steps; None without one."""
        before, here = pixel, next(iter(self.edges[pixel]), None)
        for _ in range(_MEMORY):
            onward = [p for p in self.edges[here] if p != before] if here else []
            if here is None or len(onward) != 1:
                break
            before, here = here, onward[0]
        return here


def _back(walk: list[Pixel]) -> Pixel:
    return walk[max(len(walk) - _MEMORY, 0)]


def _turn(before: Pixel, here: Pixel, after: Pixel) -> float:
    """The angle by which a way over three pixels turns, 0 to pi."""
    a = (here[0] - before[0], here[1] - before[1])
    b = (after[0] - here[0], after[1] - here[1])
    return abs(math.atan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1]))


def _neighbours(pixel: Pixel, pixels: set[Pixel]) -> list[Pixel]:
    row, column = pixel
    found = [(row + r, column + c) for r, c in _SIDES if (row + r, column + c) in pixels]
    for r, c in _CORNERS:
        joined = (row + r, column) in pixels or (row, column + c) in pixels
        if not joined and (row + r, column + c) in pixels:
            found.append((row + r, column + c))
    return found


def _bend(walk: list[Pixel], onward: Pixel) -> float:
    """The angle by which a walk turns if it goes on to that pixel; at its start, prefers right."""
    here = walk[-1]
    return _turn(_back(walk) if len(walk) > 1 else (here[0], here[1] - 1), here, onward)
