"""Graph to loop to schedule, one pass a file; `lower` is the order they run in."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from recurra import settings
from recurra.ir import Graph, Loop, Schedule
from recurra.passes.derive import clip, derive
from recurra.passes.hoist import hoist
from recurra.passes.phases import fuse, phases
from recurra.passes.projections import Affine, find_affine, merge
from recurra.passes.simplify import gates, norms, simplify, simplify_loop
from recurra.passes.stash import stash
from recurra.passes.verify import VERIFIERS

__all__ = [
    "Affine",
    "Lowered",
    "clip",
    "derive",
    "find_affine",
    "fuse",
    "gates",
    "hoist",
    "lower",
    "merge",
    "norms",
    "phases",
    "simplify",
    "simplify_loop",
    "stash",
]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Lowered:
    """A cell ready for an engine: its loops, each with its phases.

    `inference` keeps nothing, `forward` what `backward` needs; `merged inference` and
    `merged forward` are the same with their `affine` loop inputs computed inside, `clipped
    backward` limits the gradient at each step.
    """

    loops: dict[str, Loop]
    schedules: Mapping[str, Schedule]
    affine: tuple[Affine, ...]


class _Schedules(Mapping[str, Schedule]):
    """The phases of each loop, found when they are asked for: few cells need all."""

    def __init__(self, loops: Mapping[str, Loop]) -> None:
        self.loops = loops
        self.known: dict[str, Schedule] = {}

    def __getitem__(self, name: str) -> Schedule:
        if name not in self.known:
            self.known[name] = _run(phases, self.loops[name])
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.loops)

    def __len__(self) -> int:
        return len(self.loops)


def lower(graph: Graph) -> Lowered:
    """From a cell's graph to what an engine emits. With RECURRA_DEBUG=3 every pass is verified."""
    loop = _run(hoist, _run(simplify, _run(gates, _run(norms, graph))))
    forward, backward = _run(stash, loop, _run(derive, loop))
    backward = _run(simplify_loop, backward)
    inputs, affine = find_affine(loop.inputs, graph.params)
    loop, forward, backward = (replace(x, inputs=inputs) for x in (loop, forward, backward))
    loops = {"inference": loop, "forward": forward, "backward": backward}
    loops["clipped backward"] = _run(clip, backward)
    if affine:
        for name in ("inference", "forward"):
            loops[f"merged {name}"] = _run(merge, loops[name], affine)
    return Lowered(loops, _Schedules(loops), affine)


def _run(
    each: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """One pass, held to its promise where RECURRA_DEBUG asks for it."""
    found = each(*args, **kwargs)
    if settings.debug_level() >= 3:
        VERIFIERS[each.__name__](*args, found)
    return found
