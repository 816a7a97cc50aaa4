"""A suite from its name to its rows, between two measurements of the peak."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from recurra.bench.catalogue import SUITES, Suite
from recurra.bench.layers import inference, layers, packed
from recurra.bench.own import own
from recurra.bench.peak import peak
from recurra.bench.processes import compiling, memory
from recurra.bench.remedies import remedies
from recurra.bench.results import Result, Row
from recurra.bench.steps import steps
from recurra.bench.work import Plan
from recurra.errors import ConfigError

__all__ = ["chosen", "measure"]

_SOURCES: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "layers": layers,
    "packed": packed,
    "own": own,
    "inference": inference,
    "steps": steps,
    "remedies": remedies,
    "memory": memory,
    "compile": compiling,
}


def chosen(names: Sequence[str], layers: Sequence[str]) -> list[tuple[Suite, list[str]]]:
    """Suites by name, each with those of `layers` that it measures; no layers means all it has.

    `all` means every suite that measures one of the layers. Raises ConfigError for a suite that
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


def measure(suite: Suite, plan: Plan, each: Callable[[Row], None]) -> Result:
    """Measure a suite; `each` is told every row as it comes.

    Raises ConfigError for memory where the system doesn't tell a process its own.
    """
    if suite.name == "memory" and not Path("/proc/self/clear_refs").exists():
        raise ConfigError("The suite memory reads Linux's /proc, which isn't here; leave it out.")
    before = peak()
    rows = []
    for row in _SOURCES[suite.name](plan):
        rows.append(row)
        each(row)
    return Result(suite, plan.grid, rows, before, peak())
