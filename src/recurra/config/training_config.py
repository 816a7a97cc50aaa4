"""Settings of a training run. Importable without torch, for command lines and documents."""

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from recurra.config.options import check_options, config_from_mapping, option
from recurra.errors import ConfigError

__all__ = [
    "EXTENDABLE",
    "Budget",
    "Metric",
    "TrainingConfig",
    "check_options",
    "config_from_mapping",
    "must_not_differ",
    "new_default",
    "option",
]


EXTENDABLE = ("epochs", "max_steps", "max_minutes", "patience", "resume_schedule")
"""The settings that a resumed run may change."""


def must_not_differ(name: str, given: Any, started: Any, what: str) -> None:
    """Raise ConfigError where a setting is not the one that `what`, a run, was started with."""
    if given != started:
        raise ConfigError(
            f"{name} = {given!r} was given, and {what} was started with {name} = {started!r}; "
            f"resume with the same settings ({', '.join(EXTENDABLE)} alone may differ): leave "
            f"{name} out."
        )


class Budget(NamedTuple):
    """The steps and the seconds after which a training ends, whichever come first; None: no limit.

    >>> Budget(steps=120, seconds=None).share(step=70, seconds=9.0, warmup=20)
    0.5
    """

    steps: int | None = None
    seconds: float | None = None

    def share(self, step: int, seconds: float, warmup: int) -> float:
        """The share that is over, after `step` steps and `seconds`, of what follows the warm-up.

        Where the seconds bind, the training ends at the step that its speed so far leads to.
        """
        shares = [0.0]
        if self.steps is not None:
            shares.append((step - warmup) / max(1, self.steps - warmup))
        if self.seconds is not None:
            elapsed = min(1.0, seconds / self.seconds)
            left = step - warmup * elapsed
            shares.append(elapsed * (step - warmup) / left if left else elapsed)
        return min(1.0, max(shares))


@dataclass(frozen=True)
class Metric:
    """A number that a validation gives, by its name, and whether lower is better.

    >>> Metric.parse("accuracy:max")
    Metric(name='accuracy', lower_is_better=False)
    """

    name: str = "loss"
    lower_is_better: bool = True

    @classmethod
    def parse(cls, text: str) -> "Metric":
        """Read NAME:min or NAME:max. Raises `ConfigError` for any other text."""
        name, _, direction = text.rpartition(":")
        if not name.strip() or direction not in ("min", "max"):
            raise ConfigError(
                f"best = {text!r}; it must be NAME:min or NAME:max, with the name of a number that "
                "the validation gives: accuracy:max, say."
            )
        return cls(name.strip(), direction == "min")

    def __str__(self) -> str:
        return f"{self.name}:{'min' if self.lower_is_better else 'max'}"

    def is_better(self, value: float, than: float) -> bool:
        """Tell whether `value` is strictly better."""
        return value < than if self.lower_is_better else value > than


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of a training, each with its help in its metadata.

    Raises `ConfigError` for a wrong value.

    >>> TrainingConfig(epochs=3, schedule="cosine", warmup_steps=100).learning_rate
    0.002
    """

    epochs: int | None = option(
        10, "times to go through the data; none: as often as another limit allows", minimum=1
    )
    max_steps: int | None = option(None, "stop after this many steps", minimum=1)
    max_minutes: float | None = option(
        None, "stop, saved, after this many minutes of training", above=0
    )
    batch_size: int = option(32, "sequences trained on side by side", minimum=1)
    window: int = option(
        64, "steps of truncated BPTT; 0: the whole sequence at once (full BPTT)", minimum=0
    )
    optimizer: Literal["adamw", "sgd"] = option("adamw", "the optimiser, one of torch's")
    learning_rate: float = option(2e-3, "the learning rate at its highest", above=0)
    weight_decay: float = option(
        0.0, "weight decay of matrices: decoupled for adamw, an L2 penalty for sgd", minimum=0
    )
    decay_all: bool = option(
        False, "decay biases, gains of norms, embeddings and learnt initial states as well"
    )
    momentum: float = option(0.0, "momentum of sgd", minimum=0)
    schedule: Literal["constant", "cosine"] = option(
        "constant",
        "the learning rate after the warm-up; a cosine ends where the first of epochs, max_steps "
        "and max_minutes does",
    )
    resume_schedule: Literal["stretch", "keep"] = option(
        "stretch",
        "the cosine of a run that is resumed with another length: stretch it over that, or keep "
        "the first one, and train on with the rate at its end",
    )
    warmup_steps: int = option(0, "steps over which the learning rate rises linearly", minimum=0)
    final_learning_rate: float = option(
        0.1,
        "where the cosine ends, as a fraction of the learning rate",
        minimum=0,
        maximum=1,
    )
    clip_norm: float | None = option(1.0, "scale gradients down to this norm", above=0)
    clip_value: float | None = option(
        None, "clamp each element of a gradient to this size, after clip_norm", above=0
    )
    clip_bptt: float | None = option(
        None, "clamp dL/dh to this size at each step inside BPTT", above=0
    )
    average_steps: int | None = option(
        None,
        "validate and keep a running mean of the weights over about so many steps; none: the "
        "weights themselves",
        minimum=2,
    )
    best: str | None = option(
        None,
        "validation metric that chooses the best weights, as NAME:min or NAME:max; left out: the "
        "task's own",
    )
    patience: int | None = option(
        None, "stop after this many validations without improvement", minimum=1
    )
    validate_every: int | None = option(
        None, "steps between validations; left out: at the end of each epoch", minimum=1
    )
    checkpoint_every: int | None = option(
        None,
        "steps between checkpoints; left out: half a minute, or 20 times as long as one takes",
        minimum=1,
    )
    log_every: int = option(50, "steps between lines of metrics.jsonl", minimum=1)
    watch_every: int = option(
        50,
        "steps between those whose gradient through time is written to gradients.jsonl; 0: none",
        minimum=0,
    )
    seed: int = option(0, "the seed of torch's random numbers", minimum=0, maximum=2**63 - 1)
    tensorboard: bool = option(False, "write TensorBoard events into the run as well")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _inherit_metadata(cls)

    def __post_init__(self) -> None:
        check_options(self)
        if self.best is not None:
            Metric.parse(self.best)
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(
                f"momentum = {self.momentum} with optimizer = {self.optimizer!r}; only 'sgd' has "
                "momentum: leave it out, or choose optimizer = 'sgd'."
            )
        if self.decay_all and not self.weight_decay:
            raise ConfigError(
                "decay_all = true with weight_decay = 0: nothing would decay; give weight_decay as "
                "well, or leave decay_all out."
            )
        if self._is_set("final_learning_rate") and not self._has_final_rate:
            raise ConfigError(
                f"final_learning_rate = {self.final_learning_rate} with schedule = "
                f"{self.schedule!r}; only the cosine has a final rate: leave it out, or choose "
                "schedule = 'cosine'."
            )
        self._check_warmup(self.max_steps)

    @property
    def best_metric(self) -> Metric | None:
        """The metric that `best` names, None where it is left out."""
        return None if self.best is None else Metric.parse(self.best)

    def check_end(self) -> None:
        """Raise ConfigError where nothing ends the training."""
        if self.epochs is None and self.max_steps is None and self.max_minutes is None:
            raise ConfigError("Training has no end; give epochs, max_steps or max_minutes.")

    def budget_of(self, windows: int) -> Budget:
        """The end of a training whose epochs have so many windows.

        Raises ConfigError where there is none, or where the warm-up lasts longer.
        """
        self.check_end()
        limits = [self.max_steps, None if self.epochs is None else self.epochs * windows]
        steps = min((limit for limit in limits if limit is not None), default=None)
        self._check_warmup(steps)
        return Budget(steps, None if self.max_minutes is None else 60 * self.max_minutes)

    def _is_set(self, name: str) -> bool:
        """Tell whether a setting is another than its default."""
        return bool(getattr(self, name) != type(self).__dataclass_fields__[name].default)

    @property
    def _has_final_rate(self) -> bool:
        return self.schedule == "cosine"

    def _check_warmup(self, steps: int | None) -> None:
        if steps is not None and self.warmup_steps > steps:
            raise ConfigError(
                f"warmup_steps = {self.warmup_steps}, and the training has {steps} steps: the "
                "learning rate would never reach its highest; lower warmup_steps, or train for "
                "longer."
            )


def new_default(
    name: str, value: Any, *, help: str | None = None, minimum: float | None = None
) -> Any:
    """An inherited field with another default, for the configuration of a task.

    Limits are those of the class that the task's configuration extends, and so is the help, unless
    they are given.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class Long(TrainingConfig):
    ...     epochs: int = new_default("epochs", 1000)
    >>> Long(epochs=0)
    Traceback (most recent call last):
    recurra.errors.ConfigError: epochs = 0; it must be a whole number at least 1.
    """
    own = {"help": help, "minimum": minimum}
    given = {key: each for key, each in own.items() if each is not None}
    return dataclasses.field(default=value, metadata={_INHERITED: name, **given})


_INHERITED = "inherited from"


def _inherit_metadata(cls: type) -> None:
    """Complete the fields of a new class that `new_default` made. Raises TypeError for a typo."""
    for attribute, field in vars(cls).items():
        name = field.metadata.get(_INHERITED) if isinstance(field, dataclasses.Field) else None
        if name is None:
            continue
        bases = (vars(base).get("__dataclass_fields__", {}) for base in cls.__mro__[1:])
        old = next((fields[name] for fields in bases if name in fields), None)
        if old is None or name != attribute:
            raise TypeError(f"{cls.__name__}.{attribute}: there is no inherited field {name!r}")
        own = {key: value for key, value in field.metadata.items() if key != _INHERITED}
        field.metadata = MappingProxyType({**old.metadata, **own})
