"""Every setting of the forecasting task, with its default and its one description; no torch."""

import dataclasses
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.options import option
from recurra.config.task_config import EvaluateOptions, TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["CONFIG", "MODELS", "STATISTICAL", "ForecastConfig", "ForecastEvaluation"]

MODELS = {
    "segments": "GRU over segments of a long look-back, all segments ahead at once (SegRNN)",
    "direct": "recurrent layers over the look-back, quantiles of all steps ahead at once (MQ-RNN)",
    "autoregressive": "a distribution of each next step, sampled step after step (DeepAR)",
    "smoothing": "exponential smoothing of each series learnt with a shared network (ES-RNN)",
}

STATISTICAL = {
    "SeasonalNaiveDrift": "repeating the last season, moved by the mean change",
    "Theta": "the dynamic optimised Theta method",
    "ETS": "exponential smoothing with trend and season, chosen by AICc",
    "LagRegression": "linear regression on earlier seasons and the last errors",
    "Croston": "size of a demand over the interval between two",
    "ADIDA": "smoothed sums over the interval between two demands",
}
"""The statistical methods by name, each as part of a sentence."""

_OF_MODELS = {
    "distribution": ("autoregressive",),
    "components": ("autoregressive",),
    "lags": ("autoregressive",),
    "samples": ("autoregressive",),
    "segment": ("segments", "smoothing"),
}
"""Settings that some of the models alone have."""


@dataclass(frozen=True, kw_only=True)
class ForecastEvaluation(EvaluateOptions):
    """Options of the evaluation of a forecaster."""

    windows: int = option(1, "judge so many windows of each series", minimum=1)
    step: int | None = option(None, "steps between two windows; none: the horizon", minimum=1)
    adapt: int = option(
        0, "let quantiles follow actual values; an error counts half after so many steps", minimum=0
    )
    backtest: int = option(
        0, "instead: so many windows, by a model trained again on what came before", minimum=0
    )
    refit: bool = option(False, "with backtest: train again before each of its windows")
    static: str | None = option(
        None, "a table of the static columns of the series in FILE", flag="--static-data"
    )


@dataclass(frozen=True, kw_only=True)
class ForecastConfig(TaskConfig):
    """Data, model and training of a forecaster: each field is an option and a key.

    Lists are texts with commas between. Raises ConfigError for a value that is not allowed.

    >>> ForecastConfig(horizon=48, freq="h", intervals="80").levels
    (0.1, 0.5, 0.9)
    """

    task: ClassVar[str] = "forecast"
    summary: ClassVar[str] = "Probabilistic forecasts of series in a table: .csv, .tsv or .parquet."
    evaluation: ClassVar[type[EvaluateOptions]] = ForecastEvaluation
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"forecast": {"model": "segments"}}
    usual: ClassVar[tuple[str, ...]] = (
        *("horizon", "freq", "id", "time", "target", "layout", "model", "budget"),
        *("lookback", "intervals"),
        *("hidden", "max_steps", "max_minutes", "learning_rate", "seed"),
    )
    shaping: ClassVar[tuple[str, ...]] = (*TaskConfig.shaping, "model")
    inapplicable: ClassVar[tuple[str, ...]] = ("bidirectional", "window")
    places: ClassVar[tuple[str, ...]] = ("static_data",)
    judging: ClassVar[tuple[str, ...]] = (
        *("model", "distribution", "components", "loss", "errors", "intervals", "quantiles"),
        *("scaling", "transform", "holdback"),
    )
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Data": (
            "horizon",
            "freq",
            "id",
            "time",
            "target",
            "past",
            "future",
            "static",
            "static_data",
            "layout",
        ),
        "Forecasts": (
            "intervals",
            "quantiles",
            "point",
            "nonnegative",
            "samples",
            "holdback",
            "final_steps",
            "members",
            "calibrate",
        ),
    }

    horizon: int = option(0, "steps to forecast; it must be given", maximum=10**6)
    freq: str = option("", "time between steps: h, 15min, D, W, MS, ...; empty: inferred")
    id: str = option("unique_id", "the column that names the series")
    time: str = option("ds", "the column of time stamps")
    target: str = option("y", "the column to forecast")
    past: str = option("", "columns known up to the origin of a forecast alone")
    future: str = option("", "columns known ahead, for the forecast's steps too")
    static: str = option("", "columns that stay the same all along a series")
    static_data: str | None = option(None, "a second table: the static columns, a row a series")
    layout: Literal["long", "wide", "rows"] = option(
        "long",
        "a row for each series and step; a column for each series (wide); a row for each series",
    )
    model: Literal["auto", "segments", "direct", "autoregressive", "smoothing"] = option(
        "auto",
        "; ".join(
            [
                "auto: chosen by the data, with what else was not given",
                *(f"{name}: {what}" for name, what in MODELS.items()),
            ]
        ),
    )
    budget: str = option(
        "",
        "time for the choice of an auto model and its training: 90s, 2m, 1h; empty: half a minute "
        "to five minutes by the size of the data",
    )
    skip: Literal["none", "residual", "highway", "dense"] = new_default(
        "skip", "none", help="connections that lead past each layer; dilated layers have residual"
    )
    dropout: float = new_default("dropout", 0.1, help="share of values dropped before the output")
    embedding: int = option(
        16,
        "size of a vector learnt for each series; 0: all are treated alike",
        minimum=0,
        maximum=10**8,
    )
    lookback: int = option(
        0,
        "steps read before a forecast; 0: three seasons, at least two horizons",
        minimum=0,
        maximum=10**7,
    )
    season: int = option(0, "steps in a season; 0: that of the frequency", minimum=0, maximum=10**7)
    segment: int = option(
        0,
        "steps in a segment, or in a window of the smoothing model's network; 0: by the season",
        minimum=0,
    )
    lags: str = option("", "steps back whose values are read as well; empty: one season")
    calendar: bool = option(True, "read hour, weekday, month and so on of the time stamps")
    distribution: Literal["student-t", "gaussian", "negative-binomial", "mixture"] = option(
        "student-t", "of each next value, for the autoregressive model"
    )
    components: int = option(3, "Gaussians in a mixture", minimum=2)
    loss: Literal["quantiles", "mae", "mse"] = option(
        "quantiles",
        "of training; the autoregressive model has its likelihood instead",
    )
    errors: Literal["scaled", "data", "both"] = option(
        "scaled",
        "the errors that the loss counts: scaled ones, so that all series weigh alike; those of "
        "the data, transformed: with a log, relative ones; or the mean of both",
    )
    intervals: str = option("80,95", "prediction intervals, in percent")
    quantiles: str = option("", "further quantiles to forecast, between 0 and 1")
    point: Literal["auto", "median", "mean"] = option(
        "auto",
        "the one number a step: the median, the mean, or auto: the mean of intermittent series and "
        "of loss mse, else the median",
    )
    nonnegative: Literal["auto", "yes", "no"] = option(
        "auto",
        "hold forecasts at 0 and above: auto, of series that never were below; yes, of all; no",
    )
    samples: int = option(200, "paths drawn for quantiles of the autoregressive model", minimum=10)
    scaling: Literal["standard", "mean", "last", "none"] = option(
        "standard",
        "of each window: by mean and deviation; by mean size; the last value taken away; none",
    )
    transform: Literal["none", "log", "log1p"] = option("none", "of the values before all else")
    holdback: int = option(
        0,
        "steps held out at the end, to choose weights and to calibrate; 0: a fifth of "
        "the median series, from two horizons (one of short series) to twenty",
        minimum=0,
    )
    final_steps: int = option(
        0,
        "steps trained at the end on all of the data, the held-out part too, once the weights are "
        "chosen and the quantiles calibrated",
        minimum=0,
    )
    members: str = option(
        "",
        "statistical forecasts averaged with the network's, with weights chosen on the held-out "
        f"part: {', '.join(STATISTICAL)}; empty: none",
    )
    calibrate: bool = option(
        True, "fit quantiles to the held-out part; those of loss mae and mse always are"
    )
    epochs: int | None = new_default("epochs", None)
    max_steps: int | None = new_default("max_steps", 1000)
    window: int = new_default("window", 0)
    validate_every: int | None = new_default("validate_every", 100)
    watch_every: int = new_default("watch_every", 0)
    schedule: Literal["constant", "cosine"] = new_default("schedule", "cosine")

    def __post_init__(self) -> None:
        if not self.horizon:
            raise ConfigError("horizon is missing; say how many steps to forecast: horizon = 24.")
        if isinstance(self.horizon, int) and self.horizon < 0:
            raise ConfigError(f"horizon = {self.horizon}; it must be a whole number from 1 on.")
        super().__post_init__()
        self._check_network()
        if self.window:
            raise ConfigError(
                f"window = {self.window}; forecasters are trained on whole look-backs: "
                "set lookback, and leave window out."
            )
        self.check_end()
        if 0 < self.holdback < self.horizon:
            raise ConfigError(
                f"holdback = {self.holdback}: fewer than the {self.horizon} steps of a forecast; "
                "give at least as many, or 0 for a fifth of the median series."
            )
        _check_numbers("intervals", self.intervals, 0, 100)
        if any(width < 1 for width in self.widths):
            percent = ",".join(f"{w if w >= 1 else 100 * w:g}" for w in self.widths)
            raise ConfigError(
                f"intervals = {self.intervals!r}: they are in percent, from 1 on; give {percent!r}."
            )
        _check_numbers("quantiles", self.quantiles, 0, 1)
        self._check_choice()
        if any(lag < 1 or lag != int(lag) for lag in _numbers("lags", self.lags, "24,168")):
            raise ConfigError(f"lags = {self.lags!r}; they must be whole numbers from 1 on.")
        if self.errors != "scaled" and self.model == "autoregressive":
            raise ConfigError(
                f"errors = {self.errors!r}: the autoregressive model is trained by its likelihood, "
                "which has no errors to weigh; leave errors out, or choose another model."
            )
        if self.loss != "quantiles" and self.model == "autoregressive":
            raise ConfigError(
                f"loss = {self.loss!r}: the autoregressive model is trained by its likelihood "
                "alone; leave loss out, or choose another model."
            )
        for name, models in _OF_MODELS.items():
            if self._is_set(name) and self.model not in models:
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r}: the {self.model} model has none; leave it "
                    f"out, or choose model = {' or '.join(map(repr, models))}."
                )
        if self._is_set("components") and self.distribution != "mixture":
            raise ConfigError(
                f"components = {self.components} with distribution = {self.distribution!r}; only "
                "a mixture has components: leave them out, or choose distribution = 'mixture'."
            )
        if self.past and self.model == "autoregressive":
            raise ConfigError(
                f"past = {self.past!r}: the autoregressive model feeds its own forecasts back and "
                "reads only covariates known ahead; give these as future, or choose another model."
            )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The configuration of some settings; a list may stand for a text with commas.

        >>> ForecastConfig.of({"horizon": 12, "past": ["wind", "rain"]}).past
        'wind,rain'
        """
        return super().of({name: v if name == "data" else _text(v) for name, v in settings.items()})

    @property
    def dropout_between_layers(self) -> float:
        """None: in this task `dropout` acts before the output alone."""
        return 0.0

    @property
    def _has_final_rate(self) -> bool:
        # Final steps begin with it.
        return self.schedule == "cosine" or self.final_steps > 0

    def _check_network(self) -> None:
        if self.dilation > 1 and self.skip == "none":
            object.__setattr__(self, "skip", "residual")
        if self.bidirectional:
            raise ConfigError(
                "bidirectional = true: a forecaster reads its series forwards, so that a stream "
                "may give it one step after another; leave bidirectional out."
            )
        if self.dilation > 1 and self.model == "segments":
            raise ConfigError(
                f"dilation = {self.dilation}: the segments model forecasts each segment in one "
                "step from the last state, so its layers can't be dilated; leave dilation out, or "
                "choose model = 'direct'."
            )

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of all quantiles that are forecast, ascending, the median among them."""
        levels = {0.5, *_numbers("quantiles", self.quantiles)}
        for percent in self.widths:
            levels |= {round(0.5 - percent / 200, 6), round(0.5 + percent / 200, 6)}
        return tuple(sorted(levels))

    @property
    def widths(self) -> tuple[float, ...]:
        """The prediction intervals in percent, ascending."""
        return tuple(sorted(set(_numbers("intervals", self.intervals))))

    def _check_choice(self) -> None:
        """Raise ConfigError for a budget without a choice, and for unknown members."""
        if self.budget_seconds and self.model != "auto":
            raise ConfigError(
                f"budget = {self.budget!r} with model = {self.model!r}: a budget is for choosing; "
                "leave it out, or choose model = 'auto'."
            )
        for name in self.member_names:
            if name not in STATISTICAL:
                raise ConfigError(
                    f"members = {self.members!r}: {name!r} is not a statistical method; choose "
                    f"from {', '.join(STATISTICAL)}, with commas between."
                )

    @property
    def budget_seconds(self) -> float:
        """The budget in seconds; 0 where none is given."""
        if not self.budget:
            return 0.0
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", self.budget)
        seconds = float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
        if not seconds:
            raise ConfigError(
                f"budget = {self.budget!r}; it must be a time with its unit: 90s, 2m or 1h."
            )
        return seconds

    def changed(self, settings: Mapping[str, Any]) -> Self:
        """The configuration with other settings; a chosen model has no budget."""
        budget = "" if settings.get("model", self.model) != "auto" else self.budget
        return dataclasses.replace(self, **{"budget": budget, **settings})

    @property
    def member_names(self) -> tuple[str, ...]:
        """The statistical methods that are averaged with the network."""
        return tuple(
            dict.fromkeys(word.strip() for word in self.members.split(",") if word.strip())
        )

    def held_steps(self, lengths: Iterable[int]) -> int:
        """The number of held-out steps at the end of series of these lengths."""
        median = int(statistics.median(lengths))
        # Two horizons, or one where that would leave fewer than two to train on.
        fewest = 2 * self.horizon if median >= 4 * self.horizon else self.horizon
        return self.holdback or min(max(median // 5, fewest), 20 * self.horizon)

    @property
    def point_in_words(self) -> str:
        """The one number a step that is forecast: median or mean."""
        if self.point != "auto":
            return f"the {self.point}"
        return "the mean" if self.loss == "mse" else "the median; of intermittent series the mean"

    @property
    def counts(self) -> bool:
        """True where forecasts are whole numbers from 0 on."""
        return self.model == "autoregressive" and self.distribution == "negative-binomial"

    def lag_steps(self, season: int) -> tuple[int, ...]:
        """The steps back of the values read beside the last one."""
        lags = tuple(int(lag) for lag in _numbers("lags", self.lags))
        return lags or ((season,) if season > 1 else ())

    def lookback_steps(self, season: int) -> int:
        """The number of steps that a forecast reads."""
        return self.lookback or max(3 * season, 2 * self.horizon)


def _text(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(item) for item in value)
    return value


def _numbers(name: str, text: str, example: str = "80,95") -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise ConfigError(
            f"{name} = {text!r}; it must be numbers with commas between: {example!r}."
        ) from error


def _check_numbers(name: str, text: str, low: float, high: float) -> None:
    if any(not low < number < high for number in _numbers(name, text)):
        raise ConfigError(f"{name} = {text!r}; each must lie between {low} and {high}.")


CONFIG = ForecastConfig
