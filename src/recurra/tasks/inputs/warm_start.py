"""What tasks of sequences take over from another run: its settings, its input, its weights.

A run of a task of sequences gives all three under names of its own. A language model gives its
tokens, the vectors of these, and its recurrent layers, which read texts forwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from recurra.config.sequence_config import SequenceConfig
from recurra.data.feature_masks import FeatureMasks
from recurra.data.texts.token_vocabulary import TokenVocabulary
from recurra.data.texts.tokeniser import Tokeniser
from recurra.errors import ConfigError
from recurra.tasks.inputs.text_input import TextDistortion, TextInput

__all__ = ["adopted", "input_of", "weights_of"]

Config = TypeVar("Config", bound=SequenceConfig)

_LAYERS = (
    *("cell", "hidden", "layers", "skip", "norm", "dilation"),
    *("orthogonal", "learn_initial_state"),
)
_OTHERS = ("bidirectional", "embedding", "channels", "subsampling", "tokens", "lower")
_UNFREEZE = 0.1
_MARKS = {"word": ("<unk>", "<eos>"), "char": ("\N{REPLACEMENT CHARACTER}", "\n")}
"""Of a language model's tokens, the unknown one, and the end of a line, which no text has."""


def adopted(config: Config, old: Mapping[str, Any], given: Iterable[str]) -> Config:
    """The settings with those that decide whether the weights of a run fit, as that run has them.

    `old` is its config.json. Raises ConfigError for one that is `given` and differs.
    """
    found = _settings_of(old)
    for name, value in found.items():
        own = getattr(config, name)
        if name in given and own not in (value, "auto"):
            raise ConfigError(
                f"{name} = {own!r}, and the run to start from has {name} = {value!r}, whose "
                f"weights fit nothing else; leave {name} out, or train without start."
            )
    if _is_language(old) and config.unfreeze is None:
        found["unfreeze"] = _UNFREEZE
    return dataclasses.replace(config, **found)


def _settings_of(old: Mapping[str, Any]) -> dict[str, Any]:
    settings = old["settings"]
    if not _is_language(old):
        own = {name: settings[name] for name in (*_LAYERS, *_OTHERS) if name in settings}
        divided = old.get("context", {}).get("input", {}).get("tokeniser")
        return own if divided is None else {**own, "tokens": divided["kind"]}
    tokeniser = _tokeniser(old["context"])
    found = {name: settings[name] for name in _LAYERS}
    plain = (found["skip"], found["norm"], found["dilation"]) == ("none", "none", 1)
    if found["layers"] > 1 or not plain:  # a second direction would give each layer more inputs
        found["bidirectional"] = False
    found["embedding"] = settings["embedding"] or settings["hidden"]
    return {**found, "tokens": tokeniser.kind, "lower": tokeniser.lower}


def input_of(old: Mapping[str, Any]) -> dict[str, Any] | None:
    """The input of a run as JSON, that of a language model's texts; None where it has none."""
    context: Mapping[str, Any] = old.get("context", {})
    if not _is_language(old):
        return context.get("input")
    tokens = [context["vocabulary"][number] for number in _numbers(context)]
    how = TextInput(
        tokeniser=_tokeniser(context),
        vocabulary=TokenVocabulary(tuple(tokens), (0,) * len(tokens)),
        distortion=TextDistortion(),
        masks=FeatureMasks.none(),
    )
    return how.to_json()


def weights_of(old: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights of a run by the names that a `PooledNet` has; a language model's head is left.

    A row of vectors of tokens is that of the same token: first padding, then the unknown one.
    """
    if not _is_language(old):
        return weights
    context, rows = old["context"], weights["embedding.weight"]
    unknown = context["vocabulary"].index(_MARKS[context["level"]][0])
    vectors = torch.cat([torch.zeros_like(rows[:1]), rows[[unknown, *_numbers(context)]]])
    layers = {name: value for name, value in weights.items() if name.startswith("recurrent.")}
    return {"front.tokens.weight": vectors, **layers}


def _is_language(old: Mapping[str, Any]) -> bool:
    return {"level", "vocabulary"} <= set(old.get("context", {}))


def _tokeniser(context: Mapping[str, Any]) -> Tokeniser:
    """What divides texts into the tokens of a language model; ConfigError for one of bytes."""
    if "tokeniser" in context:
        return Tokeniser(**context["tokeniser"])
    kinds: Mapping[str, Any] = {"word": "spaced", "char": "characters"}
    if context["level"] not in kinds:
        raise ConfigError(
            f"The run to start from is a language model of level {context['level']!r}; start from "
            "one of level 'word' or 'char'."
        )
    return Tokeniser(kinds[context["level"]])


def _numbers(context: Mapping[str, Any]) -> list[int]:
    """The numbers of a language model's tokens that texts have, in its order."""
    marks = _MARKS[context["level"]]
    return [n for n, token in enumerate(context["vocabulary"]) if token not in marks]
