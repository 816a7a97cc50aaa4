"""Engines: ways to run cells. `base` is the interface, `choice` the table and who is chosen."""

from recurra.engines.base import (
    Call,
    CompiledLoop,
    Engine,
    LinearMap,
    LoopCode,
    Sequences,
    States,
    StepRun,
)
from recurra.engines.choice import AUTO, ENGINES, check_asked, choose, log_once
from recurra.engines.interpreter import Interpreter
from recurra.engines.torch_layout import Parameters, TorchParameters, named

__all__ = [
    "AUTO",
    "ENGINES",
    "Call",
    "CompiledLoop",
    "Engine",
    "Interpreter",
    "LinearMap",
    "LoopCode",
    "Parameters",
    "Sequences",
    "States",
    "StepRun",
    "TorchParameters",
    "check_asked",
    "choose",
    "log_once",
    "named",
]
