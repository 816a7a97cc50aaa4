"""The exceptions of Recurra, one small tree.

    RecurraError
    ├── CellError       (ValueError)    a cell's equations can't be; names the user's line
    ├── EngineError     (RuntimeError)  the engine asked for can't run this; says which can
    ├── ConfigError     (ValueError)    an option or a key of a configuration is wrong
    ├── DataError       (ValueError)    the data given can't be read or used
    ├── RunError        (RuntimeError)  a run directory is missing, foreign or damaged
    ├── InsightError    (ValueError)    a model or a loss can't be analysed; names the layer
    ├── TrainingError   (RuntimeError)  training can't go on: a loss that is not finite, say
    └── MissingExtra    (ImportError)   an optional package is absent; names the remedy

    RecurraWarning      (UserWarning)   something to know; work goes on
    ├── RunWarning                      the code of a run's task has changed since its training
    └── ForecastWarning                 series that can't be forecast as well as the others

Each message is one sentence or two: what was given, what is allowed, the remedy. Where a layer
stands in for one of torch's, bad arguments raise torch's own types and texts instead.
"""

from recurra.ir.check import CellError, RecurraError

__all__ = [
    "CellError",
    "ConfigError",
    "DataError",
    "EngineError",
    "InsightError",
    "MissingExtra",
    "RecurraError",
    "RecurraWarning",
    "RunError",
    "RunWarning",
    "TrainingError",
]


class EngineError(RecurraError, RuntimeError):
    """The engine asked for can't run this; the message says which can."""


class ConfigError(RecurraError, ValueError):
    """An option, or a key of a configuration file, is unknown or has a value that can't be."""


class DataError(RecurraError, ValueError):
    """The data given is missing, unreadable, too short or foreign to the model."""


class RunError(RecurraError, RuntimeError):
    """A run directory is missing, holds something else, or is damaged."""


class RecurraWarning(UserWarning):
    """Something a user should know, and work goes on all the same."""


class RunWarning(RecurraWarning):
    """Something about a run has changed since it was trained, and its figures may differ."""


class InsightError(RecurraError, ValueError):
    """A model, its input or a loss can't be analysed; the message names the layer or the state."""


class TrainingError(RecurraError, RuntimeError):
    """Training can't go on: a loss, gradient or parameter is not finite, or the disk is full."""


class MissingExtra(RecurraError, ImportError):
    """An optional package is absent; the message says how to install it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: pip install 'recurra[{extra}]' "
            f"(from a clone: pip install '.[{extra}]')"
        )
