"""Suites chosen and measured; their results with shares of the peak, as JSON and as a picture."""

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.bench.catalogue import RECURRA, SUITES, SizeGrid, Suite
from recurra.bench.layer_suites import inference, layers, own, packed, remedies, steps
from recurra.bench.measurement import PointResult, SuitePlan, peak
from recurra.bench.process_suites import compiling, memory
from recurra.bench.stream_suites import streams
from recurra.errors import ConfigError
from recurra.plots import FORMATS, CostBars, RatioBars, plot_bars, require_matplotlib

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = [
    "SuiteResult",
    "Summary",
    "as_json",
    "check_plot",
    "chosen_suites",
    "geometric_mean",
    "measure_suite",
    "picture",
]


@dataclass(frozen=True)
class Summary:
    """Geometric means and minima over the points of a layer's work, by the label of the ratio."""

    layer: str
    work: str
    means: Mapping[str, float]
    minima: Mapping[str, float]
    share: float | None


@dataclass(frozen=True)
class SuiteResult:
    """A suite measured, between two measurements of the peak, in operations a second."""

    suite: Suite
    grid: SizeGrid
    points: Sequence[PointResult]
    peak_before: float
    peak_after: float

    def share(self, point: PointResult, contender: str = RECURRA) -> float | None:
        """The share that a contender reached of the peak, the higher one of the two."""
        if point.operations is None or not self.suite.has_share:
            return None
        peak = max(self.peak_before, self.peak_after)
        return point.operations / point.spreads[contender].median / peak

    def groups(self) -> dict[tuple[str, str], list[PointResult]]:
        """The results of each layer and work, in the order measured."""
        groups: dict[tuple[str, str], list[PointResult]] = {}
        for result in self.points:
            groups.setdefault((result.point.layer, result.point.work), []).append(result)
        return groups

    def summaries(self) -> list[Summary]:
        """A summary of each group."""
        return [self._summary(*key, points) for key, points in self.groups().items()]

    def _summary(self, layer: str, work: str, points: Sequence[PointResult]) -> Summary:
        ratios = {r.label: [point.ratio(r) for point in points] for r in self.suite.ratios}
        shares = [share for point in points if (share := self.share(point)) is not None]
        return Summary(
            layer,
            work,
            means={label: geometric_mean(values) for label, values in ratios.items()},
            minima={label: min(values) for label, values in ratios.items()},
            share=geometric_mean(shares) if shares else None,
        )


def geometric_mean(values: Iterable[float]) -> float:
    """The mean for ratios: twice as fast and half as fast give 1.

    Example:
        >>> geometric_mean([2.0, 0.5])
        1.0
    """
    return math.exp(statistics.fmean(map(math.log, values)))


_SOURCES: dict[str, Callable[[SuitePlan], Iterator[PointResult]]] = {
    "layers": layers,
    "packed": packed,
    "own": own,
    "inference": inference,
    "steps": steps,
    "stream": streams,
    "remedies": remedies,
    "memory": memory,
    "compile": compiling,
}


def chosen_suites(names: Sequence[str], layers: Sequence[str]) -> list[tuple[Suite, list[str]]]:
    """Choose suites by name, each with those of `layers` that it measures, or all without layers.

    `all` chooses every suite that measures one of the layers. Raises ConfigError for a suite that
    measures none of them.
    """
    if "all" in names:
        return [(s, found) for s in SUITES.values() if (found := _layers(s, layers))]
    suites = [SUITES[name] for name in dict.fromkeys(names)]
    for suite in suites:
        if not _layers(suite, layers):
            raise ConfigError(
                f"The suite {suite.name} does not measure {', '.join(layers)}; "
                f"it measures {', '.join(suite.layers)}."
            )
    return [(suite, _layers(suite, layers)) for suite in suites]


def _layers(suite: Suite, layers: Sequence[str]) -> list[str]:
    return [layer for layer in suite.layers if not layers or layer in layers]


def measure_suite(
    suite: Suite, plan: SuitePlan, each: Callable[[PointResult], None]
) -> SuiteResult:
    """Measure a suite; `each` is called with the result at every point, as it is measured.

    Raises ConfigError for the suite memory on other systems than Linux.
    """
    if suite.name == "memory" and not Path("/proc/self/clear_refs").exists():
        raise ConfigError(
            "The suite memory reads Linux's /proc, which is missing here; leave it out."
        )
    before = peak()
    found = []
    for result in _SOURCES[suite.name](plan):
        found.append(result)
        each(result)
    return SuiteResult(suite, plan.grid, found, before, peak())


def as_json(
    machine: Mapping[str, object], options: Mapping[str, object], results: Sequence[SuiteResult]
) -> str:
    """Every number that tables and picture show: the machine, the options, each suite by name."""
    document = {
        "machine": dict(machine),
        "options": dict(options),
        "suites": {result.suite.name: _suite_as_json(result) for result in results},
    }
    return json.dumps(document, indent=2) + "\n"


def _suite_as_json(result: SuiteResult) -> dict[str, Any]:
    return {
        "summary": result.suite.summary,
        "unit": result.suite.unit,
        "grid": dataclasses.asdict(result.grid),
        "peak_gflops": {
            "before": result.peak_before / 1e9,
            "after": result.peak_after / 1e9,
        },
        "points": [_point_as_json(result, point) for point in result.points],
        "layers": [dataclasses.asdict(summary) for summary in result.summaries()],
    }


def _point_as_json(result: SuiteResult, point: PointResult) -> dict[str, Any]:
    return {
        **dataclasses.asdict(point.point),
        "values": {name: dataclasses.asdict(spread) for name, spread in point.spreads.items()},
        "ratios": {ratio.label: point.ratio(ratio) for ratio in result.suite.ratios},
        "operations": point.operations,
        "share_of_peak": {name: result.share(point, name) for name in point.spreads},
    }


def check_plot(path: Path, suites: Sequence[Suite]) -> None:
    """Check that suites can be drawn into a file of that name.

    Raises ConfigError for an unknown format, or where no suite has a ratio; MissingExtra without
    matplotlib.
    """
    if not any(suite.ratios for suite in suites):
        names = ", ".join(suite.name for suite in suites)
        raise ConfigError(f"No ratio to draw in {names}; add the suite layers, or omit --plot.")
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: the name of a plot ends in {', '.join(FORMATS)}; rename it.")
    require_matplotlib()


def picture(results: Sequence[SuiteResult], caption: str) -> "Figure":
    """Draw a panel for each suite and layer, of the suites that have a ratio; at least one has.

    Bars are the ratio at each point; below, where the suite has it, bars are Recurra's share of the
    peak and marks the other contender's.
    """
    panels = [panel for result in results if result.suite.ratios for panel in _panels(result)]
    return plot_bars(panels, caption, "I = H")


def _panels(result: SuiteResult) -> list[RatioBars | CostBars]:
    by_layer: dict[str, dict[str, list[PointResult]]] = {}
    for (layer, work), points in result.groups().items():
        by_layer.setdefault(layer, {})[work] = points
    make = _cost_bars if result.suite.is_of_costs else _ratio_bars
    return [make(result, layer, works) for layer, works in by_layer.items()]


def _ratio_bars(
    result: SuiteResult, layer: str, works: Mapping[str, Sequence[PointResult]]
) -> RatioBars:
    ratio = result.suite.ratios[0]

    def shares(contender: str) -> dict[str, list[float]]:
        if not result.suite.has_share:
            return {}
        return {
            work: [100 * (result.share(point, contender) or 0) for point in points]
            for work, points in works.items()
        }

    points = [result.point for result in next(iter(works.values()))]
    return RatioBars(
        title=f"{result.suite.name}: {layer}, {ratio.ours} against {ratio.theirs}",
        unit=f"times {ratio.label}",
        points=[(f"B {point.batch}, T {point.steps}", str(point.size)) for point in points],
        ratios={work: [point.ratio(ratio) for point in some] for work, some in works.items()},
        shares=shares(RECURRA),
        rival_shares=shares(ratio.theirs),
        rival=ratio.theirs,
    )


def _cost_bars(
    result: SuiteResult, layer: str, remedies: Mapping[str, Sequence[PointResult]]
) -> CostBars:
    ratio = result.suite.ratios[0]
    costs: dict[str, list[float]] = {}
    for points in remedies.values():
        for found in points:
            point = found.point
            label = f"H {point.size} (B {point.batch}, T {point.steps})"
            costs.setdefault(label, []).append(100 * (found.ratio(ratio) - 1))
    title = f"{result.suite.name}: {layer}, cost in training"
    return CostBars(title, "% of a training step", list(remedies), costs)
