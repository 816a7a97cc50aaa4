"""Lines one pixel wide as a graph, and walks along all of it."""

import math
from itertools import pairwise

__all__ = ["LineGraph", "Pixel"]

Pixel = tuple[int, int]
"""Row and column."""

_SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))

_MEMORY = 5
"""Pixels back from which a walk's direction is taken where lines cross."""


class LineGraph:
    """Pixels and the edges between neighbours.

    A diagonal is an edge only where no pixel beside it joins the two already, so a line's pixels
    have two edges, its ends one, and crossings three or more.
    """

    def __init__(self, pixels: set[Pixel]) -> None:
        self.edges: dict[Pixel, list[Pixel]] = {p: _neighbours(p, pixels) for p in pixels}

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
        walks = [[pixel] for pixel, others in self.edges.items() if not others]
        order = sorted(self.edges, key=lambda p: (p[0] + p[1], p))
        while True:
            open_ = [p for p in order if self.edges[p]]
            if not open_:
                break
            ends = [p for p in open_ if len(self.edges[p]) % 2]
            walks.append(self._walk(min(ends or open_, key=lambda p: len(self.edges[p]) != 1)))
        return sorted(walks, key=lambda walk: sum(walk[0]))

    def _walk(self, start: Pixel) -> list[Pixel]:
        walk = [start]
        while onward := self.edges[walk[-1]]:
            step = min(onward, key=lambda p: _bend(walk, p)) if len(onward) > 1 else onward[0]
            self._cut(walk[-1], step)
            walk.append(step)
        return walk


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
    here, back = walk[-1], walk[max(len(walk) - _MEMORY, 0)]
    before = (here[0] - back[0], here[1] - back[1]) if len(walk) > 1 else (0, 1)
    after = (onward[0] - here[0], onward[1] - here[1])
    cross = before[0] * after[1] - before[1] * after[0]
    return abs(math.atan2(cross, before[0] * after[0] + before[1] * after[1]))
