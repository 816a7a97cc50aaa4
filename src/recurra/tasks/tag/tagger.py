"""Tagger: train, load, evaluate, predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from recurra.data.texts.labels import label_values
from recurra.tasks.inputs.sequence_estimator import SequenceEstimator
from recurra.tasks.inputs.text_input import TextContent
from recurra.tasks.signature import options_of
from recurra.tasks.sklearn_tags import sklearn_tags
from recurra.tasks.tag.config import TagConfig
from recurra.tasks.tag.sequence_tagger import LayerAnswer, SequenceTagger
from recurra.tasks.tag.tag_layers import Floats
from recurra.tasks.tag.task import Tag
from recurra.tasks.task import Task

__all__ = ["Tagger"]


class Tagger(SequenceEstimator[TagConfig, SequenceTagger]):
    """Sequences to a tag for each word or step: parts of speech, entities, events.

    Any field of `TagConfig` may be given by name. `fit` trains it on files, or on lists of tokens
    and lists of their tags; `load` brings a trained one back; `predict` gives tags.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> texts = [["the", "cat", "sleeps"], ["a", "dog", "runs"]] * 6
        >>> model = Tagger(hidden=8, embedding=8, channels=4, max_steps=2)
        >>> model.fit(texts, [["DET", "NOUN", "VERB"]] * 12).results[0].steps
        2
        >>> model.classes_.tolist(), len(model.predict([["the", "dog"]])[0])
        (['DET', 'NOUN', 'VERB'], 2)
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Tag

    @options_of(TagConfig)
    def __init__(self, config: TagConfig) -> None:
        super().__init__(config)

    def predict(self, data: Any) -> Any:
        """The tags of each sequence, a list (N,) of lists (T,); None where it can't be read.

        Of a model of several layers such a list for each, by the layer's name; of a source that
        isn't a list and has one sequence, its tags alone. Tags that are whole numbers come as such.
        Texts that aren't divided into tokens are: `tokens` says how. A RecurraWarning names what
        can't be read; DataError where nothing can.
        """
        values = [label_values(layer.tags).tolist() for layer in self._ready().layers]
        return self._by_layer(data, lambda n, answer: [values[n][tag] for tag in answer.ids])

    def predict_proba(self, data: Any) -> Any:
        """The calibrated probability of each tag at each step, in the order of `classes_`: (T, K).

        A list (N,) of those, as `predict` gives tags.
        """
        return self._by_layer(data, lambda _, answer: answer.probabilities)

    def tokens(self, data: Any) -> list[list[str] | None]:
        """The tokens of each text that `predict` gives tags of; None where it can't be read."""
        given = self._given_contents(data, warn=False)
        return [
            content.words() if isinstance(content, TextContent) else None
            for content in given.contents
        ]

    def score(self, data: Any, y: Any = None) -> float:
        """The share of right tags; of tags with a scheme (BIO) the F1 of segments instead.

        Of several layers the mean.
        """
        return self.evaluate(self._paired(data, y))["score"]

    @property
    def classes_(self) -> Any:
        """The tags (K,): whole numbers where all names are such, else their names.

        Of a model of several layers those of each, by its name.
        """
        layers = self._ready().layers
        found = {layer.name: label_values(layer.tags) for layer in layers}
        return found if len(layers) > 1 else found[layers[0].name]

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks, so that its searches and pipelines take a tagger."""
        return sklearn_tags(None)

    def _paired(self, data: Any, labels: Any) -> Any:
        if not isinstance(labels, Mapping):
            return super()._paired(data, labels)
        rows = [dict(zip(labels, row, strict=True)) for row in zip(*labels.values(), strict=True)]
        return super()._paired(data, rows)

    def _by_layer(self, data: Any, shown: Callable[[int, LayerAnswer], Any]) -> Any:
        """What is shown of the answers of each layer, in the form of `predict`."""
        given, product = self._given_contents(data), self._ready()
        answers = product.answers([given.contents[n] for n in given.good])
        found: dict[str, Any] = {
            layer.name: [None] * len(given.contents) for layer in product.layers
        }
        for place, own in zip(given.good, answers, strict=True):
            for number, layer in enumerate(product.layers):
                found[layer.name][place] = shown(number, own[number])
        if not isinstance(data, (list, tuple)) and len(given.contents) == 1:
            found = {name: each[0] for name, each in found.items()}
        return found if len(product.layers) > 1 else found[product.layers[0].name]

    def _rows(self, contents: Sequence[Any]) -> list[dict[str, Any]]:
        """The tokens, their tags, and how sure each is."""
        product = self._ready()
        return [
            {**_named(content), **_answered(product, own)}
            for content, own in zip(contents, product.answers(contents), strict=True)
        ]


def _named(content: Any) -> dict[str, Any]:
    if isinstance(content, TextContent):
        return {"token": content.words()}
    return {} if content.times is None else {"time": content.times.tolist()}


def _answered(product: SequenceTagger, answers: Sequence[LayerAnswer]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for layer, answer in zip(product.layers, answers, strict=True):
        name = "tag" if len(product.layers) == 1 else layer.name
        sure: Floats = answer.probabilities[np.arange(len(answer.ids)), answer.ids]
        found[name] = layer.decode(answer.ids)
        found["probability" if name == "tag" else f"{name}_probability"] = sure.tolist()
    return found
