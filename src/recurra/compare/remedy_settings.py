"""What a verdict recommends, as changes of a run's settings: options and phrases of its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recurra.config.task_config import NetworkConfig
from recurra.insight import Verdict

__all__ = ["Remedy", "remedies_of"]

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Remedy:
    """A change of settings that a verdict recommends.

    Attributes:
        verdicts: the names of the verdicts that recommend it.
        settings: the options that differ from the run's.
    """

    verdicts: tuple[str, ...]
    settings: Settings

    def __str__(self) -> str:
        return " ".join(
            f"--{name.replace('_', '-')} {value:g}"
            if isinstance(value, float)
            else f"--{name.replace('_', '-')} {value}"
            for name, value in self.settings.items()
        )


Change = Callable[[NetworkConfig, re.Match[str]], Settings]


def _init(config: NetworkConfig, found: re.Match[str]) -> Settings:
    """Initialisers of another kind stay; chrono's steps are those of the window, if any."""
    start = found[1]
    window = getattr(config, "window", None)
    if start == "chrono" and window:
        start = f"chrono:{window}"
    own = [part.strip() for part in (config.init or "").split(",") if part.strip()]
    kind = start.partition(":")[0]
    gates = {"forget-bias", "chrono"}
    rivals = gates if kind in gates else {kind}
    others = [part for part in own if part.partition(":")[0] not in rivals]
    return {"init": ",".join([*others, start])}


def _cell(config: NetworkConfig, found: re.Match[str]) -> Settings:
    """The first of the cells that the run hasn't."""
    names = [name for name in found.groups() if name and name != config.cell]
    return {"cell": names[0]} if names else {}


def _slower(config: NetworkConfig, _: re.Match[str]) -> Settings:
    return {"learning_rate": config.learning_rate / 10}


def _clip(config: NetworkConfig, _: re.Match[str]) -> Settings:
    is_lower = config.clip_norm is None or config.clip_norm > 1
    return {"clip_norm": 1.0} if is_lower else {}


_PHRASES: tuple[tuple[str, Change], ...] = (
    (r"--init ([\w:.-]+)", _init),
    (r"identity \(IRNN\)", lambda *_: {"cell": "irnn"}),
    (r"--cell (\w+)(?: or (\w+))?", _cell),
    (r"--skip (\w+) --norm (\w+)", lambda _, found: {"skip": found[1], "norm": found[2]}),
    (
        r"(?:lower|smaller)(?: the)? learning rate",
        lambda c, _: {"learning_rate": c.learning_rate / 10},
    ),
    (r"warm it up longer", lambda c, _: {"warmup_steps": 2 * c.warmup_steps + 50}),
    (r"raise the limit", lambda c, _: {"clip_norm": 10 * (c.clip_norm or 1.0)}),
    (r"clip the gradient", _clip),
    (r"layer normalisation", lambda *_: {"norm": "pre"}),
    (r"window = (\d+)", lambda _, found: {"window": int(found[1])}),
    (r"use a gated cell(?! \()|or a gated cell(?! \()", lambda *_: {"cell": "gru"}),
    (r"antisymmetric cell", lambda *_: {"cell": "antisymmetric"}),
    (r"tanh instead of relu", lambda *_: {"cell": "rnn"}),
    (r"(chrono) initialisation(?! \()", _init),
    (r"(orthogonal) initialisation(?! \()", _init),
)
"""Words of remedies, and the settings they stand for. What isn't a setting isn't here: data that
are to be standardised, weights that are to be drawn again (as every training does)."""


def remedies_of(verdicts: Iterable[Verdict], config: NetworkConfig) -> tuple[Remedy, ...]:
    """The changes that verdicts above a note recommend, each once, in the verdicts' order."""
    found: dict[str, Remedy] = {}
    for verdict in verdicts:
        if verdict.severity not in ("warning", "severe"):
            continue
        for settings in _changes(verdict.remedy, config):
            remedy = Remedy((verdict.name,), settings)
            earlier = found.get(str(remedy))
            names = dict.fromkeys([*(earlier.verdicts if earlier else ()), verdict.name])
            found[str(remedy)] = Remedy(tuple(names), settings)
    return tuple(found.values())


def _changes(text: str, config: NetworkConfig) -> Iterator[Settings]:
    for pattern, change in _PHRASES:
        for match in re.finditer(pattern, text):
            wanted = change(config, match)
            new = {name: value for name, value in wanted.items() if _differs(config, name, value)}
            if new:
                yield new


def _differs(config: NetworkConfig, name: str, value: Any) -> bool:
    """Whether the task has the setting, at another value."""
    return hasattr(config, name) and getattr(config, name) != value
