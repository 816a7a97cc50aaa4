"""Graph to loop to schedule, one pass a file; `lower` is the order they run in."""

from dataclasses import dataclass, replace

from weft.ir import Graph, Loop, Schedule
from weft.passes.derive import derive
from weft.passes.fuse import fuse
from weft.passes.gates import gates
from weft.passes.hoist import hoist
from weft.passes.merge import Affine, find_affine, merge
from weft.passes.phases import phases
from weft.passes.stash import stash

__all__ = [
    "Affine",
    "Lowered",
    "derive",
    "find_affine",
    "fuse",
    "gates",
    "hoist",
    "lower",
    "merge",
    "phases",
    "stash",
]


@dataclass(frozen=True)
class Lowered:
    """A cell ready for an engine: its loops, each with its phases.

    `inference` keeps nothing, `forward` what `backward` needs; `merged inference` and
    `merged forward` are the same with their `affine` outside values computed inside.
    """

    loops: dict[str, Loop]
    schedules: dict[str, Schedule]
    affine: tuple[Affine, ...]


def lower(graph: Graph) -> Lowered:
    """gates, hoist, derive, stash, merge, phases: from a cell's graph to what an engine emits."""
    loop = hoist(gates(graph))
    forward, backward = stash(loop, derive(loop))
    outside, affine = find_affine(loop.outside, backward)
    loop, forward, backward = (replace(x, outside=outside) for x in (loop, forward, backward))
    loops = {"inference": loop, "forward": forward, "backward": backward}
    if affine:
        loops |= {f"merged {name}": merge(loops[name], affine) for name in ("inference", "forward")}
    return Lowered(loops, {name: phases(each) for name, each in loops.items()}, affine)
