"""Jacobians of a layer's step along the states that real inputs drive it through."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from recurra.errors import InsightError
from recurra.insight.recorded_model import eager, record
from recurra.nn.observe.recording import LayerRun

__all__ = [
    "LayerDynamics",
    "Spectrum",
    "dynamics_of",
    "jacobians",
    "spectrum_of",
    "spread_over",
    "step_jacobians",
]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lyapunov exponents of driven dynamics.

    Attributes:
        exponents: (K,), per step, in nats, the largest first; -inf where a direction is forgotten
            in one step.
        steps: the number of steps they were taken over.
        size: the number of directions, S; K of them were followed.
    """

    exponents: Tensor
    steps: int
    size: int

    @property
    def largest(self) -> float:
        """The largest exponent: above 0 small changes grow, which is chaos."""
        return float(self.exponents[0])

    @property
    def dimension(self) -> float:
        """The Kaplan-Yorke dimension of the attractor; NaN where more exponents are needed."""
        sums = self.exponents.cumsum(0)
        negative = (sums < 0).nonzero().flatten()
        if not len(negative):
            return float(self.size) if len(sums) == self.size else math.nan
        k = int(negative[0])
        rest = float(sums[k - 1]) if k else 0.0
        return k + rest / abs(float(self.exponents[k]))


def spectrum_of(
    jacobians: Iterable[Tensor], exponents: int | None, warmup: int, layer: str
) -> Spectrum:
    """Compute the exponents of a product of Jacobians (S, S), given one after another.

    Raises InsightError where no step is left after `warmup`.
    """
    frame = total = torch.empty(0)
    steps = -warmup
    for jacobian in jacobians:
        if not frame.numel():
            size = len(jacobian)
            frame = torch.eye(size, exponents or size, dtype=jacobian.dtype)
            total = torch.zeros(frame.shape[1], dtype=jacobian.dtype)
        frame, stretched = torch.linalg.qr(jacobian @ frame)
        steps += 1
        if steps > 0:
            total = total + stretched.diagonal().abs().log()
    if steps < 1:
        raise InsightError(
            f"No step of {layer} is left for Lyapunov exponents: the row has {steps + warmup} and "
            f"{warmup} are left out; give longer sequences or warmup=0."
        )
    return Spectrum((total / steps).sort(descending=True).values, steps, len(frame))


ELEMENTS = 1 << 20
"""Jacobians are computed in groups of at most so many elements, which fit into a cache."""


@dataclass(frozen=True, eq=False)
class LayerDynamics:
    """The effect of one layer and direction on a small change of its states, step by step.

    Attributes:
        name: the layer.
        cell: its cell.
        rows: the R rows of the batch that were followed.
        times: (N,), the times of the Jacobians whose radius and norm were computed.
        radius: (R, N), the spectral radius of J_t = ds_t/ds_{t-1}; NaN after a row's end.
        norm: (R, N), its 2-norm: the largest factor of a small change of the states in one step.
        spectrum: the Lyapunov exponents, averaged over the rows.
    """

    name: str
    cell: str
    rows: tuple[int, ...]
    times: Tensor = field(repr=False)
    radius: Tensor = field(repr=False)
    norm: Tensor = field(repr=False)
    spectrum: Spectrum

    @property
    def mean_radius(self) -> float:
        """The spectral radius, averaged over time and rows."""
        return float(self.radius.nanmean())


@eager()
def jacobians(
    model: nn.Module,
    batch: Any,
    *,
    rows: Sequence[int] = (0,),
    samples: int | None = None,
    exponents: int | None = None,
    warmup: int = 0,
) -> tuple[LayerDynamics, ...]:
    """Compute Jacobians and Lyapunov exponents of each recurrent layer, driven by real inputs.

    J_t = ds_t/ds_{t-1} takes all states of the cell together. Computed in float64.

    Args:
        model: any module with recurrent layers of recurra.nn or torch.nn inside. It is left as it
            was.
        batch: as for `gradient_flow`.
        rows: the rows of the batch to follow.
        samples: the number of steps, evenly spaced, at which spectral radius and norm are computed;
            None for all.
        exponents: the number of Lyapunov exponents, the largest first; None for all state units.
        warmup: steps at the start that the exponents leave out.

    Raises:
        InsightError: no recurrent layer runs, or a row is not in the batch or too short.

    Example:
        >>> from recurra.nn import RNN
        >>> found = jacobians(RNN(3, 8), torch.randn(40, 2, 3))[0]
        >>> found.spectrum.largest < 0
        True
    """
    runs = record(model, batch).runs
    return tuple(
        dynamics_of(run, rows, samples=samples, exponents=exponents, warmup=warmup) for run in runs
    )


def dynamics_of(
    run: LayerRun,
    rows: Sequence[int],
    *,
    samples: int | None = None,
    exponents: int | None = None,
    warmup: int = 0,
) -> LayerDynamics:
    """Compute the dynamics of one recorded layer."""
    total, batch = run.active.shape
    for row in rows:
        if not 0 <= row < batch:
            raise InsightError(f"row = {row} is not in the batch of {batch} rows.")
    times = torch.tensor(spread_over(total, samples or total))
    radius = torch.full((len(rows), len(times)), torch.nan, dtype=torch.double)
    norm = radius.clone()
    spectra = []
    for index, row in enumerate(rows):
        measured = _JacobianNorms(
            {int(t): n for n, t in enumerate(times)}, radius[index], norm[index]
        )
        stream = measured.watch(step_jacobians(run, row))
        spectra.append(spectrum_of((j for _, j in stream), exponents, warmup, run.name))
    mean = torch.stack([s.exponents for s in spectra]).mean(0)
    spectrum = Spectrum(mean, min(s.steps for s in spectra), spectra[0].size)
    return LayerDynamics(run.name, run.graph.cell, tuple(rows), times, radius, norm, spectrum)


def spread_over(total: int, most: int) -> list[int]:
    """At most `most` places of `total`, evenly spaced.

    >>> spread_over(10, 4), spread_over(2, 4)
    ([0, 3, 6, 9], [0, 1])
    """
    count = min(total, most)
    return torch.linspace(0, total - 1, count, dtype=torch.double).round().long().tolist()


@dataclass(frozen=True)
class _JacobianNorms:
    """Computes radius and norm of the Jacobians that pass, at the requested times."""

    places: dict[int, int]
    radius: Tensor
    norm: Tensor

    def watch(self, stream: Iterator[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
        for time, jacobian in stream:
            place = self.places.get(time)
            if place is not None:
                self.radius[place] = _radius(jacobian)
                self.norm[place] = torch.linalg.matrix_norm(jacobian, 2)
            yield time, jacobian


def _radius(jacobian: Tensor) -> Tensor:
    """The largest magnitude of an eigenvalue; NaN where LAPACK finds none."""
    radius = torch.tensor(torch.nan, dtype=jacobian.dtype)
    with contextlib.suppress(RuntimeError):  # of which LAPACK's error is one
        radius = torch.linalg.eigvals(jacobian).abs().max()
    return radius


def step_jacobians(run: LayerRun, row: int) -> Iterator[tuple[int, Tensor]]:
    """Yield times with J_t (S, S) of one row, in the order in which the layer runs.

    Steps after the row's end are left out, and those that begin a segment, which forget all.
    """
    taken = run.active[:, row] & ~run.begins[:, row]
    times = [t for t in run.order if bool(taken[t])]
    sizes = [s.shape[-1] for s in run.before[0]]
    given = [name for name, _ in run.graph.givens]
    params = {name: value.double() for name, value in run.params.items()}

    def step(states: Tensor, x: Tensor, masks: dict[str, Tensor]) -> Tensor:
        return torch.cat(run.cell.step(x, torch.split(states, sizes), params | masks))

    group = max(1, ELEMENTS // sum(sizes) ** 2)
    for first in range(0, len(times), group):
        some = times[first : first + group]
        states = torch.stack([torch.cat([s[row].detach() for s in run.before[t]]) for t in some])
        masks = {name: params[name][some, row] for name in given}
        found = vmap(jacrev(step))(states.double(), run.inputs[some, row].double(), masks)
        yield from zip(some, found.detach(), strict=True)
