"""What was measured, as JSON: every number that the tables and the plot are made of."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from recurra.bench.results import Result, Row

__all__ = ["as_json"]


def as_json(
    machine: Mapping[str, object], options: Mapping[str, object], results: Sequence[Result]
) -> str:
    """The machine, how was measured, and each suite by name."""
    document = {
        "machine": dict(machine),
        "options": dict(options),
        "suites": {result.suite.name: _suite(result) for result in results},
    }
    return json.dumps(document, indent=2) + "\n"


def _suite(result: Result) -> dict[str, Any]:
    return {
        "summary": result.suite.summary,
        "unit": result.suite.unit,
        "grid": dataclasses.asdict(result.grid),
        "peak_gflops": {
            "before": result.peak_before / 1e9,
            "after": result.peak_after / 1e9,
        },
        "points": [_point(result, row) for row in result.rows],
        "layers": [dataclasses.asdict(summary) for summary in result.summaries()],
    }


def _point(result: Result, row: Row) -> dict[str, Any]:
    return {
        **dataclasses.asdict(row.point),
        "values": {name: dataclasses.asdict(spread) for name, spread in row.spreads.items()},
        "ratios": {ratio.label: row.ratio(ratio) for ratio in result.suite.ratios},
        "operations": row.operations,
        "share_of_peak": {name: result.share(row, name) for name in row.spreads},
    }
