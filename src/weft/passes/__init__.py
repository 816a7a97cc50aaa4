"""Graph to loop to schedule, one pass a file; `lower` is the order they run in."""

from dataclasses import dataclass

from weft.ir import Graph, Loop, Schedule
from weft.passes.derive import derive
from weft.passes.gates import gates
from weft.passes.hoist import hoist
from weft.passes.phases import phases
from weft.passes.stash import stash

__all__ = ["Lowered", "derive", "gates", "hoist", "lower", "phases", "stash"]


@dataclass(frozen=True)
class Lowered:
    """A cell ready for an engine: its loops, each with its phases.

    `inference` keeps nothing, `forward` what `backward` needs.
    """

    inference: Loop
    forward: Loop
    backward: Loop
    schedules: dict[str, Schedule]


def lower(graph: Graph) -> Lowered:
    """gates, hoist, derive, stash, phases: from a cell's graph to what an engine emits."""
    loop = hoist(gates(graph))
    forward, backward = stash(loop, derive(loop))
    loops = {"inference": loop, "forward": forward, "backward": backward}
    return Lowered(**loops, schedules={name: phases(each) for name, each in loops.items()})
