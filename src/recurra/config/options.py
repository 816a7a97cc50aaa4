"""Options as frozen dataclasses: limits, checks, from a mapping, a TOML file or a command line."""

import dataclasses
import difflib
import math
import operator
import os
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, SupportsIndex, TypeVar

from recurra.errors import ConfigError

__all__ = [
    "check_option",
    "check_options",
    "check_seed",
    "check_value",
    "config_from_mapping",
    "nearest_option",
    "option",
    "read_settings",
]


Options = TypeVar("Options")

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    flag: str | None = None,
    form: str | None = None,
) -> Any:
    """A dataclass field with its help and its limits (None: no such limit) as metadata.

    `flag` is its name on the command line, where that is not the field's own; `form` says what it
    must be, where its type does not.
    """
    about = {"minimum": minimum, "above": above, "maximum": maximum, "flag": flag, "form": form}
    metadata = {name: value for name, value in about.items() if value is not None} | {"help": help}
    return dataclasses.field(default=default, metadata=metadata)


def check_options(options: Any) -> None:
    """Check each field of a dataclass against its type and the limits that `option` gave it.

    Raises `ConfigError`: name, value given, what is allowed.
    """
    hints = typing.get_type_hints(type(options))
    for field in dataclasses.fields(options):
        check_value(field, hints[field.name], getattr(options, field.name))


def check_value(field: "dataclasses.Field[Any]", hint: Any, value: Any) -> None:
    """Check a value against a field's type and limits; raises as `check_options` does."""
    if not (_fits(hint, value) and (value is None or _within(value, field.metadata))):
        allowed = _allowed(hint, field.metadata)
        raise ConfigError(f"{field.name} = {value!r}; it must be {allowed}.")


def check_option(name: str, known: Iterable[str]) -> None:
    """Raise ConfigError, naming the nearest, for a name that is not among `known`."""
    names = list(known)
    if name not in names:
        raise ConfigError(_unknown(name, names))


def check_seed(seed: object) -> None:
    """Raise ConfigError for a seed that random numbers can't start from."""
    if not isinstance(seed, SupportsIndex) or not 0 <= operator.index(seed) < 2**63:
        raise ConfigError(f"seed = {seed!r}; it must be a whole number from 0 to 2**63 - 1.")


def config_from_mapping(cls: type[Options], mapping: Mapping[str, Any]) -> Options:
    """Build the dataclass `cls` from `mapping`, a table of a TOML file, say.

    Lists become tuples, texts become paths and whole numbers become floats where the field says so,
    and "none" becomes None where the field may be None.
    Raises `ConfigError` for an unknown key (naming the nearest), a missing one or a wrong type.

    >>> from recurra.config.training_config import TrainingConfig
    >>> config_from_mapping(TrainingConfig, {"epoch": 3})
    Traceback (most recent call last):
    recurra.errors.ConfigError: 'epoch' is not an option; did you mean 'epochs'?
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in mapping:
        if name not in fields and isinstance(mapping[name], Mapping):
            raise ConfigError(f"[{name}] is a table; every setting stands outside of tables.")
        check_option(name, fields)
    values = {name: _adapt(hints[name], value) for name, value in mapping.items()}
    for name, field in fields.items():
        if name not in values and _required(field):
            raise ConfigError(f"{name} is missing; it must be {_allowed(hints[name], {})}.")
        if name in values and not _fits(hints[name], values[name]):
            allowed = _allowed(hints[name], field.metadata)
            raise ConfigError(f"{name} = {mapping[name]!r}; it must be {allowed}.")
    return cls(**values)


def _required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"{name!r} is not an option; there are none."
    near = nearest_option(name, known)
    remedy = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(known))}."
    return f"{name!r} is not an option; {remedy}"


_USUAL_NAMES = {
    "horizon": "fh forecast_horizon forecast_length h n_ahead output_chunk_length "
    "predict_length prediction_length steps_ahead",
    "batch_size": "batch bs minibatch per_device_train_batch_size train_batch_size",
    "bidirectional": "bi birnn",
    "cell": "cell_type model model_type rnn rnn_type net network architecture",
    "clip_norm": "clip clipping grad_clip gradient_clip gradient_clip_val max_grad_norm max_norm",
    "dropout": "drop dropout_rate p p_drop",
    "hidden": "d_model dim h hid hidden_dim hidden_size hidden_units n_hid n_hidden nhid "
    "num_hidden num_units rnn_size size state_size units width "
    "encoder_hidden_size",
    "embedding": "emb emsize embed_dim embedding_dim embedding_size d_model",
    "ensemble": "ensembles models n_models members",
    "epochs": "epoch max_epochs n_epochs num_epochs num_train_epochs",
    "freq": "frequency",
    "future": "futr_exog futr_exog_list future_covariates known_covariates",
    "past": "hist_exog hist_exog_list past_covariates",
    "static": "stat_exog stat_exog_list static_covariates",
    "id": "id_col id_column series_id unique_id group",
    "time": "time_col time_column date timestamp ds",
    "target": "target_col target_column y value label",
    "init": "initialisation initialization initialiser initializer weight_init",
    "intervals": "level levels interval prediction_intervals coverage",
    "quantiles": "q quantile_levels",
    "layers": "depth n_layer n_layers nlayers num_layers encoder_n_layers",
    "learning_rate": "eta lr max_learning_rate max_lr step_size base_lr",
    "length": "seq_len seq_length sequence_length tokens n max_length max_new_tokens "
    "max_tokens num_tokens steps T size",
    "level": "tokenizer tokenization token tokens",
    "log_every": "log_every_n_steps log_interval logging_steps",
    "lookback": "context context_length input_chunk_length input_size look_back "
    "lookback_window seq_len window_size window",
    "max_minutes": "minutes time_limit max_time budget",
    "max_steps": "iterations iters max_iters n_iters n_steps num_steps num_iters steps total_steps",
    "max_words": "max_vocab n_vocab ntokens vocab vocab_size vocabulary vocabulary_size",
    "optimizer": "opt optim optimiser",
    "out": "dir directory output output_dir outdir run run_dir save save_dir o",
    "overwrite": "force f yes",
    "patience": "early_stop early_stopping early_stopping_patience early_stop_patience_steps",
    "resume": "continue restart checkpoint",
    "schedule": "decay lr_decay lr_schedule lr_scheduler scheduler",
    "scaling": "normalization normalisation normalize scaler scaler_type",
    "season": "period seasonality season_length",
    "seed": "random_seed random_state rng",
    "seeds": "n_seeds repeats runs trials",
    "final_steps": "finetune fine_tune",
    "start": "finetune from from_pretrained init_from pretrained warm_start",
    "temperature": "temp t",
    "tie_embeddings": "tie tied tie_weights weight_tying tied_weights",
    "top_k": "k topk",
    "top_p": "nucleus nucleus_p topp",
    "valid": "dev test val valid_data valid_file validation validation_data validation_file",
    "valid_fraction": "test_size val_frac val_fraction val_size valid_split val_split "
    "validation_fraction validation_size validation_split",
    "validate_every": "eval_every eval_interval eval_steps val_check_steps val_check_interval",
    "warmup_steps": "num_warmup_steps warmup",
    "weight_decay": "l2 wd",
    "window": "block_size bptt bptt_len context context_length context_size seq_len seq_length "
    "sequence_length tbptt",
}
"""What other packages and the literature call our options, where no likeness of letters helps;
of two options that share one the first is meant."""


def nearest_option(name: str, known: Iterable[str]) -> str | None:
    """The option of `known` that `name` means: one by that usual name, or the one most like it.

    >>> nearest_option("lr", ["layers", "learning_rate"]), nearest_option("bad", ["layers"])
    ('learning_rate', None)
    """
    options = list(known)
    plain = name.lower().replace("-", "_")
    for option, names in _USUAL_NAMES.items():
        if option in options and plain in names.split():
            return option
    return next(iter(difflib.get_close_matches(plain, options, n=1, cutoff=0.75)), None)


def _choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint alone."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _fits(hint: Any, value: Any) -> bool:
    return any(_fits_one(choice, value) for choice in _choices(hint))


def _fits_one(hint: Any, value: Any) -> bool:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return any(type(value) is type(member) and value == member for member in members)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(members[0], item) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _within(value: Any, limits: Mapping[str, Any]) -> bool:
    if not isinstance(value, (int, float)):
        return True
    return (
        math.isfinite(value)
        and value >= limits.get("minimum", -math.inf)
        and value > limits.get("above", -math.inf)
        and value <= limits.get("maximum", math.inf)
    )


def _adapt(hint: Any, value: Any) -> Any:
    """Convert `value` to the type of the hint where that loses nothing."""
    choices = _choices(hint)
    if value == "none" and type(None) in choices:
        return None
    if isinstance(value, list) and any(typing.get_origin(choice) is tuple for choice in choices):
        return tuple(value)
    if isinstance(value, os.PathLike) and str in choices:
        return os.fspath(value)
    if isinstance(value, str) and Path in choices and str not in choices:
        return Path(value)
    if type(value) is int and float in choices and int not in choices:
        return float(value)
    return value


def _allowed(hint: Any, limits: Mapping[str, Any]) -> str:
    bounds = {"minimum": "at least", "above": "above", "maximum": "at most"}
    said = " and ".join(f"{word} {limits[name]}" for name, word in bounds.items() if name in limits)
    texts = [_name(choice) for choice in _choices(hint) if choice is not type(None)]
    first = str(limits.get("form", " or ".join(texts))) + (f" {said}" if said else "")
    return first + (", or left out" if type(None) in _choices(hint) else "")


def _name(hint: Any) -> str:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(repr(member) for member in members)
    if origin is tuple:
        return f"a list, each item {_name(members[0])}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def read_settings(
    path: str | None, options: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]
) -> dict[str, Any]:
    """The keys of a TOML file, if any, under the options of the command line, which win.

    `check` raises ConfigError for settings that can't be; where the file alone is to blame, its
    name is added.
    """
    table = _read(Path(path)) if path is not None else {}
    settings = {**table, **options}
    try:
        check(settings)
    except ConfigError as error:
        blame = f"{path}: " if table and _is_refused(table, check) else ""
        raise ConfigError(f"{blame}{error}") from error
    return settings


def _is_refused(table: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]) -> bool:
    try:
        check(table)
    except ConfigError:
        return True
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: the configuration cannot be read ({error.strerror}); check its name."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8; a TOML file is UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}.") from error
