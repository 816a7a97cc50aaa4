"""The exceptions of Weft, one small tree.

    WeftError
    ├── CellError       (ValueError)    a cell's equations can't be; names the user's line
    ├── EngineError     (RuntimeError)  the engine asked for can't run this; says which can
    ├── ConfigError     (ValueError)    an option or a key of a configuration is wrong
    ├── DataError       (ValueError)    the data given can't be read or used
    ├── RunError        (RuntimeError)  a run directory is missing, foreign or damaged
    ├── InsightError    (ValueError)    a model or a loss can't be analysed; names the layer
    ├── TrainingError   (RuntimeError)  training can't go on: a loss that is not finite, say
    └── MissingExtra    (ImportError)   an optional package is absent; names the remedy

Each message is one sentence or two: what was given, what is allowed, the remedy. Where a layer
stands in for one of torch's, bad arguments raise torch's own types and texts instead.
"""

from weft.ir.errors import CellError, WeftError

__all__ = [
    "CellError",
    "ConfigError",
    "DataError",
    "EngineError",
    "InsightError",
    "MissingExtra",
    "RunError",
    "TrainingError",
    "WeftError",
]


class EngineError(WeftError, RuntimeError):
    """The engine asked for can't run this; the message says which can."""


class ConfigError(WeftError, ValueError):
    """An option, or a key of a configuration file, is unknown or has a value that can't be."""


class DataError(WeftError, ValueError):
    """The data given is missing, unreadable, too short or foreign to the model."""


class RunError(WeftError, RuntimeError):
    """A run directory is missing, holds something else, or is damaged."""


class InsightError(WeftError, ValueError):
    """A model, its input or a loss can't be analysed; the message names the layer or the state."""


class TrainingError(WeftError, RuntimeError):
    """Training can't go on: a loss, gradient or parameter is not finite, or the disk is full."""


class MissingExtra(WeftError, ImportError):
    """An optional package is absent; the message says how to install it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: pip install 'weft[{extra}]'"
        )
