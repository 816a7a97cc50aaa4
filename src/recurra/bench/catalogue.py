"""The suites, each with its grid; light to import, since `--help` lists them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

__all__ = [
    "CELL",
    "LAYERS",
    "RECURRA",
    "SUITES",
    "TORCH",
    "WITH",
    "WITHOUT",
    "Ratio",
    "SizeGrid",
    "Suite",
]

LAYERS = ("LSTM", "GRU", "RNN")
TORCH, CELL, RECURRA = "torch.nn", "torch's cell", "Recurra"
WITH, WITHOUT = "with", "without"


@dataclass(frozen=True)
class SizeGrid:
    """Batch sizes B, lengths T and sizes I = H; a suite measures every combination."""

    batches: tuple[int, ...]
    steps: tuple[int, ...]
    sizes: tuple[int, ...]

    def points(self) -> Iterator[tuple[int, int, int]]:
        """Every (B, T, H)."""
        return product(self.batches, self.steps, self.sizes)


@dataclass(frozen=True)
class Ratio:
    """The quotient of `theirs` and `ours`; above 1 is good.

    A cost is shown as the excess of `theirs` over `ours` in percent: there 1 is good.
    """

    label: str
    theirs: str
    ours: str
    is_cost: bool = False


FASTER = Ratio("faster", TORCH, RECURRA)
COST = Ratio("cost", WITH, WITHOUT, is_cost=True)
SIZES = (64, 128, 256, 512)
WHOLE, BRIEF = SizeGrid((8, 32, 64), (64, 256), SIZES), SizeGrid((8, 64), (64,), (64, 256))


@dataclass(frozen=True)
class Suite:
    """A set of measurements, of some layers over a grid.

    `unit` is the unit of a measurement, "seconds" or "bytes"; `has_share` says whether the share of
    the processor's peak is meaningful for it.
    """

    name: str
    summary: str
    layers: tuple[str, ...]
    brief: SizeGrid
    full: SizeGrid
    ratios: tuple[Ratio, ...] = (FASTER,)
    unit: str = "seconds"
    has_share: bool = True

    @property
    def is_of_costs(self) -> bool:
        """True if it measures costs, each by itself: a mean over them would be meaningless."""
        return any(ratio.is_cost for ratio in self.ratios)


_ALL = (
    Suite("layers", "training step and forward pass, against torch.nn", LAYERS, BRIEF, WHOLE),
    Suite("packed", "the same of packed ragged sequences", ("LSTM",), BRIEF, WHOLE),
    Suite(
        "own",
        "a user's LSTM with peepholes, against a loop of torch operations",
        ("LSTM",),
        BRIEF,
        WHOLE,
        ratios=(
            Ratio("faster", "eager loop", RECURRA),
            Ratio("to LSTM", "Recurra LSTM", RECURRA),
        ),
    ),
    Suite(
        "inference",
        "forward pass of a single long sequence",
        ("LSTM", "GRU"),
        SizeGrid((1,), (256,), (64, 256)),
        SizeGrid((1,), (256,), SIZES),
    ),
    Suite(
        "steps",
        "one step of an LSTM layer (B = T = 1), and cells called in a training loop",
        LAYERS,
        SizeGrid((1, 32), (64,), (64, 256)),
        SizeGrid((1, 32), (64,), SIZES),
    ),
    Suite(
        "stream",
        "the next step of a stream, or a chunk of 100, by a session",
        LAYERS,
        SizeGrid((1,), (1, 100), (64, 256)),
        SizeGrid((1, 32), (1, 100), SIZES),
        ratios=(FASTER, Ratio("to the cell", CELL, RECURRA)),
    ),
    Suite(
        "remedies",
        "the cost of each remedy, against a training step of the layer without it",
        ("LSTM", "GRU"),
        SizeGrid((32,), (128,), (64, 256)),
        SizeGrid((32,), (128,), SIZES),
        ratios=(COST,),
        has_share=False,
    ),
    Suite(
        "memory",
        "peak memory of a training step, each in a process of its own",
        LAYERS,
        SizeGrid((32,), (64,), (256,)),
        SizeGrid((64,), (64, 256), (64, 512)),
        ratios=(Ratio("smaller", TORCH, RECURRA),),
        unit="bytes",
        has_share=False,
    ),
    Suite(
        "compile",
        "time to the first result, compiled and from the cache",
        LAYERS,
        SizeGrid((1,), (1,), (256,)),
        SizeGrid((1,), (1,), SIZES),
        ratios=(),
        has_share=False,
    ),
)
SUITES = {suite.name: suite for suite in _ALL}
