"""Settings that every task has, beside those of its network and its training; without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from recurra.config.network_config import NetworkConfig
from recurra.config.options import config_from_mapping, option
from recurra.errors import ConfigError

__all__ = ["EvaluateOptions", "Published", "TaskConfig"]


@dataclass(frozen=True)
class Published:
    """A figure of the literature: the model it was measured on, and its source."""

    name: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Options of a task's evaluation: each field is an option of `recurra evaluate`."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig(NetworkConfig):
    """Settings of a task: subclass it, and give each further setting as a field with `option`.

    `task` is its name, `summary` a sentence about it; `places` names settings that say where data
    lie. `evaluation` holds the options of the task's evaluation; `contests` names what `recurra
    compare` may compare cells on, each with the settings that make it; `groups` are titles under
    which the command line lists settings, and `inapplicable` those that it has no option for.

    Raises ConfigError for a value that is not allowed.
    """

    task: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    evaluation: ClassVar[type[EvaluateOptions]] = EvaluateOptions
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    places: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    inapplicable: ClassVar[tuple[str, ...]] = ()

    data: tuple[str, ...] = option((), "files to train on")
    ensemble: int = option(1, "models trained with seeds from `seed` on, and averaged", minimum=1)
    start: str | None = option(
        None,
        "a run to start from: weights of equal name and shape are taken over",
        flag="--from",
    )
    freeze: str = option(
        "", "parts of the model that keep the weights of `start`, as their names begin: embedding"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.freeze and self.start is None:
            raise ConfigError(
                f"freeze = {self.freeze!r} without start: only weights of another run are frozen; "
                "give start as well (--from RUN), or leave freeze out."
            )

    @classmethod
    def summary_of(cls, contest: str) -> str:
        """The summary of one of the `contests`: by default that of the task."""
        return cls.summary

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The configuration of some settings, the rest at their defaults; "none" stands for None.

        Raises ConfigError for an unknown key, naming the nearest, or a value that is not allowed.
        """
        return config_from_mapping(cls, settings)
